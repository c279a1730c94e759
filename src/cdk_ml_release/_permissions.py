"""What a role may do, and why each wildcard in it is as narrow as AWS lets it be."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aws_cdk import Acknowledgment, Validations
from constructs import Construct, IConstruct

from ._place import stack_of
from ._resource import rendered, token

if TYPE_CHECKING:
    from aws_cdk import aws_iam as iam

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
        return {"Effect": "Allow", "Action": _listed(self.actions), "Resource": _listed(self.resources)} | condition


def _listed(names: Sequence[str]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)


def grant(grantee: iam.IGrantable, allows: Sequence[Allow]) -> iam.Grant:
    """Add statements to the policy of someone else's principal."""
    from aws_cdk import aws_iam as iam

    first, *rest = [
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=list(each.actions),
            resource_arns=[token(resource) for resource in each.resources],
            conditions=each.conditions,
        )
        for each in allows
    ]
    for each in rest:
        first = first.combine(each)
    return first


def statement(allow: Allow) -> iam.PolicyStatement:
    """A statement as a construct of CDK's takes it."""
    from aws_cdk import aws_iam as iam

    return iam.PolicyStatement(
        actions=list(allow.actions),
        resources=[token(resource) for resource in allow.resources],
        conditions=allow.conditions,
    )


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
    stack = stack_of(scope)
    texts = [_flat(each) for each in stack.resolve(rendered(list(resources), stack))]
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


OWN_REGION = "${AWS::Region}"
"""The region of the stack that a text is written into."""


def arn(service: str, resource: str, region: str = OWN_REGION) -> str:
    """The ARN of something in the stack's own account, and in its region unless another one is named."""
    return f"arn:${{AWS::Partition}}:{service}:{region}:${{AWS::AccountId}}:{resource}"


def global_arn(service: str, resource: str) -> str:
    """The ARN of something in the stack's own account that belongs to no region."""
    return f"arn:${{AWS::Partition}}:{service}::${{AWS::AccountId}}:{resource}"


def bucket_arn(bucket_name: str) -> str:
    """The ARN of a bucket, whose objects' ARNs begin with it."""
    return f"arn:${{AWS::Partition}}:s3:::{bucket_name}"


def write_log(log_group: str, because: str) -> Allow:
    """Write the log of a program that makes its group and its streams itself.

    Args:
        log_group: The group.
        because: Who names the streams, so that their ARNs cannot be written out.
    """
    group = arn("logs", f"log-group:{log_group}")
    verbs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    return Allow(verbs, [group, f"{group}:*"], because=because)


def pass_role(service: str, *role_arns: str) -> Allow:
    """Hand roles to a service, and to no other one."""
    return Allow(["iam:PassRole"], role_arns, {"StringEquals": {"iam:PassedToService": service}})


@dataclass(frozen=True, kw_only=True)
class RepoPermissions:
    """The home of a model in the texts that its users write into their resources, and what they may do there.

    Attributes:
        bucket_account: The account of the bucket, where anybody could know its name, and take it once it is free.
        key_alias: The alias of the key, where ``key_arn`` is a pattern because the key's ARN cannot be known.
        region: The region that it is in.
    """

    model_name: str
    bucket_name: str
    bucket_arn: str
    key_arn: str | None
    data_bucket_name: str
    data_bucket_arn: str
    data_prefix: str
    data_key_arn: str | None
    images_name: str
    images_arn: str
    bucket_account: str | None = None
    key_alias: str | None = None
    region: str = OWN_REGION

    @property
    def data_uri(self) -> str:
        """The S3 URI of the raw data, with a slash at its end."""
        return f"s3://{self.data_bucket_name}/{self.data_prefix}"

    @property
    def images_uri(self) -> str:
        """Where images are pushed to and pulled from."""
        return f"${{AWS::AccountId}}.dkr.ecr.{self.region}.${{AWS::URLSuffix}}/{self.images_name}"

    @property
    def versions_arn(self) -> str:
        """What the ARN of every version begins with: a slash and the version's number follow."""
        return arn("sagemaker", f"model-package/{self.model_name}", self.region)

    @property
    def package_arn(self) -> str:
        """The ARN pattern of every version of the model."""
        return f"{self.versions_arn}/*"

    @property
    def package_group_arn(self) -> str:
        """The ARN of the model package group."""
        return arn("sagemaker", f"model-package-group/{self.model_name}", self.region)

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
        prefixes = [f"{folder}/" for folder in folders]
        found = read_prefixes(self.bucket_arn, prefixes, None, because)
        return [*(in_account(each, self.bucket_account) for each in found), *self.use_key("kms:Decrypt")]

    def write(self, pattern: str, because: str = "") -> list[Allow]:
        """Write the objects of the repo's bucket whose key matches ``pattern``."""
        put = Allow(["s3:PutObject", "s3:AbortMultipartUpload"], [f"{self.bucket_arn}/{pattern}"], because=because)
        return [
            in_account(put, self.bucket_account),
            # S3 decrypts the parts of an upload to put them together.
            *self.use_key("kms:Decrypt", "kms:GenerateDataKey"),
        ]

    def pull(self) -> list[Allow]:
        """Pull the model's images."""
        return [
            Allow(["ecr:GetAuthorizationToken"], ["*"], because="a registry's token is not tied to a repository"),
            self.read_images(),
        ]

    def read_images(self) -> Allow:
        """Read the model's images by calls that need no token."""
        verbs = ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
        return Allow(verbs, [self.images_arn])

    def write_images(self) -> Allow:
        """Push images, and see which are there."""
        verbs = ["CompleteLayerUpload", "DescribeImages", "InitiateLayerUpload", "PutImage", "UploadLayerPart"]
        return Allow([f"ecr:{verb}" for verb in verbs], [self.images_arn])

    def register(self) -> list[Allow]:
        """Register versions of the model, and look at them."""
        because = "SageMaker numbers the versions"
        return [
            Allow(["sagemaker:CreateModelPackage"], [self.package_group_arn, self.package_arn], because=because),
            Allow(["sagemaker:DescribeModelPackage"], [self.package_arn], because=because),
        ]

    def encrypt_volumes(self) -> list[Allow]:
        """Attach volumes that are encrypted with the repo's key: SageMaker's guide asks for grants."""
        return self.use_key("kms:CreateGrant", "kms:DescribeKey")

    def use_key(self, *actions: str) -> list[Allow]:
        """Use the key, if there is one."""
        return use_key(actions, self.key_arn, self.key_alias)


def read_prefixes(bucket_arn: str, prefixes: Sequence[str], key_arn: str | None, because: str) -> list[Allow]:
    """List and read every object under some prefixes of a bucket, and decrypt it where there is a key."""
    patterns = [f"{prefix}*" for prefix in prefixes]
    return [
        _list(bucket_arn, patterns),
        Allow(["s3:GetObject"], [f"{bucket_arn}/{pattern}" for pattern in patterns], because=because),
        *use_key(["kms:Decrypt"], key_arn),
    ]


def _list(bucket_arn: str, patterns: Sequence[str]) -> Allow:
    return Allow(["s3:ListBucket"], [bucket_arn], {"StringLike": {"s3:prefix": list(patterns)}})


def in_account(allow: Allow, account: str | None) -> Allow:
    """The same, on nothing but resources of an account, if one is named."""
    if account is None:
        return allow
    conditions = dict(allow.conditions or {})
    conditions["StringEquals"] = {**conditions.get("StringEquals", {}), "aws:ResourceAccount": account}
    return replace(allow, conditions=conditions)


def use_key(actions: Sequence[str], key_arn: str | None, alias: str | None = None, because: str = "") -> list[Allow]:
    """Use a key, if there is one.

    Args:
        actions: What for.
        key_arn: The key.
        alias: What it is called, where ``key_arn`` is a pattern.
        because: Why there are wildcards among the actions.
    """
    if key_arn is None:
        return []
    if alias is None:
        return [Allow(actions, [key_arn], because=because)]
    # A policy may name a key by its alias only like this: as a resource, an alias is not the key behind it.
    called = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
    unknown = "the deployment makes the key's id; the condition says which key it is by its alias"
    return [Allow(actions, [key_arn], called, because="; ".join(filter(None, [because, unknown])))]
