"""Another region for an endpoint: what SageMaker reads of a model there, and the release fills."""

from __future__ import annotations

from dataclasses import replace
from hashlib import md5
from typing import TYPE_CHECKING

from aws_cdk import Environment, Stack, Stage
from constructs import Construct

from ._artifact_store import ArtifactStore
from ._endpoint_permissions import EndpointPermissions
from ._home_resources import home_resources
from ._permissions import Allow, arn, bucket_arn, in_account
from ._place import stack_of
from ._resource import include
from .artifact_repo import MlArtifactRepo

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_kms as kms

_RUNS = "every execution has a folder of its own under runs/"


def region_home(
    scope: Construct, region: str, *, endpoint_name: str, repo: MlArtifactRepo, vpc: ec2.IVpc | None
) -> RegionHome:
    """The home of a model in the region that its endpoint is to be in.

    Raises:
        ValueError: if an endpoint cannot be released to there.
    """
    if vpc is not None:
        raise ValueError(
            f"'env' of another region, {region}, cannot be used with 'vpc', whose security group would have to be "
            "made there; leave it out, or define another MlPipeline in a stack in that region"
        )
    return RegionHome(scope, region, endpoint_name=endpoint_name, repo=repo)


class RegionHome:
    """Bucket, images, versions and key of one endpoint in its region, in a stack of their own.

    They have names, so that the stack of the release needs no exports of theirs, which CloudFormation does not have
    across regions. The raw data, the code and all that came before the model stay at home.

    Attributes:
        stack: Their stack, deployed before those that name them.
        region: The region.
        repo: The home in the texts of policies.
        key_id: The key as SageMaker and CodePipeline are told of it, if there is one.
        store: The bucket for the pipeline's actions in that region.
    """

    def __init__(self, scope: Construct, region: str, *, endpoint_name: str, repo: MlArtifactRepo) -> None:
        """Define the stack."""
        release = stack_of(scope)
        self.region = region
        self.stack = Stack(
            Stage.of(scope),
            f"{endpoint_name}-home",
            stack_name=f"{endpoint_name}-home",
            description=f"What the endpoint {endpoint_name} reads and writes in its region",
            env=Environment(account=release.account, region=region),
        )
        home = Construct(self.stack, "Home")
        # At most 43, 12 and 6 characters, which is all that a bucket's name may have.
        place = md5(region.encode(), usedforsecurity=False).hexdigest()[:6]
        bucket_name = f"{endpoint_name}-{release.account}-{place}"
        encrypted, alias = repo.encryption_key is not None, f"alias/{endpoint_name}"
        key = self._key(home, alias, repo) if encrypted else None
        home_resources(home, endpoint_name, key=key, removal_policy=repo.removal_policy, BucketName=bucket_name)
        include(home)
        release.node.add_dependency(self.stack)
        self.repo = replace(
            repo.permissions,
            model_name=endpoint_name,
            bucket_name=bucket_name,
            bucket_arn=bucket_arn(bucket_name),
            bucket_account=release.account,
            key_arn=arn("kms", "key/*", region) if encrypted else None,
            key_alias=alias if encrypted else None,
            images_name=endpoint_name,
            images_arn=arn("ecr", f"repository/{endpoint_name}", region),
            region=region,
        )
        self.key_id = arn("kms", alias, region) if encrypted else None
        self.store = ArtifactStore(
            region=region,
            bucket_name=bucket_name,
            bucket_arn=self.repo.bucket_arn,
            bucket_account=release.account,
            key_id=self.key_id,
            key_arn=self.repo.key_arn,
            key_alias=self.repo.key_alias,
            scope=home,
        )

    def _key(self, home: Construct, alias: str, repo: MlArtifactRepo) -> kms.IKey:
        from aws_cdk import aws_kms as kms

        # A key is of one region: what the repo's encrypts, this one encrypts here.
        return kms.Key(home, "Key", alias=alias, enable_key_rotation=True, removal_policy=repo.removal_policy)

    @property
    def settings(self) -> dict[str, str]:
        """What the programs of the release must know, as they call it."""
        return {
            "region": self.region,
            "region_bucket": self.repo.bucket_name,
            "region_images": self.repo.images_uri,
            "region_group": self.repo.model_name,
        }

    def permissions(self, own: EndpointPermissions) -> EndpointPermissions:
        """The permissions on the endpoint, which reads and writes in its own region only."""
        return replace(own, repo=self.repo, package_arn=self.repo.package_arn)

    def fill(self, own: EndpointPermissions) -> list[Allow]:
        """Copy a model from its home to here, and register it."""
        return [
            own.repo.read_images(),
            self.repo.read_images(),
            self.repo.write_images(),
            *self.repo.read("runs"),
            *self.repo.write("runs/*", _RUNS),
            # A copy takes the tags along, and with some releases of boto3 names the version that it reads.
            Allow(["s3:GetObjectVersion", "s3:GetObjectTagging"], [f"{own.repo.bucket_arn}/runs/*"], because=_RUNS),
            in_account(
                Allow(["s3:PutObjectTagging"], [f"{self.repo.bucket_arn}/runs/*"], because=_RUNS),
                self.repo.bucket_account,
            ),
            *self.repo.register(),
            self.permissions(own).approve(),
        ]
