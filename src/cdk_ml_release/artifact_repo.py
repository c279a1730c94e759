"""MlArtifactRepo: the home of one model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from aws_cdk import Duration, RemovalPolicy, Token
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_deployment as s3_deployment
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ._codebuild import arn
from .runtime.contract import MODEL_NAME_PATTERN

DATA_PREFIX = "data/"


class MlArtifactRepo(Construct):
    """The home of one model: its data, its runs, its images and its registered versions.

    Attributes:
        model_name: The model's name, from which every job and resource name is made.
        bucket: Holds ``data/``, ``runs/``, ``capture/`` and ``in-service/``. Versioned, TLS only, encrypted,
            private; tells EventBridge about new objects.
        data_bucket: Where the raw data is: ``bucket``, unless it was given.
        data_prefix: The prefix of the raw data, with a slash at its end.
        images: The container images, tagged once and for all with the execution that built them.
        package_group: The model package group that versions are registered in.
        code: The CodeCommit repository of the model's code, if there is one.
        encryption_key: The customer managed key, if there is one.
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
        data_prefix: str = DATA_PREFIX,
        encryption_key: kms.IKey | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        """Define the repository.

        Args:
            scope: The construct that this repository belongs to.
            construct_id: Unique among the children of ``scope``.
            model_name: At most 32 lower-case letters, digits and single hyphens.
            code: A CodeCommit repository, or the name of one to create. Default: the code is elsewhere.
            data_folder: A local folder that is copied to the data prefix whenever the stack is deployed.
                Default: the data comes by other ways.
            data_bucket: A bucket that the raw data is in already; its EventBridge notifications must be on if new
                data is to start releases. Default: the new bucket.
            data_prefix: Where in that bucket the data is.
            encryption_key: Encrypts bucket, images and job volumes. Default: keys that AWS manages.
            removal_policy: What happens to bucket, images and code when they leave the stack. A bucket must be empty
                before CloudFormation can destroy it.

        Raises:
            ValueError: if a name or a folder cannot be used.
        """
        super().__init__(scope, construct_id)
        _check_model_name(model_name)
        _check_data(data_folder, data_bucket, data_prefix)
        self.model_name = model_name
        self.encryption_key = encryption_key
        self.data_prefix = data_prefix
        self.bucket = _bucket(self, encryption_key, removal_policy)
        self.data_bucket: s3.IBucket = data_bucket if data_bucket is not None else self.bucket
        self.images = _images(self, model_name, encryption_key, removal_policy)
        self.package_group = sagemaker.CfnModelPackageGroup(
            self,
            "Versions",
            model_package_group_name=model_name,
            model_package_group_description=f"Released versions of {model_name}",
        )
        self.package_group.apply_removal_policy(removal_policy)
        self.code = self._code_repository(code, removal_policy)
        if data_folder is not None:
            s3_deployment.BucketDeployment(
                self,
                "Data",
                sources=[s3_deployment.Source.asset(data_folder)],
                destination_bucket=self.bucket,
                destination_key_prefix=data_prefix,
                prune=False,
                retain_on_delete=True,
            )

    def _code_repository(
        self, code: codecommit.IRepository | str | None, removal_policy: RemovalPolicy
    ) -> codecommit.IRepository | None:
        if not isinstance(code, str):
            return code
        repository = codecommit.Repository(self, "Code", repository_name=code)
        repository.apply_removal_policy(removal_policy)
        return repository

    @property
    def package_arn(self) -> str:
        """The ARN pattern of every version of the model."""
        return arn("sagemaker", f"model-package/{self.model_name}/*")

    @property
    def package_group_arn(self) -> str:
        """The ARN of the model package group."""
        return arn("sagemaker", f"model-package-group/{self.model_name}")

    def grant_read_data(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` list and read the raw data."""
        self._grant_key(grantee, writes=False)
        self._grant_list(grantee, self.data_bucket, f"{self.data_prefix}*")
        return _grant(grantee, ["s3:GetObject"], [self.data_bucket.arn_for_objects(f"{self.data_prefix}*")])

    def grant_read_runs(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` list and read the files of every run."""
        self._grant_key(grantee, writes=False)
        self._grant_list(grantee, self.bucket, "runs/*")
        return _grant(grantee, ["s3:GetObject"], [self.bucket.arn_for_objects("runs/*")])

    def grant_write(self, grantee: iam.IGrantable, pattern: str) -> iam.Grant:
        """Let ``grantee`` write objects whose key matches ``pattern``, such as ``runs/*``."""
        self._grant_key(grantee, writes=True)
        return _grant(grantee, ["s3:PutObject", "s3:AbortMultipartUpload"], [self.bucket.arn_for_objects(pattern)])

    def grant_pull(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` pull the model's images."""
        # ECR has no resource for the token, so this one action takes "*".
        _grant(grantee, ["ecr:GetAuthorizationToken"], ["*"])
        actions = ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
        return _grant(grantee, actions, [self.images.repository_arn])

    def _grant_list(self, grantee: iam.IGrantable, bucket: s3.IBucket, pattern: str) -> None:
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:ListBucket"],
            resource_arns=[bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": [pattern]}},
        )

    def _grant_key(self, grantee: iam.IGrantable, *, writes: bool) -> None:
        if self.encryption_key is not None:
            (self.encryption_key.grant_encrypt_decrypt if writes else self.encryption_key.grant_decrypt)(grantee)


def _grant(grantee: iam.IGrantable, actions: list[str], resources: list[str]) -> iam.Grant:
    return iam.Grant.add_to_principal(grantee=grantee, actions=actions, resource_arns=resources)


def _bucket(scope: Construct, key: kms.IKey | None, removal_policy: RemovalPolicy) -> s3.Bucket:
    bucket = s3.Bucket(
        scope,
        "Bucket",
        versioned=True,
        enforce_ssl=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        encryption=s3.BucketEncryption.S3_MANAGED if key is None else s3.BucketEncryption.KMS,
        encryption_key=key,
        bucket_key_enabled=None if key is None else True,
        lifecycle_rules=[
            s3.LifecycleRule(
                abort_incomplete_multipart_upload_after=Duration.days(7),
                noncurrent_version_expiration=Duration.days(90),
            )
        ],
        removal_policy=removal_policy,
    )
    # The L2's own switch brings a Lambda function, though CloudFormation can do it.
    resource = cast(s3.CfnBucket, bucket.node.default_child)
    resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
    )
    return bucket


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
    if Token.is_unresolved(name) or not re.fullmatch(MODEL_NAME_PATTERN, name):
        raise ValueError(
            "'model_name' must be 1 to 32 lower-case letters, digits and single hyphens known at synthesis, "
            f"got {name!r}; job names of at most 63 characters are made from it"
        )


def _check_data(folder: str | None, bucket: s3.IBucket | None, prefix: str) -> None:
    if Token.is_unresolved(prefix) or not re.fullmatch(r"[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*/", prefix):
        raise ValueError(f"'data_prefix' must be a key prefix that ends with a slash, got {prefix!r}; use 'data/'")
    if folder is not None and bucket is not None:
        raise ValueError(
            f"'data_folder' ({folder!r}) cannot be used together with 'data_bucket', whose data is there already; "
            "give one of them"
        )
    if folder is not None and not Path(folder).is_dir():
        raise ValueError(f"'data_folder' must be a folder, got {folder!r}; it is looked up from where the app runs")
