"""docker references: the names that images have in a rehearsal's store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

__all__ = ["DockerError", "References", "with_tag"]


class DockerError(Exception):
    """The command cannot be done; the message is what ``docker`` says on its standard error."""


class References:
    """The names of images in a store: ``repository:tag``, and ``repository@digest`` once pushed."""

    def __init__(self, store: Path) -> None:
        self._folder = store / "references"

    def __iter__(self) -> Iterator[tuple[str, str]]:
        files = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        return ((unquote(file.name), file.read_text()) for file in files)

    def set(self, reference: str, digest: str) -> None:
        """Make a reference mean an image."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder.with_name(f"reference-{os.getpid()}")
        draft.write_text(digest)
        draft.replace(self._folder / quote(with_tag(reference), safe=""))

    def find(self, reference: str) -> str:
        """The digest of an image, by reference or by the beginning of its own digest.

        Raises:
            DockerError: if there is none.
        """
        short = reference.removeprefix("sha256:")
        for name, digest in self:
            if name == with_tag(reference) or (len(short) >= 12 and digest.removeprefix("sha256:").startswith(short)):
                return digest
        raise DockerError(f"Error: No such image: {reference}")


def with_tag(reference: str) -> str:
    """A reference with the tag that Docker assumes if there is none."""
    return reference if "@" in reference or ":" in reference.rpartition("/")[2] else f"{reference}:latest"
