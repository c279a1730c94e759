"""Source: where a model's code comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aws_cdk import Token
from constructs import Construct

from ._action import PlainAction
from ._permissions import Allow, arn
from .artifact_repo import MlArtifactRepo

if TYPE_CHECKING:
    from aws_cdk import aws_codecommit as codecommit
    from aws_cdk import aws_codepipeline as codepipeline
    from aws_cdk import aws_s3 as s3

SOURCE = "Source"
"""What stage, action and artifact of the source are called, and where its variables are."""

# Connections were renamed; both names are in use.
_CONNECTION_ARN = re.compile(r"arn:[a-z-]+:(codestar-connections|codeconnections):[a-z0-9-]+:\d{12}:connection/.+")


@dataclass(frozen=True)
class Source:
    """Where a model's code comes from: a branch, or an archive in S3. A change there starts a release."""

    commit: str
    """The pipeline variable that names the revision."""
    plain: PlainAction
    """What fetches the source into an artifact called ``Source``."""

    @classmethod
    def code_commit(cls, repository: MlArtifactRepo | codecommit.IRepository | str, *, branch: str = "main") -> Source:
        """A branch of a CodeCommit repository.

        Args:
            repository: The home of the model, if its code is there too; a repository, or the name of one that exists.
            branch: Every push to it starts a release.

        Raises:
            ValueError: if a name is empty, or the model's home has no code.
        """
        _check_named("branch", branch)
        if isinstance(repository, MlArtifactRepo):
            name, repository_arn = repository.code_repository
        elif isinstance(repository, str):
            _check_named("repository", repository)
            name, repository_arn = repository, arn("codecommit", repository)
        else:
            name, repository_arn = repository.repository_name, repository.repository_arn
        verbs = ["GetBranch", "GetCommit", "UploadArchive", "GetUploadArchiveStatus", "CancelUploadArchive"]
        pushed = {
            "source": ["aws.codecommit"],
            "resources": [repository_arn],
            "detail-type": ["CodeCommit Repository State Change"],
            "detail": {"event": ["referenceCreated", "referenceUpdated"], "referenceName": [branch]},
        }
        action = _action(
            "CodeCommit",
            {"RepositoryName": name, "BranchName": branch, "PollForSourceChanges": False},
            [Allow([f"codecommit:{verb}" for verb in verbs], [repository_arn])],
            started_by=pushed,
        )
        return cls(f"#{{{SOURCE}.CommitId}}", action)

    @classmethod
    def connection(cls, connection_arn: str, *, repository: str, branch: str = "main") -> Source:
        """A branch on GitHub, GitLab or Bitbucket, through an AWS connection.

        Args:
            connection_arn: The connection's ARN, which an administrator has authorized.
            repository: Owner and name, such as ``team/model``.
            branch: Every push to it starts a release.

        Raises:
            ValueError: if the ARN is not a connection's, ``repository`` has no owner or a name is empty.
        """
        _check_named("branch", branch)
        if not Token.is_unresolved(connection_arn) and not _CONNECTION_ARN.fullmatch(connection_arn):
            raise ValueError(
                f"'connection_arn' must be the ARN of a connection, got {connection_arn!r}; copy it from the console's "
                "page 'Connections'"
            )
        owner, _, name = repository.partition("/")
        if not owner or not name:
            raise ValueError(f"'repository' must be '<owner>/<name>', got {repository!r}; add the owner")

        action = _action(
            "CodeStarSourceConnection",
            {"ConnectionArn": connection_arn, "FullRepositoryId": repository, "BranchName": branch},
            # Connections were renamed: a newer one does not know the service's older name.
            [
                Allow(
                    ["codestar-connections:UseConnection", "codeconnections:UseConnection"],
                    [connection_arn],
                )
            ],
        )
        return cls(f"#{{{SOURCE}.CommitId}}", action)

    @classmethod
    def s3(cls, bucket: s3.IBucket, *, key: str) -> Source:
        """A zip archive in a versioned bucket, looked at by CodePipeline once a minute.

        Args:
            bucket: A versioned bucket.
            key: The archive's key.

        Raises:
            ValueError: if ``key`` is not a zip archive.
        """
        if not Token.is_unresolved(key) and not re.fullmatch(r"[^/].*\.zip", key):
            raise ValueError(f"'key' must name a zip archive, got {key!r}; CodePipeline unpacks nothing else")

        bucket_arn, bucket_key = bucket.bucket_arn, bucket.encryption_key
        action = _action(
            "S3",
            {"S3Bucket": bucket.bucket_name, "S3ObjectKey": key, "PollForSourceChanges": True},
            [
                Allow(["s3:GetObject", "s3:GetObjectVersion"], [f"{bucket_arn}/{key}"]),
                Allow(["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"], [bucket_arn]),
                *([Allow(["kms:Decrypt"], [bucket_key.key_arn])] if bucket_key is not None else []),
            ],
        )
        return cls(f"#{{{SOURCE}.VersionId}}", action)

    def action(self, scope: Construct, output: codepipeline.Artifact) -> codepipeline.IAction:
        """The action that fetches the source into ``output``, for a pipeline of CDK's."""
        return replace(self.plain, outputs=[output.artifact_name or SOURCE]).construct()


def _action(
    provider: str,
    configuration: Mapping[str, Any],
    allows: Sequence[Allow],
    started_by: Mapping[str, Any] | None = None,
) -> PlainAction:
    return PlainAction(
        name=SOURCE,
        category="Source",
        provider=provider,
        configuration=configuration,
        outputs=[SOURCE],
        namespace=SOURCE,
        allows=allows,
        started_by=started_by,
    )


def _check_named(argument: str, value: str) -> None:
    if not value or value != value.strip():
        raise ValueError(
            f"'{argument}' must be a name without spaces around it, got {value!r}; write it as it is there"
        )
