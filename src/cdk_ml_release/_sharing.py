"""The other side of a permission: what the home of a model lets a role of another account do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        self._images: list[dict[str, Any]] = []
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
            shared = each.to_json() | {"Principal": {"AWS": role_arn}}
            if about.startswith(permissions.bucket_arn):
                repo.resources.bucket.share(shared)
            elif about == permissions.images_arn:
                self._share_images(shared)
            elif key is not None and about == permissions.key_arn:
                key.add_to_resource_policy(on_key(each.actions, role_arn, each.conditions))
            elif about == permissions.package_arn:
                self._share_versions(shared)

    def let_service_pull(self, account: str) -> None:
        """Let SageMaker look at the images when it makes a model in another account."""
        # From others' experience: CreateModel refuses images of an account that do not let the service itself in,
        # "... does not grant ... permission to sagemaker.amazonaws.com service principal".
        images = self._repo.permissions.images_arn
        pulls = [each for each in self._repo.permissions.pull() if images in each.resources]
        allowed = Allow(
            [action for each in pulls for action in each.actions],
            [images],
            {"StringEquals": {"aws:SourceAccount": account}},
        )
        self._share_images(allowed.to_json() | {"Principal": {"Service": "sagemaker.amazonaws.com"}})

    def _share_images(self, statement: dict[str, Any]) -> None:
        # The policy of an image repository is about that one: it names no resource.
        del statement["Resource"]
        self._images.append(statement)
        self._repo.resources.images.change("RepositoryPolicyText", _policy(self._images))

    def _share_versions(self, statement: dict[str, Any]) -> None:
        self._versions.append(statement)
        self._repo.resources.versions.change("ModelPackageGroupPolicy", _policy(self._versions))


def _policy(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def on_key(actions: Iterable[str], role_arn: str, conditions: Mapping[str, Any] | None = None) -> iam.PolicyStatement:
    """What a role may do with a key, for the key's policy."""
    # It is about that key: it names no other resource.
    principal = iam.ArnPrincipal(role_arn)
    return iam.PolicyStatement(actions=list(actions), principals=[principal], resources=["*"], conditions=conditions)
