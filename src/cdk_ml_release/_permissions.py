"""What a role may do, and why each wildcard in it is as narrow as AWS lets it be."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_cdk import Acknowledgment, Aws, CfnResource, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

CDK_BUCKET_ACTIONS = ("s3:GetObject*", "s3:GetBucket*", "s3:List*", "s3:DeleteObject*", "s3:Abort*")
"""The wildcards in what CDK's own constructs give to those who read and write a bucket."""

CDK_KEY_ACTIONS = ("kms:ReEncrypt*", "kms:GenerateDataKey*")
"""The wildcards in what they give on its key."""


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
    own_account_only: bool = False,
    role_name: str | None = None,
) -> iam.Role:
    """A role of ``service`` with a policy of its own, which is there before anything can use the role.

    Args:
        scope: The construct that the role belongs to.
        construct_id: Unique among the children of ``scope``.
        service: Who assumes it, such as ``codebuild.amazonaws.com``.
        allows: What it may do.
        own_account_only: Whether the service may assume it on behalf of this account only.
        role_name: What it is called. Default: CloudFormation makes a name.
    """
    document = {"Version": "2012-10-17", "Statement": [each.to_json() for each in allows]}
    return iam.Role(
        scope,
        construct_id,
        assumed_by=_principal(service, own_account_only),
        inline_policies={"Release": iam.PolicyDocument.from_json(document)},
        role_name=role_name,
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


def acknowledge(scope: IConstruct, explain: Callable[[], Mapping[str, str]]) -> None:
    """Answer cdk-nag for the constructs under ``scope``, so that nobody who uses this library has to.

    The answers take a tenth of the time that the constructs take: only an app that has loaded cdk-nag pays for them.

    Args:
        scope: Where the answers hold.
        explain: Makes them: a finding's id to the reason why it may stand.
    """
    if "cdk_nag" in sys.modules:
        rules = [Acknowledgment(id=finding, reason=reason) for finding, reason in explain().items()]
        Validations.of(scope).acknowledge(*rules)


def accept_dependencies(resource: CfnResource) -> None:
    """Keep cfn-lint silent where CDK writes a dependency that a reference implies: it is needless and does no harm."""
    resource.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})


def wildcards(scope: Construct, allows: Iterable[Allow]) -> dict[str, str]:
    """What cdk-nag finds in these statements: the finding's id to the reason why it may stand.

    Args:
        scope: Any construct of the stack that the roles are in.
        allows: What they may do; cdk-nag asks for every wildcard by the text that the template gives it.
    """
    actions: dict[str, list[str]] = {}
    resources: dict[str, list[str]] = {}
    for each in allows:
        for where, names in ((actions, each.actions), (resources, each.resources)):
            for name in names:
                # An ARN shows its wildcard beside the tokens in it.
                if "*" in name and each.because not in where.setdefault(name, []):
                    where[name].append(each.because)
    texts = [_flat(each) for each in Stack.of(scope).resolve(list(resources))]
    found = {f"Action::{action}": why for action, why in actions.items()}
    found |= {f"Resource::{text}": why for text, why in zip(texts, resources.values(), strict=True)}
    return {f"AwsSolutions-IAM5[{each}]": "; ".join(why) for each, why in found.items()}


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


# Each of these is a round trip to the CDK kernel, of which a pipeline would make dozens.
@cache
def _partition() -> str:
    return Aws.PARTITION


@cache
def _account() -> str:
    return Aws.ACCOUNT_ID


@cache
def _region_and_account() -> str:
    return f"{Aws.REGION}:{_account()}"


@cache
def _principal(service: str, own_account_only: bool) -> iam.ServicePrincipal:
    only = {"StringEquals": {"aws:SourceAccount": _account()}} if own_account_only else None
    return iam.ServicePrincipal(service, conditions=only)


def arn(service: str, resource: str) -> str:
    """The ARN of something in the stack's own account and region."""
    return f"arn:{_partition()}:{service}:{_region_and_account()}:{resource}"


def global_arn(service: str, resource: str) -> str:
    """The ARN of something in the stack's own account that belongs to no region."""
    return f"arn:{_partition()}:{service}::{_account()}:{resource}"


def bucket_arn(bucket_name: str) -> str:
    """The ARN of a bucket, whose objects' ARNs begin with it."""
    return f"arn:{_partition()}:s3:::{bucket_name}"


def pass_to_sagemaker(*roles: iam.IRole) -> Allow:
    """Hand roles to SageMaker, and to no other service."""
    service = "sagemaker.amazonaws.com"
    return Allow(
        ["iam:PassRole"], [each.role_arn for each in roles], {"StringEquals": {"iam:PassedToService": service}}
    )


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
        return read_prefixes(self.data_bucket_arn, [self.data_prefix], self.data_key_arn, because)

    def list_data(self) -> list[Allow]:
        """See which raw data there is, but not what is in it."""
        return [_list(self.data_bucket_arn, [f"{self.data_prefix}*"])]

    def read(self, *folders: str) -> list[Allow]:
        """List and read the files of ``runs``, one folder for each execution, or of ``in-service``."""
        because = "every execution has a folder of its own, every endpoint a record"
        return read_prefixes(self.bucket_arn, [f"{folder}/" for folder in folders], self.key_arn, because)

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


def read_prefixes(bucket_arn: str, prefixes: Sequence[str], key_arn: str | None, because: str) -> list[Allow]:
    """List and read every object under some prefixes of a bucket, and decrypt it where there is a key."""
    patterns = [f"{prefix}*" for prefix in prefixes]
    return [
        _list(bucket_arn, patterns),
        Allow(["s3:GetObject"], [f"{bucket_arn}/{pattern}" for pattern in patterns], because=because),
        *_use_key(key_arn, "kms:Decrypt"),
    ]


def _list(bucket_arn: str, patterns: Sequence[str]) -> Allow:
    return Allow(["s3:ListBucket"], [bucket_arn], {"StringLike": {"s3:prefix": list(patterns)}})


def _use_key(key_arn: str | None, *actions: str) -> list[Allow]:
    return [] if key_arn is None else [Allow(actions, [key_arn])]
