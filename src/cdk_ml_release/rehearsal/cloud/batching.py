"""Batching: how a transform job makes requests of an object, and one object of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MEGABYTE = 1024 * 1024


class TooLarge(Exception):
    """A record that fits into no request."""


def records(content: bytes, split_type: str) -> list[bytes]:
    """The records of an object: its lines with their line breaks, or all of it."""
    # That an empty line is a record too is a guess.
    return content.splitlines(keepends=True) if split_type == "Line" else [content]


def requests(found: Sequence[bytes], strategy: str, most_bytes: int) -> Iterator[bytes]:
    """The bodies of the requests that carry some records.

    Args:
        found: The records, in order.
        strategy: ``SingleRecord`` or ``MultiRecord``.
        most_bytes: Size of a body at most; 0 for no limit.

    Raises:
        TooLarge: naming the record that is larger.
    """
    waiting: list[bytes] = []
    size = 0
    for number, record in enumerate(found, start=1):
        if most_bytes and len(record) > most_bytes:
            raise TooLarge(f"record {number} has {len(record)} bytes, MaxPayloadInMB allows {most_bytes}")
        if waiting and (strategy == "SingleRecord" or (most_bytes and size + len(record) > most_bytes)):
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(record)
        size += len(record)
    if waiting:
        yield b"".join(waiting)


def assemble(answers: Sequence[bytes], assemble_with: str) -> bytes:
    """One object of the answers, in the order of the requests."""
    if assemble_with != "Line":
        return b"".join(answers)
    # That an answer's own line break is not doubled is a guess.
    return b"".join(answer.removesuffix(b"\n") + b"\n" for answer in answers)
