"""ModelMonitorSchedule: what an endpoint is asked is compared with what its model was evaluated on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_cdk import Duration, aws_codepipeline_actions
from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct

from . import _monitor_alarms as alarms
from . import _monitor_image
from ._codebuild import RuntimeArchive, RuntimeProject
from ._job_requests import Placement
from ._monitor_notices import monitor_notices
from ._monitor_permissions import MonitorPermissions
from ._monitor_template import MonitorTemplate
from ._network import private_network
from ._notifications import Notifications
from ._permissions import acknowledge, role, wildcards
from ._retrain_guard import RetrainGuard
from ._sagemaker_role import sagemaker_role
from .drift_limits import DriftLimits
from .endpoint_release import SageMakerEndpointRelease
from .monitor_engine import MonitorEngine
from .retrain import Retrain
from .runtime.monitor_stage import MonitorStage
from .stage import SingleUse, StageInput, build_before, check_stage_name

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_sns as sns

_EVERY_HOURS = (1, 2, 3, 4, 6, 8, 12, 24)


class ModelMonitorSchedule(Construct):
    """Compares each window of captured requests with the baseline of the model version that answered them.

    A stage of a pipeline, behind the endpoint's release: its actions build the monitor's image and deploy a stack
    ``<endpoint>-monitor`` with the schedule and the alarms ``<endpoint>-drift``, ``-prediction-drift``,
    ``-data-quality``, ``-model-quality-<n>``, ``-no-data`` and ``-monitor-down``. What is found lies under
    ``monitoring/<endpoint>/`` in the repo's bucket. See ``docs/monitoring.md``.

    Attributes:
        endpoint: The release whose endpoint is watched.
        stage_name: The stage's name in a pipeline: the construct's id.
        stack_name: The name of the CloudFormation stack of schedule and alarms.
        alarm_names: What the alarms are called.
        role: What the jobs run as.
        on_drift: Whether and how alarms start the pipeline.
        rolls_back: The last schedule and alarms that were deployed take over again.
    """

    rolls_back = True

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint: SageMakerEndpointRelease,
        every: Duration | None = None,
        limits: DriftLimits | None = None,
        on_drift: Retrain | None = None,
        notify: sns.ITopic | None = None,
        vpc: ec2.IVpc | None = None,
        engine: MonitorEngine | None = None,
    ) -> None:
        """Define the monitor.

        Args:
            scope: The construct that this monitor belongs to.
            construct_id: Unique among the children of ``scope``.
            endpoint: The release whose endpoint is watched; its repo must have a ``schema``, it must capture.
            every: How long a window is: 1, 2, 3, 4, 6, 8, 12 or 24 hours. A window ends at a full hour (UTC) and is
                compared twenty minutes later. Default: 1 hour.
            limits: From where on a window has drifted. Default: see :class:`DriftLimits`.
            on_drift: Start the pipeline that this stage is in when the model should be trained again.
                Default: people decide.
            notify: Who is told, in words, of what was found, of missing data and of a monitor that does not work. A
                topic with a key of your own needs that key to let the jobs and ``events.amazonaws.com`` use it.
                Default: nobody.
            vpc: Whose private subnets the jobs run in; they must reach S3, CloudWatch and, for ``notify``, SNS.
                Default: SageMaker's own network.
            engine: What compares. Default: :meth:`MonitorEngine.drift_job`.

        Raises:
            ValueError: if the endpoint cannot be watched, or a limit cannot be one.
        """
        super().__init__(scope, construct_id)
        check_stage_name("construct_id", construct_id)
        _check_endpoint(endpoint)
        hours = _hours(every)
        limits = limits or DriftLimits()
        _check_features(limits, endpoint)
        engine = engine or MonitorEngine.drift_job()
        self.endpoint = endpoint
        self.stage_name = construct_id
        self.stack_name = f"{endpoint.endpoint_name}-monitor"
        self.on_drift = on_drift
        self.alarm_names = alarms.names(endpoint.endpoint_name, limits)
        self._retraining_alarms = alarms.retraining(endpoint.endpoint_name, limits)
        self._use = SingleUse(construct_id, "ModelMonitorSchedule")
        self._topic = notify
        repo = endpoint.repo
        permissions = MonitorPermissions(
            endpoint_name=endpoint.endpoint_name,
            stack_name=self.stack_name,
            repo=repo.permissions,
            alarm_names=self.alarm_names,
        )
        network = private_network(self, vpc, f"Monitor of {endpoint.endpoint_name}") if vpc is not None else None
        topic_arn = notify.topic_arn if notify is not None else None
        compare = permissions.compare(topic_arn=topic_arn, in_vpc=vpc is not None)
        self.role = sagemaker_role(self, "Role", compare)
        start = permissions.start(self.role)
        scheduler_role = role(self, "SchedulerRole", "scheduler.amazonaws.com", start, own_account_only=True)
        deploy = permissions.deploy(scheduler_role)
        self.deployment_role = role(self, "DeploymentRole", "cloudformation.amazonaws.com", deploy)
        placement = Placement(
            subnets=network.subnets if network is not None else 0,
            security_groups=1 if network is not None else 0,
            encrypted=repo.encryption_key is not None,
        )
        template = MonitorTemplate(
            endpoint_name=endpoint.endpoint_name,
            every_hours=hours,
            limits=limits,
            engine=engine,
            placement=placement,
            notifies=notify is not None,
        ).render()
        known = {
            "MonitorRoleArn": self.role.role_arn,
            "SchedulerRoleArn": scheduler_role.role_arn,
            "Bucket": repo.bucket_name,
            "TopicArn": topic_arn or "",
            "KmsKeyArn": repo.permissions.key_arn or "",
            **(network.values if network is not None else {}),
        }
        settings = MonitorStage(
            endpoint_name=endpoint.endpoint_name,
            stack_name=self.stack_name,
            repository_uri=repo.images.repository_uri,
            image_tag=_monitor_image.tag(),
            parameters={name: value for name, value in known.items() if name in template["Parameters"]},
        )
        prepare = permissions.prepare()
        self._prepare = RuntimeProject(
            self,
            "Prepare",
            program="runtime.monitor",
            archive=RuntimeArchive(
                self,
                {"monitor.template.json": json.dumps(template, indent=1)},
                folders={"monitor": _monitor_image.furnish},
            ),
            environment=settings.to_environment(),
            allows=prepare,
            exports=["IMAGE_URI"],
            artifact_files=["template.json", "configuration.json"],
            builds_containers=True,
        )
        if notify is not None:
            notices = monitor_notices(endpoint.endpoint_name, repo.model_name, self.alarm_names)
            Notifications(self, "Notifications", notify, notices)
        acknowledge(self, lambda: wildcards(self, [*compare, *start, *deploy, *self._prepare.may()]))

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        """The stage's actions: Prepare, then Deploy.

        Args:
            given: What earlier stages hand on.

        Raises:
            ValueError: if no build came before, or the stage is in a pipeline already.
        """
        build_before(given, self.stage_name, "monitor", "watches")
        self._use.begin()
        prepared = codepipeline.Artifact(f"{self.stage_name}Template")
        return [
            self._prepare.action(
                "Prepare", 1, given.source, {}, namespace=f"{self.stage_name}Prepare", output=prepared
            ),
            aws_codepipeline_actions.CloudFormationCreateUpdateStackAction(
                action_name="Deploy",
                run_order=2,
                stack_name=self.stack_name,
                template_path=prepared.at_path("template.json"),
                template_configuration=prepared.at_path("configuration.json"),
                admin_permissions=False,
                deployment_role=self.deployment_role,
            ),
        ]

    def retrain(self, pipeline: codepipeline.Pipeline) -> None:
        """Let the alarms start a pipeline, as ``on_drift`` has it; :class:`MlPipeline` does this by itself.

        Args:
            pipeline: It needs a variable ``Reason``, which is told the alarm.

        Raises:
            ValueError: if the monitor was defined without ``on_drift``.
        """
        if self.on_drift is None:
            raise ValueError(
                f"'on_drift' must be given to the ModelMonitorSchedule '{self.stage_name}' before it can start a "
                "pipeline, got None; pass Retrain()"
            )
        RetrainGuard(
            self,
            "Retrain",
            retrain=self.on_drift,
            pipeline=pipeline,
            endpoint_name=self.endpoint.endpoint_name,
            alarm_names=self._retraining_alarms,
        )


def _hours(every: Duration | None) -> int:
    seconds = int(every.to_seconds()) if every is not None and not every.is_unresolved() else 3600
    if seconds % 3600 or seconds // 3600 not in _EVERY_HOURS:
        told = ", ".join(map(str, _EVERY_HOURS))
        raise ValueError(
            f"'every' must be one of {told} hours, so that the windows of every day begin alike, got {seconds} "
            "seconds; use Duration.hours(1)"
        )
    return seconds // 3600


def _check_endpoint(endpoint: SageMakerEndpointRelease) -> None:
    name = endpoint.endpoint_name
    if endpoint.roles_stack is not None:
        raise ValueError(
            f"'endpoint' must be in the account of this stack, got '{name}', which is in another one; define the "
            "monitor in a pipeline of that account"
        )
    if not endpoint.captures:
        raise ValueError(
            f"'endpoint' must capture what it is asked, got '{name}', which captures nothing; host it in real time "
            "with a 'capture_percentage' above 0"
        )
    if endpoint.repo.schema is None:
        raise ValueError(
            f"'endpoint' must belong to a repo with a schema, got '{name}' of the model '{endpoint.repo.model_name}' "
            "without one; pass MlArtifactRepo(schema=Schema(...))"
        )


def _check_features(limits: DriftLimits, endpoint: SageMakerEndpointRelease) -> None:
    schema = endpoint.repo.schema
    known = [*schema.features, schema.prediction] if schema is not None else []
    for name in limits.features:
        if name not in known:
            raise ValueError(
                f"'features' must name columns of the schema, got {name!r}; the columns are {', '.join(known)}"
            )
