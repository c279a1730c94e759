"""A monitor whose windows are compared by this library's own job."""

from __future__ import annotations

import json

from constructs import Construct

from . import _monitor_alarms as alarms
from . import _monitor_image
from ._codebuild import RuntimeArchive, RuntimeProject
from ._monitor_notices import monitor_notices
from ._monitor_parts import Monitor, Watch
from ._monitor_permissions import MonitorPermissions
from ._monitor_template import MonitorTemplate
from ._role import service_role
from ._sagemaker_role import sagemaker_role
from .monitor_engine import DriftJob
from .runtime.monitor_stage import MonitorStage


def drift_monitor(scope: Construct, watch: Watch, engine: DriftJob) -> Monitor:
    """Define roles and program of the monitor.

    Args:
        scope: The stage.
        watch: What is watched and how.
        engine: How a window is compared.

    Raises:
        ValueError: if SageMaker would refuse the job.
    """
    alarm_names = alarms.names(watch.endpoint_name, watch.limits)
    permissions = MonitorPermissions(
        endpoint_name=watch.endpoint_name,
        stack_name=watch.stack_name,
        repo=watch.repo.permissions,
        alarm_names=alarm_names,
    )
    compare = permissions.compare(topic_arn=watch.topic_arn, in_vpc=watch.network is not None)
    monitor_role = sagemaker_role(scope, "Role", compare)
    start = permissions.start(monitor_role.arn)
    scheduler_role = service_role(scope, "SchedulerRole", "scheduler.amazonaws.com", start, own_account_only=True)
    deploy = permissions.deploy(scheduler_role.arn)
    roles = {"MonitorRoleArn": monitor_role.arn, "SchedulerRoleArn": scheduler_role.arn}
    return Monitor(
        role=monitor_role,
        deployment_role=service_role(scope, "DeploymentRole", "cloudformation.amazonaws.com", deploy),
        prepare=_prepare(scope, watch, engine, roles, permissions),
        needs_manifest=False,
        alarm_names=alarm_names,
        retraining_alarms=alarms.retraining(watch.endpoint_name, watch.limits),
        notices=monitor_notices(watch.endpoint_name, watch.repo.model_name, alarm_names),
        may=[*compare, *start, *deploy],
    )


def _prepare(
    scope: Construct, watch: Watch, engine: DriftJob, roles: dict[str, str], permissions: MonitorPermissions
) -> RuntimeProject:
    """The program that builds the monitor's image."""
    template = MonitorTemplate(
        endpoint_name=watch.endpoint_name,
        every_hours=watch.hours,
        limits=watch.limits,
        engine=engine,
        placement=watch.placement,
        notifies=watch.topic_arn is not None,
    ).render()
    known = {**watch.values, **roles, "TopicArn": watch.topic_arn or ""}
    settings = MonitorStage(
        endpoint_name=watch.endpoint_name,
        stack_name=watch.stack_name,
        repository_uri=watch.repo.permissions.images_uri,
        image_tag=_monitor_image.tag(),
        parameters={name: value for name, value in known.items() if name in template["Parameters"]},
    )
    return RuntimeProject(
        scope,
        "Prepare",
        program="runtime.monitor",
        archive=RuntimeArchive(
            scope,
            watch.stage_name,
            {"monitor.template.json": json.dumps(template, indent=1)},
            {f"monitor/{path}": content for path, content in _monitor_image.files().items()},
        ),
        environment=settings.to_environment(),
        allows=permissions.prepare(),
        exports=["IMAGE_URI"],
        artifact_files=["template.json", "configuration.json"],
        builds_containers=True,
    )
