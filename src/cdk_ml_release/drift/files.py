"""Where the program reads: a bucket, or a folder on a laptop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..runtime import storage


class Files(Protocol):
    """Files by their names, slashes between the parts."""

    def names(self, prefix: str) -> Iterator[str]:
        """The names that begin with ``prefix``, in order."""

    def folders(self, prefix: str) -> list[str]:
        """The next part of the names below ``prefix``, which ends in a slash."""

    def read(self, name: str) -> bytes | None:
        """A whole file; None if there is none."""

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file, one after the other: it need not fit into memory."""

    def uri(self, name: str) -> str:
        """What to call a file in front of a person."""


@dataclass(frozen=True)
class Bucket:
    """The files of a bucket, or of a prefix of it."""

    s3: Any
    bucket: str
    prefix: str = ""
    """Comes before every name; empty, or with a slash at its end."""

    def names(self, prefix: str) -> Iterator[str]:
        """The names that begin with ``prefix``, in order."""
        for entry in storage.keys(self.s3, self.bucket, f"{self.prefix}{prefix}"):
            yield entry["Key"][len(self.prefix) :]

    def folders(self, prefix: str) -> list[str]:
        """The next part of the names below ``prefix``."""
        below = f"{self.prefix}{prefix}"
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=below, Delimiter="/")
        found = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
        return [each[len(below) :].rstrip("/") for each in found]

    def read(self, name: str) -> bytes | None:
        """A whole file; None if there is none."""
        return storage.read(self.s3, self.bucket, f"{self.prefix}{name}")

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file."""
        body = self.s3.get_object(Bucket=self.bucket, Key=f"{self.prefix}{name}")["Body"]
        yield from body.iter_lines(chunk_size=1 << 16)

    def uri(self, name: str) -> str:
        """The S3 URI of a file."""
        return f"s3://{self.bucket}/{self.prefix}{name}"


@dataclass(frozen=True)
class Folder:
    """The files of a folder, or the one file that is given in its place."""

    path: Path

    def names(self, prefix: str) -> Iterator[str]:
        """The names that begin with ``prefix``, in order."""
        if self.path.is_file():
            yield from [self.path.name] if self.path.name.startswith(prefix) else []
            return
        for file in sorted(file for file in self.path.rglob("*") if file.is_file()):
            name = file.relative_to(self.path).as_posix()
            if name.startswith(prefix):
                yield name

    def folders(self, prefix: str) -> list[str]:
        """The next part of the names below ``prefix``."""
        found = (name[len(prefix) :].partition("/") for name in self.names(prefix))
        return list(dict.fromkeys(first for first, slash, _ in found if slash))

    def read(self, name: str) -> bytes | None:
        """A whole file; None if there is none."""
        file = self._file(name)
        return file.read_bytes() if file.is_file() else None

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file."""
        with self._file(name).open("rb") as file:
            yield from file

    def uri(self, name: str) -> str:
        """The path of a file."""
        return str(self._file(name))

    def _file(self, name: str) -> Path:
        return self.path if self.path.is_file() else self.path / name
