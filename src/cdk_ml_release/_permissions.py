"""What a role may do, and why each wildcard in it is as narrow as AWS lets it be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_cdk import Acknowledgment, Aws, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

CDK_BUCKET_ACTIONS = ("s3:GetObject*", "s3:GetBucket*", "s3:List*", "s3:DeleteObject*", "s3:Abort*")
"""The wildcards in what CDK's own constructs give to those who read and write a bucket."""


@dataclass(frozen=True)
class Allow:
    """A statement of a policy."""

    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Any] | None = None
    because: str = ""
    """Why a wildcard among the resources cannot be narrower: what cdk-nag asks for as evidence."""

    def to_json(self) -> dict[str, Any]:
        """The statement as IAM reads it."""
        condition = {"Condition": self.conditions} if self.conditions is not None else {}
        return {"Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)} | condition


def role(
    scope: Construct,
    construct_id: str,
    service: str,
    allows: Iterable[Allow],
    *,
    trusts: Mapping[str, Any] | None = None,
) -> iam.Role:
    """A role of ``service`` with a policy of its own, which is there before anything can use the role.

    Args:
        scope: The construct that the role belongs to.
        construct_id: Unique among the children of ``scope``.
        service: Who assumes it, such as ``codebuild.amazonaws.com``.
        allows: What it may do.
        trusts: Conditions under which it can be assumed. Default: none.
    """
    document = {"Version": "2012-10-17", "Statement": [each.to_json() for each in allows]}
    return iam.Role(
        scope,
        construct_id,
        assumed_by=iam.ServicePrincipal(service, conditions=trusts),
        inline_policies={"Release": iam.PolicyDocument.from_json(document)},
    )


def grant(grantee: iam.IGrantable, allows: Sequence[Allow]) -> iam.Grant:
    """Add statements to the policy of someone else's principal."""
    first, *rest = [
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(each.actions),
            resource_arns=list(each.resources),
            conditions=each.conditions,
        )
        for each in allows
    ]
    for each in rest:
        first = first.combine(each)
    return first


def findings(scope: Construct, allows: Iterable[Allow]) -> dict[str, str]:
    """What cdk-nag finds in these statements: the finding's id to the reason why it may stand.

    Args:
        scope: Any construct of the stack that the roles are in.
        allows: What they may do; cdk-nag asks for every wildcard by the text that the template gives it.
    """
    actions, resources = _wildcards(allows)
    # One round trip for all of them.
    texts = [_flat(each) for each in Stack.of(scope).resolve(list(resources))]
    found = {f"Action::{action}": why for action, why in actions.items()}
    found |= {f"Resource::{text}": why for text, why in zip(texts, resources.values(), strict=True)}
    return {f"AwsSolutions-IAM5[{each}]": "; ".join(why) for each, why in found.items()}


def acknowledge(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Acknowledge findings under ``scope``, so that nobody who uses this library has to answer for it."""
    Validations.of(scope).acknowledge(*[Acknowledgment(id=each, reason=why) for each, why in reasons.items()])


def _wildcards(allows: Iterable[Allow]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The actions and the resources that have a wildcard, with the reasons for it."""
    actions: dict[str, list[str]] = {}
    resources: dict[str, list[str]] = {}
    for each in allows:
        for where, names in ((actions, each.actions), (resources, each.resources)):
            for name in names:
                # An ARN shows its wildcard beside the tokens in it.
                if "*" in name and each.because not in where.setdefault(name, []):
                    where[name].append(each.because)
    return actions, resources


def _flat(value: Any) -> str:
    """A resolved value in the words of cdk-nag's findings."""
    match value:
        case str():
            return value
        case {"Fn::Join": [delimiter, parts]}:
            return str(delimiter).join(_flat(part) for part in parts)
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::Sub": str(text)}:
            return text.replace("${", "<").replace("}", ">")
    return json.dumps(value, separators=(",", ":"))


@cache
def _own(service: str) -> str:
    # Three round trips to the CDK kernel, of which a pipeline would need dozens.
    return f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}:"


def arn(service: str, resource: str) -> str:
    """The ARN of something in the stack's own account and region."""
    return _own(service) + resource


def pass_role(role_arn: str, service: str) -> Allow:
    """Hand a role to a service, and to no other one."""
    return Allow(["iam:PassRole"], [role_arn], {"StringEquals": {"iam:PassedToService": service}})


@dataclass(frozen=True, kw_only=True)
class RepoPermissions:
    """What can be allowed on the home of a model, made from ARNs that were read from its constructs once."""

    bucket_arn: str
    key_arn: str | None
    data_bucket_arn: str
    data_prefix: str
    data_key_arn: str | None
    images_arn: str

    def read_data(self) -> list[Allow]:
        """List and read the raw data."""
        because = "the raw data is whatever was uploaded under its prefix"
        return _read(self.data_bucket_arn, self.data_prefix, self.data_key_arn, because)

    def read_runs(self) -> list[Allow]:
        """List and read the files of every run."""
        return _read(self.bucket_arn, "runs/", self.key_arn, "every execution has a folder of its own under runs/")

    def read_in_service(self) -> list[Allow]:
        """List and read the records of what is in service."""
        return _read(self.bucket_arn, "in-service/", self.key_arn, "every endpoint of the model has a record there")

    def write(self, pattern: str, because: str = "") -> list[Allow]:
        """Write the objects of the repo's bucket whose key matches ``pattern``."""
        return [
            Allow(["s3:PutObject", "s3:AbortMultipartUpload"], [f"{self.bucket_arn}/{pattern}"], because=because),
            # S3 decrypts the parts of an upload to put them together.
            *_use_key(self.key_arn, "kms:Decrypt", "kms:GenerateDataKey"),
        ]

    def pull(self) -> list[Allow]:
        """Pull the model's images."""
        return [
            Allow(["ecr:GetAuthorizationToken"], ["*"], because="a registry's token is not tied to a repository"),
            Allow(
                ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
                [self.images_arn],
            ),
        ]

    def encrypt_volumes(self) -> list[Allow]:
        """Attach volumes that are encrypted with the repo's key: SageMaker's guide asks for grants."""
        return _use_key(self.key_arn, "kms:CreateGrant", "kms:DescribeKey")


def _read(bucket_arn: str, prefix: str, key_arn: str | None, because: str) -> list[Allow]:
    return [
        Allow(["s3:ListBucket"], [bucket_arn], {"StringLike": {"s3:prefix": [f"{prefix}*"]}}),
        Allow(["s3:GetObject"], [f"{bucket_arn}/{prefix}*"], because=because),
        *_use_key(key_arn, "kms:Decrypt"),
    ]


def _use_key(key_arn: str | None, *actions: str) -> list[Allow]:
    return [] if key_arn is None else [Allow(actions, [key_arn])]
