"""The alarms that take an update back: on one fleet, by the configuration that it serves."""

from __future__ import annotations

from typing import Any

from ._template import attribute
from .auto_rollback import AutoRollback

_PERIOD_SECONDS = 60


def resources(endpoint_name: str, variant: str, limits: AutoRollback) -> dict[str, Any]:
    """The alarms of a variant, by their logical id.

    They are made before the endpoint, for it refers to them, and deleted after it. They look at the metrics of the
    configuration being deployed, so that what the old fleet did counts for nothing.
    """
    dimensions: list[dict[str, Any]] = [
        {"Name": "EndpointName", "Value": endpoint_name},
        {"Name": "VariantName", "Value": variant},
        {"Name": "EndpointConfigName", "Value": attribute("Config", "EndpointConfigName")},
    ]
    made: dict[str, Any] = {}
    if limits.max_5xx_percent is not None:
        made["FailedRequestsAlarm"] = _alarm(
            f"{endpoint_name}: more than {limits.max_5xx_percent:g} % of the requests of a minute failed with a 5xx",
            # 1 for a request that failed, else 0: the average is the rate.
            {"MetricName": "Invocation5XXErrors", "Statistic": "Average", "Threshold": limits.max_5xx_percent / 100},
            dimensions,
        )
    if limits.max_p99_latency_ms is not None:
        made["SlowModelAlarm"] = _alarm(
            f"{endpoint_name}: the p99 of a minute's answers took more than {limits.max_p99_latency_ms:g} ms",
            {
                "MetricName": "ModelLatency",
                "ExtendedStatistic": "p99",
                # SageMaker counts in microseconds.
                "Threshold": limits.max_p99_latency_ms * 1000,
            },
            dimensions,
        )
    return made


def _alarm(description: str, measured: dict[str, Any], dimensions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": description,
            "Namespace": "AWS/SageMaker",
            **measured,
            "Dimensions": dimensions,
            "Period": _PERIOD_SECONDS,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            # No request is no failure.
            "TreatMissingData": "notBreaching",
        },
    }
