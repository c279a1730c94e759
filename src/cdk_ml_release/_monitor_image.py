"""The image that a monitor's jobs run in: what it is built from, and the tag that says so."""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ._codebuild import copy_room

_PACKAGE = Path(__file__).parent
_BESIDE = ("Dockerfile", "requirements.txt")


def furnish(folder: Path) -> None:
    """Write what the image is built from into a new folder.

    Args:
        folder: Where; it gets a Dockerfile and the rooms of this package that the monitor's program needs.
    """
    package = folder / _PACKAGE.name
    package.mkdir(parents=True)
    shutil.copy(_PACKAGE / "__init__.py", package)
    for room in ("drift", "runtime"):
        copy_room(room, package / room)
    for name in _BESIDE:
        shutil.move(package / "drift" / name, folder / name)


@cache
def tag() -> str:
    """The image's tag: another content is another tag, for tags never change what they stand for."""
    digest = hashlib.sha256()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch, "image")
        furnish(folder)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return f"monitor-{digest.hexdigest()[:16]}"
