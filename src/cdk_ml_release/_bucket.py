"""The buckets of a release, which nobody reaches from outside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from aws_cdk import RemovalPolicy
from constructs import Construct

from ._resource import Resource

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3

_NOBODY_ELSE = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


class PrivateBucket(Resource):
    """A bucket that nobody reaches from outside or without TLS, encrypted with a key or S3's own.

    Attributes:
        key: The customer managed key, if there is one.
        policy: The bucket's policy.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey | None,
        keeps: Mapping[str, Any],
        removal_policy: RemovalPolicy,
        **properties: Any,
    ) -> None:
        """Define the bucket.

        Args:
            scope: The construct that the bucket belongs to.
            construct_id: Unique among the children of ``scope``.
            key: The customer managed key, if there is one.
            keeps: For how long: a rule of its lifecycle.
            removal_policy: What happens to it when it leaves the stack.
            properties: Further ones, as CloudFormation spells them.
        """
        self.key = key
        self.key_arn = key.key_arn if key is not None else None
        cipher = {"SSEAlgorithm": "AES256" if key is None else "aws:kms", "KMSMasterKeyID": self.key_arn}
        encryption = {"ServerSideEncryptionByDefault": cipher, "BucketKeyEnabled": None if key is None else True}
        declared = {
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
            "LifecycleConfiguration": {"Rules": [{**keeps, "Status": "Enabled"}]},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": dict.fromkeys(_NOBODY_ELSE, True),
            **properties,
        }
        super().__init__(scope, construct_id, "AWS::S3::Bucket", declared, removal_policy=removal_policy)
        self._statements: list[Mapping[str, Any]] = [
            {
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "s3:*",
                "Resource": [self.arn, f"{self.arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
        policy = {"Bucket": self.ref, "PolicyDocument": self._policy_document}
        self.policy = Resource(scope, f"{construct_id}Policy", "AWS::S3::BucketPolicy", policy)

    def share(self, statement: Mapping[str, Any]) -> None:
        """Add a statement to the bucket's policy."""
        self._statements.append(statement)
        self.policy.change("PolicyDocument", self._policy_document)

    @property
    def _policy_document(self) -> dict[str, Any]:
        return {"Version": "2012-10-17", "Statement": self._statements}

    @cached_property
    def construct(self) -> s3.IBucket:
        """The bucket as a construct of CDK's, to be granted and listened to."""
        from ._cdk_bucket import CdkBucket

        return cast("s3.IBucket", CdkBucket(self))


def check_key_prefix(argument: str, prefix: str, *, example: str) -> None:
    """Refuse what cannot be the prefix of keys that a person has chosen.

    Raises:
        ValueError: if it is no folder, or has characters that S3 advises against.
    """
    if not re.fullmatch(r"[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*/", prefix):
        raise ValueError(f"'{argument}' must be a key prefix that ends with a slash, got {prefix!r}; use '{example}'")
