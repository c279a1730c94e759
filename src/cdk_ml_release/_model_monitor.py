"""A monitor whose windows are compared by SageMaker Model Monitor."""

from __future__ import annotations

import json
import re

from constructs import Construct

from ._analyzer_image import analyzer_image
from ._codebuild import RuntimeArchive, RuntimeProject
from ._job_requests import baseline_request
from ._model_monitor_alarms import ModelMonitorAlarms
from ._model_monitor_notices import model_monitor_notices
from ._model_monitor_permissions import ModelMonitorPermissions
from ._model_monitor_template import ModelMonitorTemplate
from ._model_quality import model_quality
from ._monitor_parts import Monitor, Watch
from ._role import service_role
from ._sagemaker_role import sagemaker_role
from .drift_limits import DriftLimits
from .monitor_engine import ModelMonitor
from .runtime.model_monitor_stage import ModelMonitorStage
from .runtime.schema import Schema

# Spark, which computes the baseline, asks for such names in every AWS guide on it.
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def model_monitor(scope: Construct, watch: Watch, engine: ModelMonitor) -> Monitor:
    """Define roles and program of the monitor.

    Args:
        scope: The stage.
        watch: What is watched and how.
        engine: How a window is compared.

    Raises:
        ValueError: if Model Monitor cannot watch these columns in this region, cannot keep these limits, or SageMaker
            would refuse a job.
    """
    _check_names(watch.schema)
    _check_limits(watch.limits)
    alarms = ModelMonitorAlarms(
        endpoint_name=watch.endpoint_name,
        schema=watch.schema,
        limits=watch.limits,
        quality=model_quality(watch.limits.quality, watch.schema),
        engine=engine,
    )
    image = analyzer_image(scope)
    permissions = ModelMonitorPermissions(
        endpoint_name=watch.endpoint_name,
        stack_name=watch.stack_name,
        model_name=watch.repo.model_name,
        repo=watch.repo.permissions,
        analyzer_arn=image.repository_arn,
        alarm_names=alarms.names,
        schedule_names=[alarms.data_schedule, alarms.quality_schedule],
    )
    analyze = permissions.analyze(in_vpc=watch.network is not None)
    monitor_role = sagemaker_role(scope, "Role", analyze)
    deploy = permissions.deploy(monitor_role.arn)
    known = {"ImageUri": image.uri, "MonitorRoleArn": monitor_role.arn, "ProcessingRoleArn": monitor_role.arn}
    settings = ModelMonitorStage(
        endpoint_name=watch.endpoint_name,
        stack_name=watch.stack_name,
        model_name=watch.repo.model_name,
        bucket=watch.repo.permissions.bucket_name,
        distance=watch.limits.distance,
        values={name: value for name, value in {**watch.values, **known}.items() if value},
    )
    return Monitor(
        role=monitor_role,
        deployment_role=service_role(scope, "DeploymentRole", "cloudformation.amazonaws.com", deploy),
        prepare=RuntimeProject(
            scope,
            "Prepare",
            program="runtime.model_monitor",
            archive=RuntimeArchive(scope, watch.stage_name, _documents(watch, alarms)),
            environment=settings.to_environment(),
            allows=permissions.prepare(monitor_role.arn),
            exports=["DEFINITION_NAME"],
            artifact_files=["template.json", "configuration.json"],
        ),
        needs_manifest=True,
        alarm_names=alarms.names,
        retraining_alarms=alarms.retraining,
        notices=model_monitor_notices(watch.endpoint_name, watch.repo.model_name, alarms.names, monitor_role.arn),
        may=[*analyze, *deploy],
    )


def _documents(watch: Watch, alarms: ModelMonitorAlarms) -> dict[str, str]:
    """What travels beside the program."""
    template = ModelMonitorTemplate(alarms=alarms, hours=watch.hours, placement=watch.placement).render()
    request = baseline_request(alarms.engine.job, watch.placement)
    request.check(watch.repo.model_name)
    documents = {"monitor.template.json": template, "baseline.json": request.document}
    if alarms.quality is not None:
        documents["model-quality.json"] = alarms.quality.constraints()
    return {name: json.dumps(document, indent=1) for name, document in documents.items()}


def _check_names(schema: Schema) -> None:
    for name in schema.columns:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"'schema' must name columns by small letters, digits and underscores for Model Monitor, got {name!r}; "
                "rename the column, or use MonitorEngine.drift_job()"
            )


def _check_limits(limits: DriftLimits) -> None:
    usual = DriftLimits()
    for argument in ("p_value", "minimum_records"):
        value = getattr(limits, argument)
        if value != getattr(usual, argument):
            raise ValueError(
                f"'{argument}' must be left as it is for Model Monitor, got {value!r}; it compares by 'distance' only, "
                "however many records there are, so set that, or use MonitorEngine.drift_job()"
            )
