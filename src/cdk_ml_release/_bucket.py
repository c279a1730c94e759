"""The buckets of a release, which nobody reaches from outside."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms


def private_bucket(
    scope: Construct,
    construct_id: str,
    *,
    key: kms.IKey | None,
    keeps: s3.LifecycleRule,
    removal_policy: RemovalPolicy,
    versioned: bool = False,
) -> s3.Bucket:
    """A bucket that nobody reaches from outside or without TLS, encrypted with ``key`` or S3's own.

    Args:
        scope: The construct that the bucket belongs to.
        construct_id: Unique among the children of ``scope``.
        key: The customer managed key, if there is one.
        keeps: For how long.
        removal_policy: What happens to it when it leaves the stack.
        versioned: Whether what is overwritten stays.
    """
    return s3.Bucket(
        scope,
        construct_id,
        versioned=versioned,
        enforce_ssl=True,
        block_public_access=_nobody_else(),
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        encryption=s3.BucketEncryption.S3_MANAGED if key is None else s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=None if key is None else True,
        lifecycle_rules=[keeps],
        removal_policy=removal_policy,
    )


def check_key_prefix(argument: str, prefix: str, *, example: str) -> None:
    """Refuse what cannot be the prefix of keys that a person has chosen.

    Raises:
        ValueError: if it is no folder, or has characters that S3 advises against.
    """
    if not re.fullmatch(r"[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*/", prefix):
        raise ValueError(f"'{argument}' must be a key prefix that ends with a slash, got {prefix!r}; use '{example}'")


@cache
def _nobody_else() -> s3.BlockPublicAccess:
    return s3.BlockPublicAccess.BLOCK_ALL


@cache
def days(count: int) -> Duration:
    """So many days: the same object each time, for every new one is a round trip to the CDK kernel."""
    return Duration.days(count)
