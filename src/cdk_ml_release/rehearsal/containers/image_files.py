"""Image files: what COPY and ADD take from a folder, and what they leave in the image."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..archives import untar

__all__ = ["FileTree", "copy_files", "digest_of", "host_path"]

_GLOB = re.compile(r"[*?\[]")

Copied = Callable[[str, Path], None]


class FileTree:
    """A folder that COPY may take files from: the build context, or the root of another stage."""

    def __init__(self, folder: Path, ignore_file: Path | None = None) -> None:
        self.folder = folder
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        lines = ignore_file.read_text(encoding="utf-8-sig").splitlines() if ignore_file else []
        for line in (line.strip() for line in lines):
            kept = line.startswith("!")
            pattern = posixpath.normpath("/" + line.lstrip("!").strip()).lstrip("/")
            if line and not line.startswith("#") and pattern:
                self._rules.append((kept, _pattern(pattern)))
        self._may_return = any(kept for kept, _rule in self._rules)

    def find(self, source: str) -> list[Path]:
        """The files and folders that a source of COPY names; empty if there are none."""
        # a source cannot leave the folder: Docker reads ../a as a
        name = posixpath.normpath("/" + source).lstrip("/")
        if not name:
            return [self.folder]
        found = sorted(self.folder.glob(name)) if _GLOB.search(name) else [self.folder / name]
        top = self.folder.resolve()
        return [path for path in found if path.exists() and path.resolve().is_relative_to(top) and self._has(path)]

    def walk(self, folder: Path) -> Iterator[Path]:
        """Everything below a folder that the ignore file leaves in, parents first."""
        for path in sorted(folder.iterdir()):
            is_folder = path.is_dir() and not path.is_symlink()
            ignored = self._is_ignored(path)
            if not ignored:
                yield path
            if is_folder and (not ignored or self._may_return):
                yield from self.walk(path)

    def _has(self, path: Path) -> bool:
        if not self._is_ignored(path):
            return True
        return path.is_dir() and self._may_return and any(True for _ in self.walk(path))

    def _is_ignored(self, path: Path) -> bool:
        parts = path.relative_to(self.folder).parts
        names = ["/".join(parts[: length + 1]) for length in range(len(parts))]
        ignored = False
        for kept, rule in self._rules:
            if any(rule.fullmatch(name) for name in names):
                ignored = not kept
        return ignored


def _pattern(text: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", text)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(meaning.get(piece) or (piece if piece.startswith("[") else re.escape(piece)) for piece in pieces)
    )


def host_path(root: Path, container_path: str) -> Path:
    """Where a path of the container lies below ``root``.

    Raises:
        ValueError: if a symbolic link on the way leads out of ``root``.
    """
    path = root / posixpath.normpath("/" + container_path).lstrip("/")
    if path != root and not path.parent.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{container_path} leads out of the image through a symbolic link")
    return path


def copy_files(
    tree: FileTree, sources: Sequence[str], destination: str, *, root: Path, unpack: bool, copied: Copied
) -> None:
    """Copy files into an image, as COPY does.

    Args:
        tree: Where they come from.
        sources: Files, folders (their contents are copied) or patterns.
        destination: An absolute path of the container; with a slash at its end it is a folder.
        root: The folder that plays the container's file system.
        unpack: Whether local tar archives are unpacked, as ADD does.
        copied: Told of each file, with its path in the container and its path on this machine.

    Raises:
        ValueError: if a source is not there, or the destination cannot take it.
    """
    found = {source: tree.find(source) for source in sources}
    for source, paths in found.items():
        if not paths:
            raise ValueError(f"there is no {source!r} in the build context, or .dockerignore leaves it out")
    paths = [path for group in found.values() for path in group]
    into_folder = destination.endswith("/") or host_path(root, destination).is_dir()
    if len(paths) > 1 and not into_folder:
        raise ValueError(f"several files need a folder to go to; end {destination!r} with a slash")
    for path in paths:
        if path.is_dir():
            _copy_folder(tree, path, destination, root, copied)
        elif unpack and tarfile.is_tarfile(path):
            untar(path, host_path(root, destination))
            copied(destination, path)
        else:
            target = posixpath.join(destination, path.name) if into_folder else destination
            _copy_file(path.resolve(), target, root, copied)


def _copy_folder(tree: FileTree, folder: Path, destination: str, root: Path, copied: Copied) -> None:
    host_path(root, destination).mkdir(parents=True, exist_ok=True)
    for path in tree.walk(folder):
        target = posixpath.join(destination, path.relative_to(folder).as_posix())
        if path.is_dir() and not path.is_symlink():
            host_path(root, target).mkdir(parents=True, exist_ok=True)
        else:
            _copy_file(path, target, root, copied)


def _copy_file(path: Path, target: str, root: Path, copied: Copied) -> None:
    on_host = host_path(root, target)
    on_host.parent.mkdir(parents=True, exist_ok=True)
    if on_host.is_symlink() or path.is_symlink():
        on_host.unlink(missing_ok=True)
    shutil.copy2(path, on_host, follow_symlinks=False)
    copied(target, on_host)


def digest_of(path: Path) -> str:
    """A digest of a file, or of everything in a folder: names, contents, and whether it can be run."""
    digest = hashlib.sha256()
    files = [path, *sorted(path.rglob("*"))] if path.is_dir() and not path.is_symlink() else [path]
    for file in files:
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        if file.is_symlink():
            digest.update(str(file.readlink()).encode())
        elif file.is_file():
            digest.update(b"x" if file.stat().st_mode & 0o100 else b"-")
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
