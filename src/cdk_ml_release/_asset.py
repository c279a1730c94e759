"""Folders among the app's assets, written by this process: CDK's own staging reads and copies every file twice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from weakref import WeakKeyDictionary

from aws_cdk import DefaultStackSynthesizer, FileAssetPackaging, IStackSynthesizer, Stack, Stage
from constructs import Construct

from ._place import stack_of


@dataclass(frozen=True)
class Asset:
    """An archive in the bucket that the account's bootstrap has made.

    Attributes:
        bucket_name: The bucket.
        key: Its key there, which changes with its content.
    """

    bucket_name: str
    key: str


def add_folder(scope: Construct, files: Mapping[str, bytes]) -> Asset:
    """Put a folder among the assets; it is uploaded as a zip archive.

    Args:
        scope: Whose stack needs it.
        files: Path to content.
    """
    digest = _digest(files)
    shelf = _shelves.get(stack := stack_of(scope)) or _shelves.setdefault(stack, _Shelf(stack))
    shelf.write(f"asset.{digest}", files)
    location = shelf.synthesizer.add_file_asset(
        source_hash=digest, file_name=f"{shelf.path}asset.{digest}", packaging=FileAssetPackaging.ZIP_DIRECTORY
    )
    return Asset(shelf.bucket_named(location.bucket_name), location.object_key)


def _digest(files: Mapping[str, bytes]) -> str:
    digest = sha256()
    for path, content in sorted(files.items()):
        for part in (path.encode(), content):
            digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()


class _Shelf:
    """Where the assets of a stack are put."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._bucket: str | None = None

    def write(self, name: str, files: Mapping[str, bytes]) -> None:
        """Write a folder, unless it is there."""
        folder = self.outdir / name
        if folder.exists():
            return
        for parent in {(folder / path).parent for path in files}:
            parent.mkdir(parents=True, exist_ok=True)
        written = _written.setdefault(self.outdir, {})
        for path, content in files.items():
            file = folder / path
            # Every stage brings the same programs: one file with several names is several times as fast as copies.
            first = written.setdefault(content, file)
            if first is file or not _linked(file, first):
                file.write_bytes(content)

    def bucket_named(self, name: str) -> str:
        """A bucket's name as CloudFormation spells it, for it becomes a part of longer texts."""
        if self._bucket is None or not isinstance(self.synthesizer, DefaultStackSynthesizer):
            bucket = self._stack.resolve(name)
            self._bucket = bucket["Fn::Sub"] if isinstance(bucket, dict) else bucket
        return self._bucket

    @cached_property
    def synthesizer(self) -> IStackSynthesizer:
        return self._stack.synthesizer

    @cached_property
    def _stage(self) -> Stage:
        stage = Stage.of(self._stack)
        assert stage is not None, "every stack is in an app"
        return stage

    @cached_property
    def outdir(self) -> Path:
        return Path(self._stage.asset_outdir)

    @cached_property
    def path(self) -> str:
        """What leads there from the folder of the stack's manifest."""
        path = Path(os.path.relpath(self.outdir, self._stage.outdir)).as_posix()
        return "" if path == "." else f"{path}/"


def _linked(file: Path, first: Path) -> bool:
    try:
        file.hardlink_to(first)
    except OSError:
        return False
    return True


_written: dict[Path, dict[bytes, Path]] = {}
_shelves: WeakKeyDictionary[Stack, _Shelf] = WeakKeyDictionary()
