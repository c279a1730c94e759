"""MlArtifactRepo: the home of one model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

from aws_cdk import CfnResource, RemovalPolicy
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ._bucket import check_key_prefix, days, private_bucket
from ._permissions import (
    CDK_BUCKET_ACTIONS,
    Allow,
    RepoPermissions,
    accept_dependencies,
    acknowledge,
    arn,
    grant,
    wildcards,
)
from .runtime.contract import MODEL_NAME_PATTERN
from .runtime.schema import Schema

if TYPE_CHECKING:
    from aws_cdk import aws_codecommit as codecommit
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3_assets as s3_assets


_SEED_FINDINGS = {
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]": (
        "CDK's BucketDeployment lets its own function write its log with the policy that AWS keeps for that"
    ),
    "AwsSolutions-L1": "CDK's BucketDeployment chooses the version of Python that its own function was tested with",
}


class MlArtifactRepo(Construct):
    """The home of one model: its data, its runs, its images and its registered versions.

    Attributes:
        model_name: The model's name, from which every job and resource name is made.
        bucket: Holds ``data/``, ``runs/``, ``capture/`` and ``in-service/``. Versioned, TLS only, encrypted,
            private; tells EventBridge about new objects, which is also the way to further notifications.
        bucket_name: The bucket's name, which the deployment gives it.
        data_bucket: Where the raw data is: ``bucket``, unless it was given.
        data_prefix: The prefix of the raw data, with a slash at its end.
        images: The container images, tagged once and for all with the execution that built them.
        package_group: The model package group that versions are registered in, named like the model.
        schema: The declared columns, if they are declared.
        encryption_key: The customer managed key, if there is one.
        permissions: What the grants below give, as statements for the policies of this library's own roles.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        model_name: str,
        code: codecommit.IRepository | str | None = None,
        data_folder: str | None = None,
        data_bucket: s3.IBucket | None = None,
        data_prefix: str = "data/",
        schema: Schema | None = None,
        encryption_key: kms.IKey | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """Define the repository.

        Args:
            scope: The construct that this repository belongs to.
            construct_id: Unique among the children of ``scope``.
            model_name: 2 to 32 lower-case letters, digits and single hyphens.
            code: A CodeCommit repository, or the name of one to create. Default: the code is elsewhere.
            data_folder: A local folder, relative to where the app runs, that is copied to the data prefix whenever
                it has changed and the stack is deployed; meant for samples of a few megabytes.
                Default: the data comes by other ways.
            data_bucket: A bucket that the raw data is in already; its EventBridge notifications must be on if new
                data is to start releases. Default: the new bucket.
            data_prefix: Where in that bucket the data is.
            schema: The columns that the model is asked with and what it answers. With it every build writes the
                baseline that a :class:`ModelMonitorSchedule` compares with. Default: rows are what the model makes
                of them.
            encryption_key: Encrypts bucket, images and job volumes. Default: keys that AWS manages.
            removal_policy: What happens to bucket, images, versions and code when they leave the stack. To destroy
                the bucket, CloudFormation needs it empty; to destroy the model package group, without versions.

        Raises:
            ValueError: if a name or a folder cannot be used.
        """
        super().__init__(scope, construct_id)
        _check_model_name(model_name)
        _check_data(data_folder, data_bucket, data_prefix)
        self.model_name = model_name
        self.schema = schema
        self.encryption_key = encryption_key
        self.data_prefix = data_prefix
        self.bucket = private_bucket(
            self,
            "Bucket",
            key=encryption_key,
            keeps=s3.LifecycleRule(
                abort_incomplete_multipart_upload_after=days(7), noncurrent_version_expiration=days(90)
            ),
            removal_policy=removal_policy,
            versioned=True,
        )
        _notify_eventbridge(self.bucket)
        self.bucket_name = self.bucket.bucket_name
        self.data_bucket: s3.IBucket = data_bucket if data_bucket is not None else self.bucket
        self.images = _images(self, model_name, encryption_key, removal_policy)
        # By its type alone: CDK's SageMaker module takes a tenth of a second to load, for one resource.
        self.package_group = CfnResource(
            self,
            "Versions",
            type="AWS::SageMaker::ModelPackageGroup",
            properties={
                "ModelPackageGroupName": model_name,
                "ModelPackageGroupDescription": f"Released versions of {model_name}",
            },
        )
        self.package_group.apply_removal_policy(removal_policy)
        self._code = self._code_repository(code, removal_policy)
        self.permissions = self._permissions(data_bucket)
        if data_folder is not None:
            self._seed(data_folder)

    def _code_repository(
        self, code: codecommit.IRepository | str | None, removal_policy: RemovalPolicy
    ) -> codecommit.IRepository | None:
        if not isinstance(code, str):
            return code
        _check_code_name(code)
        from aws_cdk import aws_codecommit as codecommit

        repository = codecommit.Repository(self, "Code", repository_name=code)
        repository.apply_removal_policy(removal_policy)
        return repository

    def _permissions(self, data_bucket: s3.IBucket | None) -> RepoPermissions:
        bucket_arn = self.bucket.bucket_arn
        key_arn = self.encryption_key.key_arn if self.encryption_key is not None else None
        data_bucket_arn, data_key_arn = bucket_arn, key_arn
        if data_bucket is not None:
            data_bucket_arn, data_key = data_bucket.bucket_arn, data_bucket.encryption_key
            data_key_arn = data_key.key_arn if data_key is not None else None
        return RepoPermissions(
            bucket_arn=bucket_arn,
            key_arn=key_arn,
            data_bucket_arn=data_bucket_arn,
            data_prefix=self.data_prefix,
            data_key_arn=data_key_arn,
            images_arn=self.images.repository_arn,
        )

    def _seed(self, folder: str) -> None:
        from aws_cdk import aws_s3_assets as s3_assets
        from aws_cdk import aws_s3_deployment as s3_deployment

        # Absolute, for the CDK kernel has a working folder of its own.
        data = s3_assets.Asset(self, "DataFolder", path=str(Path(folder).resolve()))
        seed = s3_deployment.BucketDeployment(
            self,
            "Data",
            sources=[s3_deployment.Source.bucket(data.bucket, data.s3_object_key)],
            destination_bucket=self.bucket,
            destination_key_prefix=self.data_prefix,
            prune=False,
            retain_on_delete=True,
        )
        # The function belongs to the stack, for all of its deployments.
        function = seed.handler_role.node.scope
        if function is not None:
            accept_dependencies(cast(CfnResource, function.node.default_child))
            acknowledge(function, lambda: wildcards(self, [self._seeding(data)]) | _SEED_FINDINGS)

    def _seeding(self, data: s3_assets.Asset) -> Allow:
        copied = [f"{bucket_arn}/*" for bucket_arn in (data.bucket.bucket_arn, self.permissions.bucket_arn)]
        because = "CDK's BucketDeployment gives its own function these, on the assets and on the bucket it fills"
        return Allow(CDK_BUCKET_ACTIONS, copied, because=because)

    @property
    def code(self) -> codecommit.IRepository:
        """The CodeCommit repository of the model's code.

        Raises:
            ValueError: if this repository was made without one.
        """
        if self._code is None:
            raise ValueError(
                f"'code' must be given to the MlArtifactRepo of '{self.model_name}' before it can be used, got None; "
                "name a CodeCommit repository there, or use Source.connection() or Source.s3()"
            )
        return self._code

    @property
    def data_uri(self) -> str:
        """The S3 URI of the raw data, with a slash at its end."""
        name = self.bucket_name if self.data_bucket is self.bucket else self.data_bucket.bucket_name
        return f"s3://{name}/{self.data_prefix}"

    @property
    def package_arn(self) -> str:
        """The ARN pattern of every version of the model."""
        return f"{self.versions_arn}/*"

    @property
    def versions_arn(self) -> str:
        """What the ARN of every version begins with: a slash and the version's number follow."""
        return arn("sagemaker", f"model-package/{self.model_name}")

    @property
    def package_group_arn(self) -> str:
        """The ARN of the model package group."""
        return arn("sagemaker", f"model-package-group/{self.model_name}")

    def grant_read_data(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` list and read the raw data, and decrypt it where its bucket has a key."""
        return grant(grantee, self.permissions.read_data())

    def grant_read_runs(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` list and read the files of every run, and decrypt them where there is a key."""
        return grant(grantee, self.permissions.read("runs"))

    def grant_write(self, grantee: iam.IGrantable, pattern: str) -> iam.Grant:
        """Let ``grantee`` write objects whose key matches ``pattern``, such as ``runs/*``, with the key if any."""
        return grant(grantee, self.permissions.write(pattern))

    def grant_pull(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` pull the model's images."""
        return grant(grantee, self.permissions.pull())


def _notify_eventbridge(bucket: s3.Bucket) -> None:
    # The L2's own switch brings a Lambda function, though CloudFormation can do it.
    resource = cast(s3.CfnBucket, bucket.node.default_child)
    resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
    )


def _images(scope: Construct, name: str, key: kms.IKey | None, removal_policy: RemovalPolicy) -> ecr.Repository:
    return ecr.Repository(
        scope,
        "Images",
        repository_name=name,
        image_scan_on_push=True,
        image_tag_mutability=ecr.TagMutability.IMMUTABLE,
        encryption=ecr.RepositoryEncryption.AES_256 if key is None else ecr.RepositoryEncryption.KMS,
        encryption_key=key,
        removal_policy=removal_policy,
        empty_on_delete=removal_policy == RemovalPolicy.DESTROY,
    )


def _check_model_name(name: str) -> None:
    # The shortest name is ECR's. A token has characters that the pattern does not allow.
    if not re.fullmatch(MODEL_NAME_PATTERN, name) or not 2 <= len(name) <= 32:
        raise ValueError(
            "'model_name' must be 2 to 32 lower-case letters, digits and single hyphens known at synthesis, "
            f"got {name!r} ({len(name)}); job names of at most 63 characters are made from it"
        )


def _check_code_name(name: str) -> None:
    # Source: CodeCommit's API (botocore: RepositoryName); a name must not end like a clone URL.
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name) or name.endswith(".git"):
        raise ValueError(
            "'code' must be 1 to 100 letters, digits and '._-' known at synthesis and not end in '.git', "
            f"got {name!r}; to use a repository that exists, pass it as a construct"
        )


def _check_data(folder: str | None, bucket: s3.IBucket | None, prefix: str) -> None:
    check_key_prefix("data_prefix", prefix, example="data/")
    if folder is not None and bucket is not None:
        raise ValueError(
            f"'data_folder' ({folder!r}) cannot be used together with 'data_bucket', whose data is there already; "
            "give one of them"
        )
    if folder is not None and not Path(folder).is_dir():
        raise ValueError(f"'data_folder' must be a folder, got {folder!r}; it is looked up from where the app runs")
