"""Source: where a model's code comes from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Token
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from constructs import Construct

from ._permissions import Allow

if TYPE_CHECKING:
    from aws_cdk import aws_codecommit as codecommit
    from aws_cdk import aws_s3 as s3

_NAMESPACE = "Source"
# Connections were renamed; both names are in use.
_CONNECTION_ARN = re.compile(r"arn:[a-z-]+:(codestar-connections|codeconnections):[a-z0-9-]+:\d{12}:connection/.+")


@dataclass(frozen=True)
class Source:
    """Where a model's code comes from: a branch, or an archive in S3. A change there starts a release."""

    commit: str
    """The pipeline variable that names the revision."""
    _define: Callable[[Construct, codepipeline.Artifact], actions.Action]
    permissions: tuple[Allow, ...] = ()
    """What the pipeline's role must be allowed beside what CDK gives it."""

    @classmethod
    def code_commit(cls, repository: codecommit.IRepository | str, *, branch: str = "main") -> Source:
        """A branch of a CodeCommit repository.

        Args:
            repository: The repository, or the name of one that exists.
            branch: Every push to it starts a release.

        Raises:
            ValueError: if a name is empty.
        """
        _check_named("branch", branch)
        if isinstance(repository, str):
            _check_named("repository", repository)

        def define(scope: Construct, output: codepipeline.Artifact) -> actions.Action:
            return actions.CodeCommitSourceAction(
                action_name="Source",
                repository=_existing(scope, repository) if isinstance(repository, str) else repository,
                branch=branch,
                output=output,
                trigger=actions.CodeCommitTrigger.EVENTS,
                variables_namespace=_NAMESPACE,
            )

        return cls(f"#{{{_NAMESPACE}.CommitId}}", define)

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

        def define(scope: Construct, output: codepipeline.Artifact) -> actions.Action:
            return actions.CodeStarConnectionsSourceAction(
                action_name="Source",
                connection_arn=connection_arn,
                owner=owner,
                repo=name,
                branch=branch,
                output=output,
                trigger_on_push=True,
                variables_namespace=_NAMESPACE,
            )

        # CDK gives the action the permission by the service's older name, which a newer connection does not know.
        use = Allow(["codeconnections:UseConnection"], [connection_arn])
        return cls(f"#{{{_NAMESPACE}.CommitId}}", define, (use,))

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

        def define(scope: Construct, output: codepipeline.Artifact) -> actions.Action:
            return actions.S3SourceAction(
                action_name="Source",
                bucket=bucket,
                bucket_key=key,
                output=output,
                trigger=actions.S3Trigger.POLL,
                variables_namespace=_NAMESPACE,
            )

        return cls(f"#{{{_NAMESPACE}.VersionId}}", define)

    def action(self, scope: Construct, output: codepipeline.Artifact) -> actions.Action:
        """The pipeline action that fetches the source into ``output``."""
        return self._define(scope, output)


def _existing(scope: Construct, name: str) -> codecommit.IRepository:
    from aws_cdk import aws_codecommit as codecommit

    return codecommit.Repository.from_repository_name(scope, "SourceRepository", name)


def _check_named(argument: str, value: str) -> None:
    if not value or value != value.strip():
        raise ValueError(
            f"'{argument}' must be a name without spaces around it, got {value!r}; write it as it is there"
        )
