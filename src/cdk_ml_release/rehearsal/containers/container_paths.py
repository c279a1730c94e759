"""Container paths: which paths of a container its program sees as they are, and where the others lie."""

from __future__ import annotations

import json
import os
import posixpath
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["INIT_COMMAND", "SWITCH", "ContainerPaths", "Layout", "namespaces_work", "plan_paths"]

SWITCH = "ML_REHEARSAL_NAMESPACES"
INIT_COMMAND = [sys.executable, "-I", "-S", str(Path(__file__).with_name("container_init.py"))]

# name -> what is shown there: a path of this machine, or a folder that holds more
Layout: TypeAlias = dict[str, Any]

_ML = "/opt/ml"
# shared with this machine while a container runs, or too much of it to show piece by piece
_LEFT_ALONE = ("dev", "proc", "root", "run", "sys", "tmp")
_PATH = re.compile(r"(?<![^\s:=,;\"'(\[])/[^\s:=,;\"'()\[\]]+")


@dataclass(frozen=True, kw_only=True)
class ContainerPaths:
    """Where the paths of one container are.

    ``root`` plays its file system, ``opt_ml`` its ``/opt/ml``. ``layout`` is what it sees at real paths;
    None means nothing: then every path is replaced by the one on this machine.
    """

    root: Path
    opt_ml: Path
    layout: Layout | None

    def on_host(self, path: str) -> Path:
        """Where a path of the container lies on this machine."""
        path = posixpath.normpath(path)
        if _is_ml(path):
            return self.opt_ml / path.removeprefix(_ML).lstrip("/")
        return self.root / path.lstrip("/")

    def seen(self, path: str) -> str:
        """The path under which the program finds a path of the container."""
        normal = posixpath.normpath(path)
        host = self.on_host(normal)
        if self._is_real(normal) or not (host.exists() or _is_ml(normal)):
            return path
        return str(host) + ("/" if path.endswith("/") and normal != "/" else "")

    def translate(self, text: str) -> str:
        """Replace each of the container's paths in a text that the program cannot see as it is."""
        return _PATH.sub(lambda match: self.seen(match[0]), text)

    def _is_real(self, path: str) -> bool:
        node: Any = self.layout
        for part in path.strip("/").split("/") if path != "/" else []:
            if not isinstance(node, dict):
                break
            node = node.get(part)
        return node is not None


def _is_ml(path: str) -> bool:
    return path == _ML or path.startswith(_ML + "/")


def plan_paths(root: Path, opt_ml: Path, needed: Iterable[Path]) -> ContainerPaths:
    """Decide what a container sees at its real path.

    Args:
        root: The folder that plays the container's file system.
        opt_ml: The folder that plays ``/opt/ml``.
        needed: Paths of this machine that the program needs at their own place. If the image has something
            else there, nothing is at its real path.
    """
    layout: Layout | None = None
    if namespaces_work():
        layout = {"opt": {"ml": str(opt_ml)}}
        _merge(layout, root, Path("/"))
        if any(_hides(layout, path) for path in needed):
            layout = None
    return ContainerPaths(root=root, opt_ml=opt_ml, layout=layout)


def _merge(layout: Layout, folder: Path, host: Path) -> None:
    for entry in sorted(folder.iterdir()):
        there = host / entry.name
        known = layout.get(entry.name)
        if isinstance(known, str) or (host == Path("/") and entry.name in _LEFT_ALONE):
            continue
        is_folder = entry.is_dir() and not entry.is_symlink()
        if is_folder and there.is_symlink():
            continue  # such as /bin; its target may hold everything
        if is_folder and (known is not None or there.is_dir()):
            inner: Layout = known or {}
            _merge(inner, entry, there)
            if inner:
                layout[entry.name] = inner
        else:
            layout[entry.name] = str(entry)


def _hides(layout: Layout, path: Path) -> bool:
    node: Any = layout
    for part in path.absolute().parts[1:]:
        node = node.get(part)
        if not isinstance(node, dict):
            return node is not None
    return False


def namespaces_work() -> bool:
    """Whether a container can see its files at their real paths, without a change to this machine.

    It can on Linux, if this user may have mounts and processes of its own; inside a Docker container, for
    example, it usually may not. Setting ``ML_REHEARSAL_NAMESPACES`` to ``off`` says no.
    """
    return os.environ.get(SWITCH, "").lower() != "off" and sys.platform == "linux" and _probe()


@cache
def _probe() -> bool:
    # the answer depends on kernel, security modules and capabilities, so: do it once, and look
    with tempfile.TemporaryDirectory(prefix="container-") as name:
        folder = Path(name)
        (folder / "new").mkdir()
        (folder / "shown").write_text("")
        spec = {
            "program": "/bin/sh",
            "arguments": ["sh", "-c", "test -f /opt/ml/shown && test $$ = 1"],
            "environment": {},
            "workdir": "/",
            "layout": {"opt": {"ml": name}},
            "file_system": str(folder / "new"),
            "folders": [],
        }
        with subprocess.Popen(
            INIT_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as tried:
            assert tried.stdin
            tried.stdin.write(json.dumps(spec).encode() + b"\n")
            tried.stdin.flush()  # and leave it open: the end of the input means that we died
            return tried.wait() == 0
