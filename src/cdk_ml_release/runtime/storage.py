"""What the programs read from and write to S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from . import aws
from .contract import StageFailed


def split(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an ``s3://`` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def read(s3: Any, bucket: str, key: str) -> bytes | None:
    """An object's content, or None if there is no such object."""
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if aws.code(error) == "NoSuchKey":
            return None
        # Who may not list the bucket is told AccessDenied of a key that does not exist (source: GetObject in S3's
        # reference). Whether a right to list bound to prefixes is enough it does not say, so the list itself is asked.
        if aws.code(error) == "AccessDenied" and all(entry["Key"] != key for entry in keys(s3, bucket, key)):
            return None
        raise
    return content


def keys(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Every object under a prefix, without those that merely stand for a folder."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (entry for entry in page.get("Contents", ()) if not entry["Key"].endswith("/"))


def data_version(s3: Any, uri: str) -> str:
    """Identify the data under a prefix: the same objects with the same contents give the same 16 characters.

    Raises:
        StageFailed: if there is no data.
    """
    bucket, prefix = split(uri)
    entries = sorted((entry["Key"], entry["ETag"], entry["Size"]) for entry in keys(s3, bucket, prefix))
    if not entries:
        raise StageFailed(f"no data under {uri}: upload at least one object there, then retry the stage")
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:16]


def write_once(s3: Any, bucket: str, key: str, content: str) -> bool:
    """Create an object that must not be overwritten; False if it exists."""
    try:
        aws.retried(
            lambda: s3.put_object(
                Bucket=bucket, Key=key, Body=content.encode(), ContentType="application/json", IfNoneMatch="*"
            ),
            # Two writers at once: S3 asks for another try, and the later one then finds the object.
            {"ConditionalRequestConflict"},
        )
    except ClientError as error:
        if aws.code(error) == "PreconditionFailed":
            return False
        raise
    return True
