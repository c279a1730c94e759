"""A pipeline as its template has it, as long as nobody needs it as a construct of CDK's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aws_cdk import CfnResource, RemovalPolicy
from constructs import Construct

from ._action import ArtifactUse, PlainAction
from ._artifact_store import ArtifactStore
from ._bucket import PrivateBucket
from ._permissions import OWN_REGION, Allow, arn
from ._resource import Resource, include
from ._role import policy_document, service_role

if TYPE_CHECKING:
    from aws_cdk import aws_codepipeline as codepipeline
    from aws_cdk import aws_kms as kms


@dataclass(frozen=True, kw_only=True)
class StageDeclaration:
    """A stage as the template has it.

    Attributes:
        name: Its name.
        actions: What it does.
        before_entry: The conditions that it is entered under.
        rolls_back: Whether it goes back to its last successful execution when it fails.
    """

    name: str
    actions: Sequence[PlainAction]
    before_entry: Mapping[str, Any] | None = None
    rolls_back: bool = False

    def to_json(self) -> dict[str, Any]:
        """The stage in the words of CloudFormation."""
        return {
            "Name": self.name,
            "Actions": [each.to_json() for each in self.actions],
            "BeforeEntry": self.before_entry,
            "OnFailure": {"Result": "ROLLBACK"} if self.rolls_back else None,
        }


class PlainPipeline:
    """A CodePipeline, its bucket, its role, and what starts it.

    Attributes:
        name: The pipeline's name, to be a part of properties.
        artifacts: Where the actions leave what they hand on.
        stages: The stages so far.
        variables: The variables so far.
        pipeline_name: What it is to be called, if not as CloudFormation likes.
    """

    def __init__(self, scope: Construct, *, pipeline_name: str | None, key: kms.IKey | None) -> None:
        """Define the pipeline; :meth:`write` tells it its stages."""
        self._scope = scope
        self.pipeline_name = pipeline_name
        self.stages: list[StageDeclaration] = []
        self.variables: list[Mapping[str, str]] = []
        self.artifacts = PrivateBucket(
            scope,
            "Artifacts",
            key=key,
            # What a roll-back to an older execution would need is gone then.
            keeps={"ExpirationInDays": 90},
            removal_policy=RemovalPolicy.RETAIN,
        )
        key_arn = self.artifacts.key_arn
        self._store = ArtifactStore(
            region=OWN_REGION,
            bucket_name=self.artifacts.ref,
            bucket_arn=self.artifacts.arn,
            key_id=key_arn,
            key_arn=key_arn,
            scope=scope,
        )
        # The pipeline's own role has them too, and so waits for them: a new pipeline starts at once.
        self._readers, self._writers = (
            Resource(scope, name, "AWS::IAM::ManagedPolicy", {"PolicyDocument": policy_document(allows)})
            for name, allows in (("Readers", self._store.read()), ("Writers", self._store.write()))
        )
        self._role = service_role(
            scope,
            "Role",
            "codepipeline.amazonaws.com",
            self._store.look(),
            managed_policies=[self._readers.ref, self._writers.ref],
        )
        self._resource = Resource(
            scope,
            "Pipeline",
            "AWS::CodePipeline::Pipeline",
            {
                "Name": pipeline_name,
                "PipelineType": "V2",
                "ExecutionMode": "QUEUED",
                "RestartExecutionOnUpdate": False,
                "RoleArn": self._role.arn,
                "ArtifactStore": self._store.to_json(),
                "Stages": [],
            },
        )
        self.name = self._resource.ref
        self._starter: Resource | None = None

    @property
    def arn(self) -> str:
        """The pipeline's ARN, to be a part of properties."""
        return arn("codepipeline", self.name)

    def write(self) -> None:
        """Tell the pipeline and the roles what has come since."""
        self._resource.override("Stages", [each.to_json() for each in self.stages])
        if self.variables:
            self._resource.override("Variables", self.variables)
        stores = self.stores()
        if len(stores) > 1:
            declared = [{"Region": each.region, "ArtifactStore": each.to_json()} for each in stores]
            self._resource.override("ArtifactStore", None)
            self._resource.override("ArtifactStores", declared)
        self._role.allow(self._beside_artifacts())
        self._let_use()
        include(self._scope)

    def to_construct(self) -> codepipeline.Pipeline:
        """The same as a construct of CDK's, in its place: this object is of no use any more."""
        from ._cdk_pipeline import cdk_pipeline

        pipeline = cdk_pipeline(self._scope, self)
        for each in (self._role, self._readers, self._writers):
            each.remove()
        self._resource.become(cast(CfnResource, pipeline.node.default_child))
        return pipeline

    def stores(self) -> list[ArtifactStore]:
        """Where artifacts are: in the pipeline's own region, and in each other one that an action works in."""
        found = {self._store.region: self._store}
        for each in self._actions():
            if each.store is not None:
                # A pipeline has one bucket in a region, whoever else has one there.
                found.setdefault(each.store.region, each.store)
        return list(found.values())

    def may(self) -> list[Allow]:
        """All that the pipeline's role may do."""
        return [*self._store.read(), *self._store.write(), *self._beside_artifacts()]

    def _beside_artifacts(self) -> list[Allow]:
        """The same without what is said in policies of their own."""
        actions, (own, *others) = list(self._actions()), self.stores()
        return [
            *own.look(),
            *(allow for store in others for allow in store.use()),
            *(allow for each in actions for allow in each.allows),
            *(Allow(["sts:AssumeRole"], [each.role_arn]) for each in actions if each.role_arn is not None),
        ]

    def start_on(self, construct_id: str, description: str, pattern: Mapping[str, Any]) -> None:
        """Start an execution for every event that is like this."""
        if self._starter is None:
            start = [Allow(["codepipeline:StartPipelineExecution"], [self.arn])]
            self._starter = service_role(self._scope, "EventsRole", "events.amazonaws.com", start)
        target = {"Id": "Target0", "Arn": self.arn, "RoleArn": self._starter.arn}
        rule = {"Description": description, "EventPattern": pattern, "State": "ENABLED", "Targets": [target]}
        Resource(self._scope, construct_id, "AWS::Events::Rule", rule)

    def _actions(self) -> Iterator[PlainAction]:
        return (action for stage in self.stages for action in stage.actions)

    def _let_use(self) -> None:
        """Let the programs of the actions use the artifacts: one policy for all who read, one for all who write."""
        uses = [each.uses for each in self._actions() if each.uses is not None]
        self._readers.change("Roles", _roles(uses))
        self._writers.change("Roles", _roles([each for each in uses if each.writes]))
        if self.artifacts.key_arn is not None:
            for each in uses:
                each.encrypt(self.artifacts.key_arn)


def _roles(uses: Sequence[ArtifactUse]) -> list[str] | None:
    return list(dict.fromkeys(each.role.ref for each in uses)) or None
