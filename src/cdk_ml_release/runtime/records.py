"""The records of a batch's input: taken apart to find those that the model refuses, and put together again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Records of one input object, in a row."""

    path: str
    """The object's key below the input prefix."""
    first: int
    """The number of the first record; the object's own first one is 1."""
    records: tuple[bytes, ...]

    @classmethod
    def whole(cls, path: str, content: bytes) -> Piece:
        """All lines of an object; the line break at its end begins no further one."""
        lines = content.split(b"\n")
        return cls(path=path, first=1, records=tuple(lines if lines[-1] else lines[:-1]))

    @property
    def content(self) -> bytes:
        """The records as an object of their own."""
        return b"\n".join(self.records) + b"\n"

    def split(self, most: int) -> list[Piece]:
        """At most so many pieces of about the same size, in order."""
        size = -(-len(self.records) // most)
        return [
            Piece(path=self.path, first=self.first + start, records=self.records[start : start + size])
            for start in range(0, len(self.records), size)
        ]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A record that the model refused, and why."""

    path: str
    number: int
    content: str
    """The record itself; empty if it is a whole object, which stays where it is."""
    reason: str

    def __str__(self) -> str:
        return f"record {self.number} of {self.path}: {self.reason}"

    @property
    def line(self) -> str:
        """As a line of the object under the failure prefix."""
        return json.dumps({"record": self.number, "reason": self.reason, "content": self.content})


def assemble(answers: Iterable[tuple[Piece, bytes | None]]) -> bytes:
    """Put the answers to an object's pieces together; a refused record leaves its line empty.

    So a model that answers every record with one line answers record n in line n, whatever was refused before it.
    """
    ordered = sorted(answers, key=lambda each: each[0].first)
    return b"".join(b"\n" if answer is None else answer.rstrip(b"\n") + b"\n" for _, answer in ordered)
