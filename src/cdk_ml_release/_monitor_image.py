"""The image that a monitor's jobs run in: what it is built from, and the tag that says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ._codebuild import room

_PACKAGE = Path(__file__).parent
_BESIDE = ("drift/Dockerfile", "drift/requirements.txt")


@cache
def files() -> Mapping[str, bytes]:
    """What the image is built from: a Dockerfile and the rooms of this package that the monitor's program needs."""
    rooms = {**room("drift"), **room("runtime")}
    beside = {Path(path).name: rooms.pop(path) for path in _BESIDE}
    package = {"__init__.py": (_PACKAGE / "__init__.py").read_bytes(), **rooms}
    return {f"{_PACKAGE.name}/{path}": content for path, content in package.items()} | beside


@cache
def tag() -> str:
    """The image's tag: another content is another tag, for tags never change what they stand for."""
    digest = hashlib.sha256()
    for path, content in sorted(files().items()):
        digest.update(f"{path}\0".encode() + content + b"\0")
    return f"monitor-{digest.hexdigest()[:16]}"
