"""Where a pipeline's actions find in one region what other actions hand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from constructs import Construct

from ._permissions import Allow, in_account, use_key

if TYPE_CHECKING:
    from aws_cdk import aws_s3 as s3

_BOTH_KINDS = "AWS asks for both kinds of each, with and without a key's text, where services use a key"


@dataclass(frozen=True, kw_only=True)
class ArtifactStore:
    """A bucket of one region; CodePipeline copies there whatever the actions of that region need.

    Attributes:
        region: The region.
        bucket_name: The bucket.
        bucket_arn: Its ARN.
        bucket_account: Its account, where anybody could know its name.
        key_id: What CodePipeline is told of its key, if it has one.
        key_arn: The key in policies.
        key_alias: What the key is called, where ``key_arn`` is a pattern.
        scope: Something in the bucket's stack.
    """

    region: str
    bucket_name: str
    bucket_arn: str
    bucket_account: str | None = None
    key_id: str | None = None
    key_arn: str | None = None
    key_alias: str | None = None
    scope: Construct

    def to_json(self) -> dict[str, Any]:
        """The store in the words of CloudFormation."""
        key = {"Id": self.key_id, "Type": "KMS"} if self.key_id is not None else None
        return {"Type": "S3", "Location": self.bucket_name, "EncryptionKey": key}

    def use(self) -> list[Allow]:
        """What the pipeline's role needs of it."""
        return [*self.read(), *self.write(), *self.look()]

    def look(self) -> list[Allow]:
        """Look at the bucket itself."""
        verbs = ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"]
        return [in_account(Allow(verbs, [self.bucket_arn]), self.bucket_account)]

    def read(self) -> list[Allow]:
        """Read what was handed on."""
        return self._allow(["s3:GetObject", "s3:GetObjectVersion"], ["kms:Decrypt", "kms:DescribeKey"])

    def write(self) -> list[Allow]:
        """Hand something on."""
        return self._allow(["s3:PutObject"], ["kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"])

    def _allow(self, verbs: Sequence[str], with_key: Sequence[str]) -> list[Allow]:
        objects = Allow(verbs, [f"{self.bucket_arn}/*"], because="CodePipeline makes the keys of what actions hand on")
        return [
            in_account(objects, self.bucket_account),
            *use_key(with_key, self.key_arn, self.key_alias, _BOTH_KINDS),
        ]

    def key_statements(self) -> list[Allow]:
        """Those of ``use`` that are about its key."""
        return [each for each in self.use() if self.key_arn in each.resources]

    def construct(self, pipeline: Construct) -> s3.IBucket:
        """The bucket as a construct of CDK's, in its own stack, for a pipeline in another one."""
        from aws_cdk import aws_kms as kms
        from aws_cdk import aws_s3 as s3

        from ._resource import token

        # In the pipeline's stack: to use a key of another region's stack, CDK would let its role use every key.
        name = f"Store{self.region}"
        key = kms.Key.from_key_arn(pipeline, f"{name}Key", token(self.key_id)) if self.key_id is not None else None
        return s3.Bucket.from_bucket_attributes(
            self.scope, "Store", bucket_name=self.bucket_name, encryption_key=key, region=self.region
        )
