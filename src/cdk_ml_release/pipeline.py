"""MlPipeline: the stages of a release, in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from aws_cdk import Stack, Token
from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct

from ._choice import VERSION_DESCRIPTION, Choice, choice_namespace, unless_chosen
from ._notifications import Notifications, endpoint_notice, pipeline_notices
from ._permissions import CDK_BUCKET_ACTIONS, CDK_KEY_ACTIONS, OWN_REGION, Allow, acknowledge, arn, wildcards
from ._pipeline_limits import PipelineLimits, problems
from ._place import settle, stack_of
from ._plain_pipeline import PlainPipeline, StageDeclaration
from ._resource import include
from ._retrain_guard import NO_REASON, REASON_VARIABLE
from .approval import Approval
from .artifact_repo import MlArtifactRepo
from .build_stage import MlBuildStage
from .endpoint_release import SageMakerEndpointRelease
from .monitor_schedule import ModelMonitorSchedule
from .runtime.contract import NEW_VERSION, VERSION_VARIABLE
from .source import SOURCE, Source
from .stage import PlainStage, ReleaseStage, StageInput

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_sns as sns


class MlPipeline(Construct):
    """A pipeline that releases a model whenever its code or its data changes.

    Its variable ``ModelVersion`` is ``new``. An execution that is started with the number of a registered version
    instead skips the build and releases that version, as ``ml-release roll-back`` does. A second build in the same
    pipeline has a variable of its own, called ``<stage>ModelVersion``.

    It is a CodePipeline of type V2, whose executions are queued.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        source: Source,
        stages: Sequence[ReleaseStage] = (),
        pipeline_name: str | None = None,
        starts_on_data: bool = True,
        notify: sns.ITopic | None = None,
        encryption_key: kms.IKey | None = None,
    ) -> None:
        """Define the pipeline.

        Args:
            scope: The construct that this pipeline belongs to.
            construct_id: Unique among the children of ``scope``.
            source: Where the model's code comes from.
            stages: The stages behind the source, in order.
            pipeline_name: The pipeline's name. Default: CloudFormation makes one.
            starts_on_data: Whether a new object under the repo's data prefix starts a release too.
            notify: Who is told, in words, of approvals to give, of failures, of releases, and of deployments that
                are rolled back. A topic with a key of your own needs that key to let ``events.amazonaws.com`` use it.
                Default: nobody.
            encryption_key: Encrypts what the actions hand on. Default: a key that S3 manages.

        Raises:
            ValueError: if the name cannot be a pipeline's, two stages have one name, or a stage comes too early.
        """
        super().__init__(scope, construct_id)
        _check_pipeline_name(pipeline_name)
        settle(self, scope, construct_id)
        self._plain = PlainPipeline(self, pipeline_name=pipeline_name, key=encryption_key)
        self._construct: codepipeline.Pipeline | None = None
        self._limits = PipelineLimits(self)
        self._given = StageInput(source=codepipeline.Artifact(SOURCE), commit=source.commit)
        self._stage_names = [SOURCE]
        self._starts_on_data = starts_on_data
        self._topic = notify
        self._knows_reasons = False
        self._afterwards: list[Callable[[], None]] = []
        self._afterwards.append(lambda: acknowledge(self, self._use_of_artifacts))
        self._plain.stages.append(StageDeclaration(name=SOURCE, actions=[source.plain]))
        if source.plain.started_by is not None:
            self._plain.start_on("OnPush", "A push to the model's branch starts a release", source.plain.started_by)
        for stage in stages:
            self._add(stage)
        self._write()

    @property
    def pipeline(self) -> codepipeline.Pipeline:
        """The CodePipeline itself as a construct of CDK's: for whatever the arguments do not cover.

        It takes CDK several times as long to synthesize as one that nobody asks for.
        """
        if self._construct is None:
            self._construct = self._plain.to_construct()
            self._limits.watch(self)
        return self._construct

    def add_stage(self, stage: ReleaseStage) -> None:
        """Put a stage behind the others.

        Raises:
            ValueError: if its name is taken, or it needs a stage that has not come yet.
        """
        self._add(stage)
        self._write()

    def _write(self) -> None:
        if self._construct is None:
            self._plain.write()
            if any(self.problems()):
                self._limits.watch(self)
        include(self)
        # What speaks of the pipeline elsewhere comes when it is there: before that it has no name.
        while self._afterwards:
            self._afterwards.pop(0)()

    def problems(self) -> Iterator[str]:
        """What CodePipeline would say at deployment."""
        if self._construct is None:
            stages = [each.to_json() for each in self._plain.stages]
        else:
            # Read from the pipeline itself, for stages may have been added to it directly.
            declared = cast(codepipeline.CfnPipeline, self._construct.node.default_child)
            stages = stack_of(self).resolve(declared.stages)
        return problems(stages)

    def _add(self, stage: ReleaseStage) -> None:
        name = stage.stage_name
        if name in self._stage_names:
            raise ValueError(f"'stages' must have names of their own, got '{name}' twice; rename one of them")
        if isinstance(stage, SageMakerEndpointRelease) and stage.roles_stack is not None:
            self._share_artifacts(stage, stage.roles_stack)
        if isinstance(stage, SageMakerEndpointRelease) and stage.home_stack is not None:
            # The bucket of that region must be there before the pipeline can name it.
            stack_of(self).node.add_dependency(stage.home_stack)
        self._choose_before(stage)
        self._place(stage)
        self._stage_names.append(name)
        if isinstance(stage, Approval):
            self._given = replace(self._given, chosen_by=choice_namespace(name))
        if isinstance(stage, Construct):
            scope: Construct = stage
            self._afterwards.append(lambda: acknowledge(scope, self._use_of_artifacts))
        if isinstance(stage, SageMakerEndpointRelease | ModelMonitorSchedule):
            stack_name = stage.stack_name
            elsewhere = stage.home_stack if isinstance(stage, SageMakerEndpointRelease) else None
            region = elsewhere.region if elsewhere is not None else OWN_REGION
            self._afterwards.append(lambda: acknowledge(self, lambda: self._deployment_of(stack_name, region)))
        if isinstance(stage, MlBuildStage) and self._starts_on_data:
            self._start_on_data(stage.repo, name)
        if isinstance(stage, ModelMonitorSchedule) and stage.on_drift is not None:
            self._retrain_for(stage)
        if self._topic is not None:
            topic = self._topic
            self._afterwards.append(lambda: self._tell(topic, stage))

    def _place(self, stage: ReleaseStage) -> None:
        given = self._given
        entry = self._enter(stage) if isinstance(stage, MlBuildStage) else None
        if isinstance(stage, PlainStage) and self._construct is None:
            actions = stage.plain_actions(given)
            declared = StageDeclaration(
                name=stage.stage_name, actions=actions, before_entry=entry, rolls_back=stage.rolls_back
            )
            self._plain.stages.append(declared)
            return
        from ._cdk_pipeline import add_stage

        add_stage(
            self.pipeline,
            stage.stage_name,
            list(stage.actions(given)),
            before_entry=entry,
            rolls_back=stage.rolls_back,
        )

    def _add_variable(self, name: str, default: str, description: str) -> None:
        variable = {"Name": name, "DefaultValue": default, "Description": description}
        if self._construct is None:
            self._plain.variables.append(variable)
            return
        from ._cdk_pipeline import add_variable

        add_variable(self._construct, variable)

    def _retrain_for(self, monitor: ModelMonitorSchedule) -> None:
        """Let the monitor's alarms start executions, which are told the reason."""
        if not self._knows_reasons:
            self._knows_reasons = True
            reason = "Why the execution was started, where an alarm has done it"
            self._add_variable(REASON_VARIABLE, NO_REASON, reason)
        monitor.retrain_by_name(self, self._plain.name, self._plain.arn)

    def _tell(self, topic: sns.ITopic, stage: ReleaseStage) -> None:
        """Once there is a model to speak of, tell of the executions; and of the deployments to every endpoint."""
        if isinstance(stage, MlBuildStage) and self.node.try_find_child("Notifications") is None:
            notices = pipeline_notices(self._plain.name, stage.repo.model_name)
            Notifications(self, "Notifications", topic, notices)
        # What happens to an endpoint of another account or region is told on the event bus there only.
        if isinstance(stage, SageMakerEndpointRelease) and stage.roles_stack is None and stage.home_stack is None:
            notice = endpoint_notice(stage.endpoint_name, stage.repo.model_name)
            Notifications(self, f"{stage.stage_name}Notifications", topic, [notice])

    def _share_artifacts(self, stage: SageMakerEndpointRelease, roles: Stack) -> None:
        """What the actions hand on is read in another account, by a role that must be there first."""
        key = self._plain.artifacts.key
        if key is None:
            raise ValueError(
                f"'encryption_key' must be given to the MlPipeline that releases '{stage.stage_name}' to another "
                "account, got None; a key that AWS manages cannot be used there, so pass a kms.Key"
            )
        for owner in (self, key):
            Stack.of(owner).node.add_dependency(roles)
        stage.share_artifacts(self._plain.artifacts)

    def _choose_before(self, stage: ReleaseStage) -> None:
        """Where no approval has done it yet, choose the model before the first stage that may ask which it is."""
        build = self._given.build
        if build is not None and self._given.chosen_by is None and not isinstance(stage, Approval | MlBuildStage):
            choice = Choice(build)
            self._given = replace(self._given, chosen_by=choice_namespace(choice.stage_name))
            self._add(choice)

    def _enter(self, build: MlBuildStage) -> Mapping[str, Any]:
        """Give the build's model a variable: who starts an execution with a version skips the build."""
        first = self._given.build is None
        name = VERSION_VARIABLE if first else f"{build.stage_name}{VERSION_VARIABLE}"
        self._add_variable(name, NEW_VERSION, VERSION_DESCRIPTION)
        self._given = replace(self._given, build=build, version=f"#{{variables.{name}}}", chosen_by=None)
        return unless_chosen(name)

    def _use_of_artifacts(self) -> dict[str, str]:
        because = "CDK gives these on the pipeline's own artifacts, whose keys CodePipeline makes"
        stores = self._plain.stores()
        used = [Allow(CDK_BUCKET_ACTIONS, [f"{each.bucket_arn}/*"], because=because) for each in stores]
        because = "CDK gives these on the key that was given"
        used += [Allow(CDK_KEY_ACTIONS, [each.key_id], because=because) for each in stores if each.key_id is not None]
        return wildcards(self, [*used, *self._plain.may()])

    def _deployment_of(self, stack_name: str, region: str) -> dict[str, str]:
        stack = arn("cloudformation", f"stack/{stack_name}/*", region)
        verbs = ["cloudformation:DescribeStack*", "cloudformation:GetTemplate*"]
        because = "CDK gives these on the one stack that the action deploys, whose ARN ends in an id"
        return wildcards(self, [Allow(verbs, [stack], because=because)])

    def _start_on_data(self, repo: MlArtifactRepo, stage_name: str) -> None:
        bucket, prefix = repo.permissions.data_bucket_name, repo.data_prefix
        pattern = {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": prefix}]}},
        }
        self._plain.start_on(f"{stage_name}Data", f"New data for {repo.model_name} starts a release", pattern)


def _check_pipeline_name(name: str | None) -> None:
    if name is not None and not Token.is_unresolved(name) and not re.fullmatch(r"[A-Za-z0-9.@_-]{1,100}", name):
        raise ValueError(
            f"'pipeline_name' must be 1 to 100 letters, digits and '.@_-', got {name!r}; leave it out to have one made"
        )
