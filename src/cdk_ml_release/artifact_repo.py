"""MlArtifactRepo: the home of one model."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy
from constructs import Construct

from ._bucket import check_key_prefix
from ._data_folder import FINDINGS, copy_folder
from ._home_resources import home_resources
from ._permissions import RepoPermissions, acknowledge, grant, wildcards
from ._place import settle
from ._resource import Resource, include, token
from .runtime.contract import MODEL_NAME_PATTERN
from .runtime.schema import Schema

if TYPE_CHECKING:
    from aws_cdk import CfnResource
    from aws_cdk import aws_codecommit as codecommit
    from aws_cdk import aws_ecr as ecr
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3


class MlArtifactRepo(Construct):
    """The home of one model: its data, its runs, its images and its registered versions.

    Attributes:
        model_name: The model's name, from which every job and resource name is made.
        data_prefix: The prefix of the raw data, with a slash at its end.
        schema: The declared columns, if they are declared.
        encryption_key: The customer managed key, if there is one.
        removal_policy: What happens to bucket, images, versions and code when they leave the stack.
        permissions: What the grants below give, as statements for the policies of this library's own roles.
        resources: What this library's other constructs change.
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
        settle(self, scope, construct_id)
        _check_model_name(model_name)
        _check_data(data_folder, data_bucket, data_prefix)
        _check_removal_policy(removal_policy)
        self.model_name = model_name
        self.schema = schema
        self.encryption_key = encryption_key
        self.data_prefix = data_prefix
        self.removal_policy = removal_policy
        self.resources = home_resources(
            self,
            model_name,
            key=encryption_key,
            removal_policy=removal_policy,
            # CDK's own switch brings a Lambda function, though CloudFormation can do it.
            NotificationConfiguration={"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
        )
        self._code = code
        self._own_code = self._define_code(code) if isinstance(code, str) else None
        self._data_bucket = data_bucket
        self.permissions = self._permissions(data_bucket)
        copying = copy_folder(self, data_folder, self.permissions) if data_folder is not None else None
        include(self)
        if copying is not None:
            acknowledge(self, lambda: wildcards(self, copying) | FINDINGS)

    def _define_code(self, name: str) -> Resource:
        _check_code_name(name)
        properties = {"RepositoryName": name}
        return Resource(self, "Code", "AWS::CodeCommit::Repository", properties, removal_policy=self.removal_policy)

    def _permissions(self, data_bucket: s3.IBucket | None) -> RepoPermissions:
        bucket, images = self.resources.bucket, self.resources.images
        key_arn = bucket.key_arn
        data_name, data_arn, data_key_arn = bucket.ref, bucket.arn, key_arn
        if data_bucket is not None:
            data_name, data_arn = data_bucket.bucket_name, data_bucket.bucket_arn
            data_key = data_bucket.encryption_key
            data_key_arn = data_key.key_arn if data_key is not None else None
        return RepoPermissions(
            model_name=self.model_name,
            bucket_name=bucket.ref,
            bucket_arn=bucket.arn,
            key_arn=key_arn,
            data_bucket_name=data_name,
            data_bucket_arn=data_arn,
            data_prefix=self.data_prefix,
            data_key_arn=data_key_arn,
            images_name=images.ref,
            images_arn=images.arn,
        )

    @property
    def package_group(self) -> CfnResource:
        """The model package group that versions are registered in, named like the model."""
        return self.resources.versions.cfn

    @property
    def bucket(self) -> s3.IBucket:
        """Holds ``data/``, ``runs/``, ``capture/`` and ``in-service/``.

        Versioned, TLS only, encrypted, private; tells EventBridge about new objects, which is also the way to further
        notifications.
        """
        return self.resources.bucket.construct

    @property
    def bucket_name(self) -> str:
        """The bucket's name, which the deployment gives it."""
        return self.resources.bucket.token()

    @property
    def data_bucket(self) -> s3.IBucket:
        """Where the raw data is: ``bucket``, unless it was given."""
        return self._data_bucket if self._data_bucket is not None else self.bucket

    @cached_property
    def images(self) -> ecr.IRepository:
        """The container images, tagged once and for all with the execution that built them."""
        from aws_cdk import aws_ecr as ecr

        images = self.resources.images
        return ecr.Repository.from_repository_attributes(
            images.cfn, "Repository", repository_name=images.token(), repository_arn=images.token("Arn")
        )

    @cached_property
    def code(self) -> codecommit.IRepository:
        """The CodeCommit repository of the model's code.

        Raises:
            ValueError: if this repository was made without one.
        """
        code = self._known_code()
        if not isinstance(code, str):
            return code
        from aws_cdk import aws_codecommit as codecommit

        return codecommit.Repository.from_repository_name(self, "CodeByName", code)

    @property
    def code_repository(self) -> tuple[str, str]:
        """Name and ARN of the same, as parts of the texts that become properties of a resource."""
        code = self._known_code()
        if isinstance(code, str):
            assert self._own_code is not None, "defined with the name"
            return code, self._own_code.arn
        return code.repository_name, code.repository_arn

    def _known_code(self) -> codecommit.IRepository | str:
        if self._code is None:
            raise ValueError(
                f"'code' must be given to the MlArtifactRepo of '{self.model_name}' before it can be used, got None; "
                "name a CodeCommit repository there, or use Source.connection() or Source.s3()"
            )
        return self._code

    @property
    def data_uri(self) -> str:
        """The S3 URI of the raw data, with a slash at its end."""
        return token(self.permissions.data_uri)

    @property
    def package_arn(self) -> str:
        """The ARN pattern of every version of the model."""
        return token(self.permissions.package_arn)

    @property
    def versions_arn(self) -> str:
        """What the ARN of every version begins with: a slash and the version's number follow."""
        return token(self.permissions.versions_arn)

    @property
    def package_group_arn(self) -> str:
        """The ARN of the model package group."""
        return token(self.permissions.package_group_arn)

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


def _check_removal_policy(policy: RemovalPolicy) -> None:
    # Source: CloudFormation's list of resources that have snapshots, which are databases and volumes.
    if policy == RemovalPolicy.SNAPSHOT:
        raise ValueError(
            "'removal_policy' must be RETAIN, DESTROY or RETAIN_ON_UPDATE_OR_DELETE, got SNAPSHOT, which buckets and "
            "images do not have; use RETAIN"
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
