"""The resources that scale an endpoint: there only when nothing that SageMaker refuses them for is under way."""

from __future__ import annotations

from typing import Any

from ._template import VARIANT, parameter
from .scaling import Scaling


def resources(endpoint_name: str, wanted: Scaling) -> dict[str, Any]:
    """The target, its policies and their alarm, by their logical id; all under the condition ``Scaling``."""
    target = {
        "ServiceNamespace": "sagemaker",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "ResourceId": f"endpoint/{endpoint_name}/variant/{VARIANT}",
        "MinCapacity": wanted.minimum,
        "MaxCapacity": wanted.maximum,
    }
    if wanted.schedules:
        target["ScheduledActions"] = [
            {
                "ScheduledActionName": f"Schedule{number}",
                "Schedule": each.schedule,
                "Timezone": each.timezone,
                "ScalableTargetAction": {"MinCapacity": each.minimum, "MaxCapacity": each.maximum},
            }
            for number, each in enumerate(wanted.schedules, start=1)
        ]
    made: dict[str, Any] = {
        "ScalableTarget": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            # The variant must be there to be scaled, and goes after its scaling.
            "DependsOn": "Endpoint",
            "Properties": target,
        },
        "ScalingPolicy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": f"{endpoint_name}-{wanted.metric}",
                "PolicyType": "TargetTrackingScaling",
                "ScalingTargetId": parameter("ScalableTarget"),
                "TargetTrackingScalingPolicyConfiguration": wanted.target_tracking(endpoint_name),
            },
        },
    }
    if wanted.minimum == 0:
        made |= _wake_up(endpoint_name)
    return {name: {**resource, "Condition": "Scaling"} for name, resource in made.items()}


def _wake_up(endpoint_name: str) -> dict[str, Any]:
    """One instance for the first request: the target alone would wait until several are queued.

    Source: the SageMaker guide on scaling an asynchronous endpoint, its optional policy for scaling up from zero.
    """
    return {
        "WakeUpPolicy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": f"{endpoint_name}-wake-up",
                "PolicyType": "StepScaling",
                "ScalingTargetId": parameter("ScalableTarget"),
                "StepScalingPolicyConfiguration": {
                    "AdjustmentType": "ChangeInCapacity",
                    "MetricAggregationType": "Average",
                    "Cooldown": 300,
                    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
                },
            },
        },
        "WakeUpAlarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmDescription": f"{endpoint_name}: requests wait and there is no instance",
                "Namespace": "AWS/SageMaker",
                "MetricName": "HasBacklogWithoutCapacity",
                "Statistic": "Average",
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint_name}],
                "Period": 60,
                "EvaluationPeriods": 2,
                "DatapointsToAlarm": 2,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "missing",
                "AlarmActions": [parameter("WakeUpPolicy")],
            },
        },
    }
