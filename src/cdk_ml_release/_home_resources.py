"""What the home of a model is made of, at home and in other regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import RemovalPolicy
from constructs import Construct

from ._bucket import PrivateBucket
from ._resource import Resource

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms


@dataclass(frozen=True)
class HomeResources:
    """The resources of a home that roles elsewhere may be let into."""

    bucket: PrivateBucket
    images: Resource
    versions: Resource


def home_resources(
    scope: Construct, name: str, *, key: kms.IKey | None, removal_policy: RemovalPolicy, **bucket_properties: Any
) -> HomeResources:
    """Define bucket, images and versions of a home.

    Args:
        scope: What they belong to.
        name: What images and versions are called.
        key: Encrypts bucket and images, if there is one.
        removal_policy: What happens to them when they leave the stack.
        bucket_properties: Further ones of the bucket, as CloudFormation spells them.
    """
    bucket = PrivateBucket(
        scope,
        "Bucket",
        key=key,
        keeps={
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
        },
        removal_policy=removal_policy,
        VersioningConfiguration={"Status": "Enabled"},
        **bucket_properties,
    )
    images = {
        "RepositoryName": name,
        "ImageScanningConfiguration": {"ScanOnPush": True},
        "ImageTagMutability": "IMMUTABLE",
        "EncryptionConfiguration": None if key is None else {"EncryptionType": "KMS", "KmsKey": bucket.key_arn},
        "EmptyOnDelete": removal_policy == RemovalPolicy.DESTROY,
    }
    versions = {"ModelPackageGroupName": name, "ModelPackageGroupDescription": f"Released versions of {name}"}
    return HomeResources(
        bucket,
        Resource(scope, "Images", "AWS::ECR::Repository", images, removal_policy=removal_policy),
        Resource(scope, "Versions", "AWS::SageMaker::ModelPackageGroup", versions, removal_policy=removal_policy),
    )
