"""MlPipeline: the stages of a release, in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import jsii
from aws_cdk import RemovalPolicy, Stack, Token
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct, IValidation

from ._bucket import days, private_bucket
from ._choice import Choice, choice_namespace, unless_chosen, version_variable
from ._notifications import Notifications, endpoint_notice, pipeline_notices
from ._permissions import CDK_BUCKET_ACTIONS, CDK_KEY_ACTIONS, Allow, accept_dependencies, acknowledge, wildcards
from ._retrain_guard import NO_REASON, REASON_VARIABLE
from .approval import Approval
from .artifact_repo import MlArtifactRepo
from .build_stage import MlBuildStage
from .endpoint_release import SageMakerEndpointRelease
from .monitor_schedule import ModelMonitorSchedule
from .runtime.contract import VERSION_VARIABLE
from .source import Source
from .stage import ReleaseStage, StageInput

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_sns as sns

# Source: CodePipeline's quotas. Neither CDK nor CloudFormation looks before the deployment does.
_LONGEST_CONFIGURATION_VALUE = 1000
_MOST_STAGES = 50


class MlPipeline(Construct):
    """A pipeline that releases a model whenever its code or its data changes.

    Its variable ``ModelVersion`` is ``new``. An execution that is started with the number of a registered version
    instead skips the build and releases that version, as ``ml-release roll-back`` does. A second build in the same
    pipeline has a variable of its own, called ``<stage>ModelVersion``.

    Attributes:
        pipeline: The CodePipeline itself, type V2, executions queued: for whatever these arguments do not cover.
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
        artifacts = private_bucket(
            self,
            "Artifacts",
            key=encryption_key,
            # What a roll-back to an older execution would need is gone then.
            keeps=s3.LifecycleRule(expiration=days(90)),
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.pipeline = codepipeline.Pipeline(
            self,
            "Resource",
            pipeline_name=pipeline_name,
            pipeline_type=codepipeline.PipelineType.V2,
            execution_mode=codepipeline.ExecutionMode.QUEUED,
            artifact_bucket=artifacts,
            cross_account_keys=False,
            restart_execution_on_update=False,
            use_pipeline_role_for_actions=True,
        )
        declared = cast(codepipeline.CfnPipeline, self.pipeline.node.default_child)
        accept_dependencies(declared)
        self._artifacts = artifacts
        acknowledge(self, self._use_of_artifacts)
        code = codepipeline.Artifact("Source")
        self.pipeline.add_stage(stage_name="Source", actions=[source.action(self, code)])
        for allow in source.permissions:
            self.pipeline.add_to_role_policy(iam.PolicyStatement.from_json(allow.to_json()))
        self._given = StageInput(source=code, commit=source.commit)
        self._stage_names = ["Source"]
        self._starts_on_data = starts_on_data
        self._topic = notify
        self._knows_reasons = False
        self.node.add_validation(_WorkingStages(declared))
        for stage in stages:
            self.add_stage(stage)

    def add_stage(self, stage: ReleaseStage) -> None:
        """Put a stage behind the others.

        Raises:
            ValueError: if its name is taken, or it needs a stage that has not come yet.
        """
        name = stage.stage_name
        if name in self._stage_names:
            raise ValueError(f"'stages' must have names of their own, got '{name}' twice; rename one of them")
        if isinstance(stage, SageMakerEndpointRelease) and stage.roles_stack is not None:
            self._share_artifacts(stage, stage.roles_stack)
        self._choose_before(stage)
        actions = list(stage.actions(self._given))
        failure = codepipeline.FailureConditions(result=codepipeline.Result.ROLLBACK) if stage.rolls_back else None
        entry = self._enter(stage) if isinstance(stage, MlBuildStage) else None
        self.pipeline.add_stage(stage_name=name, actions=actions, before_entry=entry, on_failure=failure)
        self._stage_names.append(name)
        if isinstance(stage, Approval):
            self._given = replace(self._given, chosen_by=choice_namespace(name))
        if isinstance(stage, Construct):
            acknowledge(stage, self._use_of_artifacts)
        if isinstance(stage, SageMakerEndpointRelease | ModelMonitorSchedule):
            acknowledge(self, lambda: self._deployment_of(stage.stack_name))
        if isinstance(stage, MlBuildStage) and self._starts_on_data:
            self._start_on_data(stage.repo, name)
        if isinstance(stage, ModelMonitorSchedule) and stage.on_drift is not None:
            self._retrain_for(stage)
        if self._topic is not None:
            self._tell(self._topic, stage)

    def _retrain_for(self, monitor: ModelMonitorSchedule) -> None:
        """Let the monitor's alarms start executions, which are told the reason."""
        if not self._knows_reasons:
            self._knows_reasons = True
            reason = "Why the execution was started, where an alarm has done it"
            self.pipeline.add_variable(
                codepipeline.Variable(variable_name=REASON_VARIABLE, default_value=NO_REASON, description=reason)
            )
        monitor.retrain(self.pipeline)

    def _tell(self, topic: sns.ITopic, stage: ReleaseStage) -> None:
        """Once there is a model to speak of, tell of the executions; and of the deployments to every endpoint."""
        if isinstance(stage, MlBuildStage) and self.node.try_find_child("Notifications") is None:
            notices = pipeline_notices(self.pipeline.pipeline_name, stage.repo.model_name)
            Notifications(self, "Notifications", topic, notices)
        # What happens to an endpoint of another account is told on that account's event bus only.
        if isinstance(stage, SageMakerEndpointRelease) and stage.roles_stack is None:
            notice = endpoint_notice(stage.endpoint_name, stage.repo.model_name)
            Notifications(self, f"{stage.stage_name}Notifications", topic, [notice])

    def _share_artifacts(self, stage: SageMakerEndpointRelease, roles: Stack) -> None:
        """What the actions hand on is read in another account, by a role that must be there first."""
        key = self._artifacts.encryption_key
        if key is None:
            raise ValueError(
                f"'encryption_key' must be given to the MlPipeline that releases '{stage.stage_name}' to another "
                "account, got None; a key that AWS manages cannot be used there, so pass a kms.Key"
            )
        for owner in (self, key):
            Stack.of(owner).node.add_dependency(roles)

    def _choose_before(self, stage: ReleaseStage) -> None:
        """Where no approval has done it yet, choose the model before the first stage that may ask which it is."""
        build = self._given.build
        if build is not None and self._given.chosen_by is None and not isinstance(stage, Approval | MlBuildStage):
            choice = Choice(build)
            self._given = replace(self._given, chosen_by=choice_namespace(choice.stage_name))
            self.add_stage(choice)

    def _enter(self, build: MlBuildStage) -> codepipeline.Conditions:
        """Give the build's model a variable: who starts an execution with a version skips the build."""
        first = self._given.build is None
        variable = version_variable(VERSION_VARIABLE if first else f"{build.stage_name}{VERSION_VARIABLE}")
        self.pipeline.add_variable(variable)
        self._given = replace(self._given, build=build, version=variable.reference(), chosen_by=None)
        return unless_chosen(variable)

    def _use_of_artifacts(self) -> dict[str, str]:
        because = "CDK gives these on the pipeline's own artifacts, whose keys CodePipeline makes"
        key = self._artifacts.encryption_key
        used = [Allow(CDK_BUCKET_ACTIONS, [f"{self._artifacts.bucket_arn}/*"], because=because)]
        used += (
            [Allow(CDK_KEY_ACTIONS, [key.key_arn], because="CDK gives these on the key that was given")] if key else []
        )
        return wildcards(self, used)

    def _deployment_of(self, stack_name: str) -> dict[str, str]:
        stack = Stack.of(self).format_arn(service="cloudformation", resource="stack", resource_name=f"{stack_name}/*")
        verbs = ["cloudformation:DescribeStack*", "cloudformation:GetTemplate*"]
        because = "CDK gives these on the one stack that the action deploys, whose ARN ends in an id"
        return wildcards(self, [Allow(verbs, [stack], because=because)])

    def _start_on_data(self, repo: MlArtifactRepo, stage_name: str) -> None:
        events.Rule(
            self,
            f"{stage_name}Data",
            description=f"New data for {repo.model_name} starts a release",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [repo.data_bucket.bucket_name]},
                    "object": {"key": [{"prefix": repo.data_prefix}]},
                },
            ),
            targets=[targets.CodePipeline(self.pipeline)],
        )


def _check_pipeline_name(name: str | None) -> None:
    if name is not None and not Token.is_unresolved(name) and not re.fullmatch(r"[A-Za-z0-9.@_-]{1,100}", name):
        raise ValueError(
            f"'pipeline_name' must be 1 to 100 letters, digits and '.@_-', got {name!r}; leave it out to have one made"
        )


@jsii.implements(IValidation)
class _WorkingStages:
    """Says at synth what CodePipeline would say at deployment."""

    def __init__(self, declared: codepipeline.CfnPipeline) -> None:
        self._declared = declared

    def validate(self) -> list[str]:
        # Read from the pipeline itself, for stages may have been added to it directly.
        stages = Stack.of(self._declared).resolve(self._declared.stages)
        if len(stages) < 2:
            return ["the pipeline has no stages behind its source: pass 'stages' or call add_stage()"]
        if len(stages) > _MOST_STAGES:
            return [f"the pipeline must have at most {_MOST_STAGES} stages, got {len(stages)}: split it in two"]
        return [problem for stage in stages for action in stage["actions"] for problem in _too_long(stage, action)]


def _too_long(stage: dict[str, Any], action: dict[str, Any]) -> list[str]:
    sizes = {key: _literal_length(value) for key, value in (action.get("configuration") or {}).items()}
    return [
        f"'{key}' of action '{action['name']}' in stage '{stage['name']}' must be at most "
        f"{_LONGEST_CONFIGURATION_VALUE} characters, got {size}: CodePipeline refuses it; set what does not change "
        "from run to run on the CodeBuild project"
        for key, size in sizes.items()
        if size > _LONGEST_CONFIGURATION_VALUE
    ]


def _literal_length(value: Any) -> int:
    """Characters of a resolved value; what only the deployment knows counts for none."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict) and "Fn::Join" in value:
        return sum(_literal_length(part) for part in value["Fn::Join"][1])
    return 0
