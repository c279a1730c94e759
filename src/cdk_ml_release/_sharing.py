"""The other side of a permission: what the home of a model lets a role of another account do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from ._permissions import Allow
from .artifact_repo import MlArtifactRepo


class Sharing(Construct):
    """The resource policies of a model's home, as far as roles of other accounts are in them.

    A role of another account may do what both its own policy and that of the resource allow. A role's own policy
    cannot name a bucket or a key whose name the deployment makes; these policies are on exactly those resources.
    """

    def __init__(self, repo: MlArtifactRepo) -> None:
        """Open a repo to other accounts; :meth:`of` finds the one that has been opened already."""
        super().__init__(repo, "Sharing")
        self._repo = repo
        self._versions: list[dict[str, Any]] = []

    @classmethod
    def of(cls, repo: MlArtifactRepo) -> Sharing:
        """The only sharing of a repo."""
        found = cast("Sharing | None", repo.node.try_find_child("Sharing"))
        return found if found is not None else cls(repo)

    def let(self, role_arn: str, allows: Iterable[Allow], roles: Stack) -> None:
        """Let a role do what these statements say about bucket, key, images and versions of the repo.

        Args:
            role_arn: The role.
            allows: Its permissions, with the ARNs that the repo itself knows. What is not about it is left out.
            roles: The stack of the role, which must be there before a policy can name it.
        """
        repo, statements = self._repo, list(allows)
        permissions, key = repo.permissions, repo.encryption_key
        for resource in (repo, *([key] if key is not None else [])):
            Stack.of(resource).node.add_dependency(roles)
        for each in statements:
            about = each.resources[0]
            if about.startswith(permissions.bucket_arn):
                repo.bucket.add_to_resource_policy(_statement(each, role_arn, each.resources))
            elif about == permissions.images_arn:
                # The policy of an image repository or of a key is about that one: it names no resource.
                repo.images.add_to_resource_policy(_statement(each, role_arn))
            elif key is not None and about == permissions.key_arn:
                key.add_to_resource_policy(_statement(each, role_arn, ["*"]))
            elif about == repo.package_arn:
                self._share_versions(each, role_arn)

    def let_service_pull(self, account: str) -> None:
        """Let SageMaker look at the images when it makes a model in another account."""
        # From others' experience: CreateModel refuses images of an account that do not let the service itself in,
        # "... does not grant ... permission to sagemaker.amazonaws.com service principal".
        images = self._repo.permissions.images_arn
        pulls = [each for each in self._repo.permissions.pull() if images in each.resources]
        allowed = iam.PolicyStatement(
            actions=[action for each in pulls for action in each.actions],
            principals=[iam.ServicePrincipal("sagemaker.amazonaws.com")],
            conditions={"StringEquals": {"aws:SourceAccount": account}},
        )
        self._repo.images.add_to_resource_policy(allowed)

    def _share_versions(self, allow: Allow, role_arn: str) -> None:
        self._versions.append(allow.to_json() | {"Principal": {"AWS": role_arn}})
        policy = {"Version": "2012-10-17", "Statement": self._versions}
        self._repo.package_group.add_property_override("ModelPackageGroupPolicy", policy)


def _statement(allow: Allow, role_arn: str, resources: Iterable[str] | None = None) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=list(allow.actions),
        principals=[iam.ArnPrincipal(role_arn)],
        resources=list(resources) if resources is not None else None,
        conditions=allow.conditions,
    )
