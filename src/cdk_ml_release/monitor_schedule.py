"""ModelMonitorSchedule: what an endpoint is asked is compared with what its model was evaluated on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from constructs import Construct

from ._action import PlainAction
from ._deploy_action import deploy_action
from ._drift_monitor import drift_monitor
from ._monitor_parts import Monitor, Watch
from ._network import private_network
from ._notifications import Notifications
from ._permissions import acknowledge, wildcards
from ._place import settle
from ._resource import include
from ._retrain_guard import FINDINGS, retrain_guard
from .drift_limits import DriftLimits
from .endpoint_release import SageMakerEndpointRelease
from .monitor_engine import DriftJob, ModelMonitor, MonitorEngine
from .retrain import Retrain
from .runtime.schema import Schema
from .stage import SingleUse, StageInput, build_before, check_stage_name

if TYPE_CHECKING:
    from aws_cdk import aws_codepipeline as codepipeline
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_iam as iam
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
        engine: DriftJob | ModelMonitor | None = None,
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
        settle(self, scope, construct_id)
        check_stage_name("construct_id", construct_id)
        name, schema, limits = endpoint.endpoint_name, _schema(endpoint), limits or DriftLimits()
        _check_features(limits, schema)
        self.endpoint = endpoint
        self.stage_name = construct_id
        self.stack_name = f"{name}-monitor"
        self.on_drift = on_drift
        self._use = SingleUse(construct_id, "ModelMonitorSchedule")
        watch = Watch(
            repo=endpoint.repo,
            schema=schema,
            stage_name=construct_id,
            endpoint_name=name,
            stack_name=self.stack_name,
            hours=_hours(every),
            limits=limits,
            network=private_network(self, vpc, f"Monitor of {name}") if vpc is not None else None,
            topic_arn=notify.topic_arn if notify is not None else None,
        )
        self._monitor = monitor = self._define(watch, engine or MonitorEngine.drift_job())
        self.alarm_names = list(monitor.alarm_names)
        if notify is not None:
            Notifications(self, "Notifications", notify, monitor.notices)
        include(self)
        acknowledge(self, lambda: wildcards(self, [*monitor.may, *monitor.prepare.may()]))

    def _define(self, watch: Watch, engine: DriftJob | ModelMonitor) -> Monitor:
        if isinstance(engine, ModelMonitor):
            # Loaded on use: few accounts have it.
            from ._model_monitor import model_monitor

            return model_monitor(self, watch, engine)
        return drift_monitor(self, watch, engine)

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        """The stage's actions: Prepare, then Deploy.

        Args:
            given: What earlier stages hand on.

        Raises:
            ValueError: if no build came before, or the stage is in a pipeline already.
        """
        return [each.construct() for each in self.plain_actions(given)]

    def plain_actions(self, given: StageInput) -> list[PlainAction]:
        """The same, for :class:`MlPipeline`."""
        build_before(given, self.stage_name, "monitor", "watches")
        self._use.begin()
        monitor, prepared = self._monitor, f"{self.stage_name}Template"
        manifest = {"ML_MANIFEST_KEY": given.variable("MANIFEST_KEY")} if monitor.needs_manifest else {}
        namespace = f"{self.stage_name}Prepare"
        return [
            monitor.prepare.action("Prepare", 1, given, manifest, namespace=namespace, output=prepared),
            deploy_action(
                "Deploy",
                2,
                stack_name=self.stack_name,
                prepared=prepared,
                configuration="configuration.json",
                deployment_role_arn=monitor.deployment_role.arn,
            ),
        ]

    @property
    def role(self) -> iam.IRole:
        """What the jobs run as."""
        return self._monitor.role.construct

    @property
    def deployment_role(self) -> iam.IRole:
        """What CloudFormation deploys schedule and alarms with."""
        return self._monitor.deployment_role.construct

    def retrain(self, pipeline: codepipeline.IPipeline) -> None:
        """Let the alarms start a pipeline, as ``on_drift`` has it; :class:`MlPipeline` does this by itself.

        Args:
            pipeline: It needs a variable ``Reason``, which is told the alarm.

        Raises:
            ValueError: if the monitor was defined without ``on_drift``.
        """
        self.retrain_by_name(self, pipeline.pipeline_name, pipeline.pipeline_arn)
        include(self)

    def retrain_by_name(self, scope: Construct, pipeline_name: str, pipeline_arn: str) -> None:
        """The same, for a pipeline that is no construct of CDK's, with the resources among those of ``scope``."""
        if self.on_drift is None:
            raise ValueError(
                f"'on_drift' must be given to the ModelMonitorSchedule '{self.stage_name}' before it can start a "
                "pipeline, got None; pass Retrain()"
            )
        retrain_guard(
            scope,
            f"{self.stage_name}Retrain" if scope is not self else "Retrain",
            retrain=self.on_drift,
            pipeline_name=pipeline_name,
            pipeline_arn=pipeline_arn,
            endpoint_name=self.endpoint.endpoint_name,
            alarm_names=self._monitor.retraining_alarms,
        )
        acknowledge(scope, lambda: FINDINGS)


def _hours(every: Duration | None) -> int:
    seconds = int(every.to_seconds()) if every is not None and not every.is_unresolved() else 3600
    if seconds % 3600 or seconds // 3600 not in _EVERY_HOURS:
        told = ", ".join(map(str, _EVERY_HOURS))
        raise ValueError(
            f"'every' must be one of {told} hours, so that the windows of every day begin alike, got {seconds} "
            "seconds; use Duration.hours(1)"
        )
    return seconds // 3600


def _schema(endpoint: SageMakerEndpointRelease) -> Schema:
    """The columns of an endpoint that can be watched."""
    name = endpoint.endpoint_name
    if endpoint.roles_stack is not None:
        raise ValueError(
            f"'endpoint' must be in the account of this stack, got '{name}', which is in another one; define the "
            "monitor in a pipeline of that account"
        )
    if endpoint.home_stack is not None:
        raise ValueError(
            f"'endpoint' must be in the region of this stack, got '{name}' in {endpoint.home_stack.region}, where what "
            "it captures stays; define the monitor in a pipeline of that region"
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
    return endpoint.repo.schema


def _check_features(limits: DriftLimits, schema: Schema) -> None:
    for name in limits.features:
        if name not in schema.columns:
            raise ValueError(
                f"'features' must name columns of the schema, got {name!r}; the columns are {', '.join(schema.columns)}"
            )
