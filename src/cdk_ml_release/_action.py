"""An action of a pipeline, as the pipeline's template has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._artifact_store import ArtifactStore
from ._permissions import Allow
from ._resource import Resource
from ._role import OwnRole

if TYPE_CHECKING:
    from aws_cdk import aws_codepipeline as codepipeline
    from aws_cdk import aws_iam as iam


@dataclass(frozen=True, kw_only=True)
class ArtifactUse:
    """Who reads the input artifacts of an action, and perhaps writes its output.

    Attributes:
        role: Who.
        writes: Whether there is an output.
        project: The CodeBuild project that must know the key of the artifacts, if they have one.
    """

    role: OwnRole
    writes: bool = False
    project: Resource | None = None

    def encrypt(self, key_arn: str) -> None:
        """Tell the project the key."""
        if self.project is not None:
            self.project.change("EncryptionKey", key_arn)


@dataclass(frozen=True, kw_only=True)
class PlainAction:
    """An action that this library writes itself.

    Attributes:
        name: Its name in the stage.
        category: Its type's, with ``provider``, as CodePipeline spells them.
        provider: The service.
        run_order: Its place in the stage.
        configuration: As CodePipeline spells it; texts may speak of resources, None is left out.
        inputs: The artifacts that it is given.
        outputs: The artifacts that it makes.
        namespace: Where later actions find its variables.
        role: What the pipeline assumes for it, if that is in another account.
        role_arn: The same role's ARN.
        store: Where it finds its artifacts, if it works in another region.
        allows: What the pipeline's role must be allowed for it.
        uses: Who else works on the artifacts.
        started_by: The events that start an execution, where CodePipeline does not look for a source itself.
    """

    name: str
    category: str
    provider: str
    run_order: int = 1
    configuration: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    namespace: str | None = None
    role: iam.IRole | None = None
    role_arn: str | None = None
    store: ArtifactStore | None = None
    allows: Sequence[Allow] = ()
    uses: ArtifactUse | None = None
    started_by: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The action as the template has it."""
        owner = {"Category": self.category, "Owner": "AWS", "Provider": self.provider, "Version": "1"}
        action: dict[str, Any] = {"Name": self.name, "ActionTypeId": owner, "RunOrder": self.run_order}
        if self.configuration:
            action["Configuration"] = self.configuration
        for key, names in (("InputArtifacts", self.inputs), ("OutputArtifacts", self.outputs)):
            if names:
                action[key] = [{"Name": name} for name in names]
        return action | {"Namespace": self.namespace, "RoleArn": self.role_arn, "Region": self.region}

    @property
    def region(self) -> str | None:
        """The region that it works in, if that is another one than the pipeline's."""
        return self.store.region if self.store is not None else None

    def construct(self) -> codepipeline.IAction:
        """The action for a pipeline of CDK's."""
        from ._cdk_action import CdkAction

        return CdkAction(self)
