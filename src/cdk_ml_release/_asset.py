"""Folders among the app's assets, written by this process: CDK's own staging reads and copies every file twice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from weakref import WeakKeyDictionary

from aws_cdk import DefaultStackSynthesizer, FileAssetPackaging, Stack, Stage
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
    publisher = _publishers.get(stack := stack_of(scope)) or _publishers.setdefault(stack, _Publisher(stack))
    return publisher.publish(digest, files)


def _digest(files: Mapping[str, bytes]) -> str:
    digest = sha256()
    for path, content in sorted(files.items()):
        for part in (path.encode(), content):
            digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()


class _Publisher:
    """What has the assets of a stack uploaded."""

    def __init__(self, stack: Stack) -> None:
        stage = Stage.of(stack)
        assert stage is not None, "every stack is in an app"
        self._shelf = _shelves.get(stage) or _shelves.setdefault(stage, _Shelf(stage))
        self._stack, self._synthesizer = stack, stack.synthesizer
        self._bucket: str | None = None

    def publish(self, digest: str, files: Mapping[str, bytes]) -> Asset:
        """Have a folder uploaded."""
        self._shelf.write(f"asset.{digest}", files)
        location = self._synthesizer.add_file_asset(
            source_hash=digest,
            file_name=f"{self._shelf.path}asset.{digest}",
            packaging=FileAssetPackaging.ZIP_DIRECTORY,
        )
        return Asset(self._written(location.bucket_name), location.object_key)

    def _written(self, bucket: str) -> str:
        """A bucket's name as CloudFormation spells it, for it becomes a part of longer texts."""
        # CDK's own synthesizer has one bucket for everything, under a new token every time.
        if self._bucket is None or not isinstance(self._synthesizer, DefaultStackSynthesizer):
            name = self._stack.resolve(bucket)
            self._bucket = str(name["Fn::Sub"] if isinstance(name, dict) else name)
        return self._bucket


class _Shelf:
    """Where the assets of a stage are put.

    Attributes:
        path: What leads there from the folder of the stage's manifest.
    """

    def __init__(self, stage: Stage) -> None:
        self._folder = Path(stage.asset_outdir)
        path = Path(os.path.relpath(self._folder, stage.outdir)).as_posix()
        self.path = "" if path == "." else f"{path}/"
        self._written: dict[bytes, str] = {}

    def write(self, name: str, files: Mapping[str, bytes]) -> None:
        """Write a folder, unless it is there."""
        folder = self._folder / name
        if folder.exists():
            return
        for parent in {path.rpartition("/")[0] for path in files}:
            (folder / parent).mkdir(parents=True, exist_ok=True)
        # Plain texts: there are hundreds, and a Path takes as long as what is done with it.
        for path, content in files.items():
            file = f"{folder}/{path}"
            # Every stage brings the same programs: one file with several names is several times as fast as copies.
            first = self._written.setdefault(content, file)
            if first is file or not _linked(first, file):
                Path(file).write_bytes(content)


def _linked(first: str, file: str) -> bool:
    try:
        os.link(first, file)
    except OSError:
        return False
    return True


_publishers: WeakKeyDictionary[Stack, _Publisher] = WeakKeyDictionary()
_shelves: WeakKeyDictionary[Stage, _Shelf] = WeakKeyDictionary()
