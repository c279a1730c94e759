"""The stack of a monitor by SageMaker Model Monitor: job definitions, their schedules and the alarms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._job_requests import Placement
from ._model_monitor_alarms import ModelMonitorAlarms
from ._template import endpoint_export, parameter
from .jobs import ProcessingJob
from .runtime import shapes
from .runtime.contract import fill

_ROOT = "/opt/ml/processing"
# botocore: MonitoringMaxRuntimeInSeconds
_LONGEST_SECONDS = 86_400

_SAMPLE = {
    "DefinitionName": "d" * 63,
    "ImageUri": f"111122223333.dkr.ecr.us-isof-south-1.amazonaws.com/{'m' * 32}",
    "MonitorRoleArn": "arn:aws:iam::111122223333:role/role",
    "Bucket": "b" * 63,
    "BaselineUri": f"s3://{'b' * 63}/runs/{'0' * 36}/baseline/model-monitor",
    "KmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/0",
}
# Any other is the user's own, and stays.
_PLACEHOLDER = re.compile(rf"\$\{{({'|'.join(_SAMPLE)}|Subnet\d+|SecurityGroup\d+)\}}")


@dataclass(frozen=True, kw_only=True)
class ModelMonitorTemplate:
    """What of a monitor is decided at synth.

    Its parameters are those that only a release knows: ``DefinitionName`` (the name of the job definitions, which
    SageMaker never changes in place) and ``BaselineUri`` (the baseline of the version in service); and those that the
    deployed stack knows.

    The endpoint's name is imported from the endpoint's stack. So CloudFormation itself sees to it that this stack is
    deleted first: a schedule whose endpoint is gone can only be taken away by hand.
    """

    alarms: ModelMonitorAlarms
    hours: int
    placement: Placement

    @property
    def endpoint_name(self) -> str:
        """The endpoint that is watched."""
        return self.alarms.endpoint_name

    def render(self) -> dict[str, Any]:
        """The template as a JSON value.

        Raises:
            ValueError: if SageMaker would refuse a job definition.
        """
        documents = {"DataQuality": self._data_quality()}
        if self.alarms.quality is not None:
            documents["ModelQuality"] = self._model_quality()
        self._check(documents)
        resources: dict[str, Any] = {}
        for kind, document in documents.items():
            resources[kind] = {
                "Type": f"AWS::SageMaker::{kind}JobDefinition",
                "Properties": _references(document, self.endpoint_name),
            }
            resources[f"{kind}Schedule"] = self._schedule(kind)
        names = dict.fromkeys(_PLACEHOLDER.findall(json.dumps(documents)))
        return {
            "Description": (
                f"Watches the endpoint {self.endpoint_name} with SageMaker Model Monitor; must be deleted before the "
                "stack of the endpoint"
            ),
            "Parameters": {name: {"Type": "String"} for name in names},
            "Resources": {**resources, **self.alarms.resources(self.hours * 3600)},
        }

    @property
    def schedule_expression(self) -> str:
        """When windows are compared, in the forms that Model Monitor takes: up to twenty minutes later."""
        hours = {1: "*", 24: "0"}.get(self.hours, f"0/{self.hours}")
        return f"cron(0 {hours} ? * * *)"

    def _schedule(self, kind: str) -> dict[str, Any]:
        alarms = self.alarms
        return {
            "Type": "AWS::SageMaker::MonitoringSchedule",
            # The definition is given by name, which says nothing about the order.
            "DependsOn": kind,
            "Properties": {
                "MonitoringScheduleName": alarms.data_schedule if kind == "DataQuality" else alarms.quality_schedule,
                "MonitoringScheduleConfig": {
                    "MonitoringJobDefinitionName": parameter("DefinitionName"),
                    "MonitoringType": kind,
                    "ScheduleConfig": {"ScheduleExpression": self.schedule_expression},
                },
            },
        }

    def _data_quality(self) -> dict[str, Any]:
        statistics = {"S3Uri": "${BaselineUri}/suggested/statistics.json"}
        constraints = {"S3Uri": f"${{BaselineUri}}/{self.endpoint_name}/constraints.json"}
        return {
            "DataQualityAppSpecification": self._application(),
            "DataQualityBaselineConfig": {"ConstraintsResource": constraints, "StatisticsResource": statistics},
            "DataQualityJobInput": {"EndpointInput": self._endpoint()},
            "DataQualityJobOutputConfig": self._output(),
            **self._job(self.hours * 3600),
        }

    def _model_quality(self) -> dict[str, Any]:
        assert self.alarms.quality is not None
        # A window is judged once its labels may have arrived.
        delay = self.alarms.limits.label_days * 24
        joined = {
            "InferenceAttribute": self.alarms.engine.inference_attribute,
            "StartTimeOffset": f"-PT{delay + self.hours}H",
            "EndTimeOffset": f"-PT{delay}H",
        }
        constraints = {"S3Uri": f"${{BaselineUri}}/{self.endpoint_name}/model-quality.json"}
        return {
            "ModelQualityAppSpecification": {
                **self._application(),
                "ProblemType": self.alarms.quality.problem_type,
            },
            "ModelQualityBaselineConfig": {"ConstraintsResource": constraints},
            "ModelQualityJobInput": {
                "EndpointInput": {**self._endpoint(), **joined},
                "GroundTruthS3Input": {"S3Uri": f"s3://${{Bucket}}/ground-truth/{self.endpoint_name}"},
            },
            "ModelQualityJobOutputConfig": self._output(),
            # Two jobs, one after the other: the first one joins the labels.
            **self._job(self.hours * 1800),
        }

    @property
    def _own(self) -> ProcessingJob:
        return self.alarms.engine.job

    def _application(self) -> dict[str, Any]:
        variables = {**self._own.environment, "publish_cloudwatch_metrics": "Enabled"}
        return {"ImageUri": "${ImageUri}", "Environment": variables}

    def _endpoint(self) -> dict[str, Any]:
        return {"EndpointName": "${EndpointName}", "LocalPath": f"{_ROOT}/input/endpoint"}

    def _output(self) -> dict[str, Any]:
        place = {"S3Uri": f"s3://${{Bucket}}/monitoring/{self.endpoint_name}", "LocalPath": f"{_ROOT}/output"}
        return {"MonitoringOutputs": [{"S3Output": place}], **self.placement.key("KmsKeyId")}

    def _job(self, most_seconds: int) -> dict[str, Any]:
        seconds = min(self._own.max_runtime_seconds, most_seconds, _LONGEST_SECONDS)
        document: dict[str, Any] = {
            "JobDefinitionName": "${DefinitionName}",
            "JobResources": {"ClusterConfig": self.placement.volume(self._own)},
            "RoleArn": "${MonitorRoleArn}",
            "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
        }
        if self.placement.vpc_config:
            document["NetworkConfig"] = {
                "VpcConfig": self.placement.vpc_config,
                "EnableInterContainerTrafficEncryption": True,
            }
        return document

    def _check(self, documents: Mapping[str, Any]) -> None:
        network = {key: "a-1" for index in range(64) for key in (f"Subnet{index}", f"SecurityGroup{index}")}
        values = {**_SAMPLE, **network, "EndpointName": self.endpoint_name}
        for kind, document in documents.items():
            found = shapes.problems(f"Create{kind}JobDefinition", fill(document, values))
            if found:
                raise ValueError(
                    f"'engine' makes a job definition that SageMaker refuses: {'; '.join(found)}; change its 'job'"
                )


def _references(value: Any, endpoint_name: str) -> Any:
    """A document whose placeholders CloudFormation fills in."""
    if isinstance(value, dict):
        return {key: _references(each, endpoint_name) for key, each in value.items()}
    if isinstance(value, list):
        return [_references(each, endpoint_name) for each in value]
    if value == "${EndpointName}":
        return {"Fn::ImportValue": endpoint_export(endpoint_name)}
    if isinstance(value, str) and _PLACEHOLDER.search(value):
        whole = _PLACEHOLDER.fullmatch(value)
        return parameter(whole[1]) if whole is not None else {"Fn::Sub": value}
    return value
