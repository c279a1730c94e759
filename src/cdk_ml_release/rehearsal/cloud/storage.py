"""Files between the rehearsed S3 and a container's folders, with the rights of the container's role."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class NothingThere(Exception):
    """A prefix without objects."""


def split(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an ``s3://`` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def download(s3: Any, uri: str, folder: Path) -> None:
    """Fetch every object under a prefix, as SageMaker does for ``S3Prefix``.

    Raises:
        NothingThere: if there is no object.
    """
    bucket, prefix = split(uri)
    folder.mkdir(parents=True, exist_ok=True)
    cut = prefix.rfind("/") + 1
    for key in keys(s3, uri):
        target = folder / key[cut:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def keys(s3: Any, uri: str) -> list[str]:
    """The keys of all objects under a prefix, without those that merely stand for a folder.

    Raises:
        NothingThere: if there is no object.
    """
    bucket, prefix = split(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = [entry["Key"] for page in pages for entry in page.get("Contents", ()) if not entry["Key"].endswith("/")]
    if not found:
        raise NothingThere(f"no S3 objects found under {uri}")
    return found


def upload(s3: Any, folder: Path, uri: str) -> None:
    """Store every file under a folder; symbolic links are left out, as SageMaker leaves them out."""
    bucket, prefix = split(uri.rstrip("/"))
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            key = f"{prefix}/{path.relative_to(folder).as_posix()}"
            s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
