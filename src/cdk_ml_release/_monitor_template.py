"""The stack of a monitor: the schedule of its jobs and its alarms, deployed behind the endpoint that it watches."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import _monitor_alarms as alarms
from ._job_requests import Placement
from ._template import parameter
from .drift_limits import DriftLimits
from .monitor_engine import DriftJob
from .runtime import shapes
from .runtime.contract import fill
from .runtime.monitor_settings import MonitorSettings

# Captured records arrive some minutes late; SageMaker's own monitor waits for up to twenty.
_MINUTE = 20
# The same attempt again is another job; both write the same results.
_RETRIES = {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 3}

_SAMPLE = {
    "ImageUri": f"111122223333.dkr.ecr.us-gov-west-1.amazonaws.com/{'m' * 32}@sha256:{'0' * 64}",
    "MonitorRoleArn": "arn:aws:iam::111122223333:role/role",
    "Bucket": "b" * 63,
    "TopicArn": f"arn:aws:sns:us-gov-west-1:111122223333:{'t' * 120}",
    "KmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/0",
}


@dataclass(frozen=True, kw_only=True)
class MonitorTemplate:
    """What of a monitor is decided at synth; its parameters are what the deployed stack knows, and ``ImageUri``."""

    endpoint_name: str
    every_hours: int
    limits: DriftLimits
    engine: DriftJob
    placement: Placement
    notifies: bool

    @property
    def schedule_name(self) -> str:
        """What the schedule and the stack are called."""
        return f"{self.endpoint_name}-monitor"

    def render(self) -> dict[str, Any]:
        """The template as a JSON value.

        Raises:
            ValueError: if SageMaker would refuse the job.
        """
        request = self._request()
        self._check(request)
        schedule = {
            "Name": self.schedule_name,
            "Description": f"Compares the last {self.every_hours} hours of {self.endpoint_name} with its baseline",
            "ScheduleExpression": self.schedule_expression,
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": {"Fn::Sub": "arn:${AWS::Partition}:scheduler:::aws-sdk:sagemaker:createProcessingJob"},
                "RoleArn": parameter("SchedulerRoleArn"),
                "Input": {"Fn::Sub": json.dumps(request)},
                "RetryPolicy": _RETRIES,
            },
        }
        names = [
            "ImageUri",
            "SchedulerRoleArn",
            *(name for name in self._known if f"${{{name}}}" in json.dumps(request)),
        ]
        return {
            "Description": f"Watches the endpoint {self.endpoint_name}",
            "Parameters": {name: {"Type": "String"} for name in names},
            "Resources": {
                "Schedule": {"Type": "AWS::Scheduler::Schedule", "Properties": schedule},
                **alarms.resources(self.endpoint_name, self.limits, self.every_hours * 3600),
            },
            "Outputs": {"ImageUri": {"Value": parameter("ImageUri")}},
        }

    @property
    def schedule_expression(self) -> str:
        """When windows are compared, as EventBridge Scheduler has it."""
        hours = {1: "*", 24: "0"}.get(self.every_hours, f"0/{self.every_hours}")
        return f"cron({_MINUTE} {hours} * * ? *)"

    @property
    def _known(self) -> Sequence[str]:
        subnets = [f"Subnet{index}" for index in range(self.placement.subnets)]
        return ["MonitorRoleArn", "Bucket", "TopicArn", "KmsKeyArn", *subnets, "SecurityGroup0"]

    def _request(self) -> dict[str, Any]:
        job = self.engine.job
        document: dict[str, Any] = {
            "ProcessingJobName": f"{self.endpoint_name}-<aws.scheduler.execution-id>",
            "RoleArn": "${MonitorRoleArn}",
            "AppSpecification": {"ImageUri": "${ImageUri}", "ContainerArguments": self._arguments()},
            "Environment": {**job.environment, **self._settings().to_environment()},
            "ProcessingResources": {"ClusterConfig": self.placement.volume(job)},
            "StoppingCondition": {"MaxRuntimeInSeconds": min(job.max_runtime_seconds, self.every_hours * 3600)},
        }
        if self.placement.vpc_config:
            document["NetworkConfig"] = {"VpcConfig": self.placement.vpc_config}
        return document

    def _arguments(self) -> list[str]:
        limits = [f"--threshold={name}={limit:.15g}" for name, limit in self.limits.features.items()]
        return ["--scheduled=<aws.scheduler.scheduled-time>", *limits]

    def _settings(self) -> MonitorSettings:
        return MonitorSettings(
            endpoint_name=self.endpoint_name,
            bucket="${Bucket}",
            every_hours=self.every_hours,
            minimum_records=self.limits.minimum_records,
            alpha=self.limits.p_value,
            distance=self.limits.distance,
            drift_share=self.limits.drifted_share,
            sample=self.engine.sample,
            quality=tuple(each.gate for each in self.limits.quality),
            label_days=self.limits.label_days,
            topic_arn="${TopicArn}" if self.notifies else "",
        )

    def _check(self, request: Mapping[str, Any]) -> None:
        network = {key: "a-1" for index in range(64) for key in (f"Subnet{index}", f"SecurityGroup{index}")}
        text = json.dumps(request).replace("<aws.scheduler.execution-id>", "0" * 16)
        found = shapes.problems("CreateProcessingJob", fill(json.loads(text), _SAMPLE | network))
        if found:
            raise ValueError(
                f"'engine' or 'limits' makes a job that SageMaker refuses: {'; '.join(found)}; change it there"
            )
