"""The alarms of a monitor, named after its endpoint, on what the monitor's job publishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ._endpoint_dashboard import Widget
from .drift_limits import DriftLimits
from .runtime.contract import Gate
from .runtime.monitor_stage import NAMESPACE

DRIFT, PREDICTION_DRIFT, MODEL_QUALITY = "drift", "prediction-drift", "model-quality"
DATA_QUALITY, NO_DATA, MONITOR_DOWN = "data-quality", "no-data", "monitor-down"


def resources(endpoint_name: str, limits: DriftLimits, period_seconds: int) -> dict[str, Any]:
    """The alarms by logical id.

    Args:
        endpoint_name: The endpoint that is watched.
        limits: From where on it has drifted.
        period_seconds: How long a window is.
    """
    made = dict(_watched(endpoint_name, limits))
    for properties in made.values():
        properties |= {"Namespace": NAMESPACE, "Period": period_seconds}
        properties.setdefault("EvaluationPeriods", 1)
    return {name: {"Type": "AWS::CloudWatch::Alarm", "Properties": each} for name, each in made.items()}


def names(endpoint_name: str, limits: DriftLimits) -> list[str]:
    """What the alarms are called."""
    return [each["AlarmName"] for _, each in _watched(endpoint_name, limits)]


def retraining(endpoint_name: str, limits: DriftLimits) -> list[str]:
    """The names of those that more training may mend."""
    wanted = tuple(f"{endpoint_name}-{kind}" for kind in (DRIFT, PREDICTION_DRIFT, MODEL_QUALITY))
    return [name for name in names(endpoint_name, limits) if name.startswith(wanted)]


def _watched(endpoint_name: str, limits: DriftLimits) -> Iterator[tuple[str, dict[str, Any]]]:
    def alarm(kind: str, description: str, metric: str, **properties: Any) -> dict[str, Any]:
        return {
            "AlarmName": f"{endpoint_name}-{kind}",
            "AlarmDescription": f"{endpoint_name}: {description}",
            "MetricName": metric,
            "Dimensions": _dimensions(endpoint_name),
            "Statistic": "Maximum",
            "ComparisonOperator": "GreaterThanThreshold",
            # A window that could not be judged says nothing: the alarm stays as it is.
            "TreatMissingData": "ignore",
            **properties,
        }

    share = f"more than {limits.drifted_share:.0%} of the features have drifted"
    yield "DriftAlarm", alarm(DRIFT, share, "DriftedFeatureShare", Threshold=limits.drifted_share)
    yield (
        "PredictionDriftAlarm",
        alarm(PREDICTION_DRIFT, "the predictions have drifted", "PredictionDrifted", Threshold=0),
    )
    yield (
        "DataQualityAlarm",
        alarm(DATA_QUALITY, "the data breaks the baseline's constraints", "Violations", Threshold=0),
    )
    # A silent monitor has an alarm of its own.
    silent: dict[str, Any] = {"Statistic": "Sum", "ComparisonOperator": "LessThanThreshold", "Threshold": 1}
    yield "NoDataAlarm", alarm(NO_DATA, "no data was captured in a window", "Records", **silent)
    down = {**silent, "TreatMissingData": "breaching", "EvaluationPeriods": 2}
    yield (
        "MonitorDownAlarm",
        alarm(MONITOR_DOWN, "the monitor has not finished a window twice in a row", "Completed", **down),
    )
    yield from _quality(alarm, endpoint_name, [each.gate for each in limits.quality])


def _quality(alarm: Any, endpoint_name: str, gates: Sequence[Gate]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, gate in enumerate(gates, start=1):
        at_most = gate.comparison == "at_most"
        yield (
            f"ModelQualityAlarm{number}",
            alarm(
                f"{MODEL_QUALITY}-{number}",
                f"{gate.metric} of labelled records is not {gate.rule}",
                "ModelQuality",
                Dimensions=_dimensions(endpoint_name, {"Metric": gate.metric}),
                Threshold=gate.limit,
                Statistic="Maximum" if at_most else "Minimum",
                ComparisonOperator="GreaterThanThreshold" if at_most else "LessThanThreshold",
            ),
        )


def _dimensions(endpoint_name: str, more: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    named = {"EndpointName": endpoint_name, **(more or {})}
    return [{"Name": name, "Value": value} for name, value in named.items()]


def monitor_widgets(endpoint_name: str) -> list[Widget]:
    """A row for the dashboard of an endpoint: drift, and what it was found in."""
    where = ["EndpointName", endpoint_name]

    def metric(name: str, statistic: str, label: str, **more: str) -> list[Any]:
        return [NAMESPACE, name, *where, {"stat": statistic, "label": label, "period": 3600, **more}]

    return [
        (
            "Drift",
            [
                metric("DriftedFeatureShare", "Maximum", "share of drifted features"),
                metric("PredictionDrifted", "Maximum", "predictions drifted"),
            ],
        ),
        (
            "Captured records",
            [
                metric("Records", "Sum", "records"),
                metric("UnfitRecords", "Sum", "records that do not fit the schema"),
                metric("Violations", "Maximum", "violated constraints", yAxis="right"),
            ],
        ),
    ]
