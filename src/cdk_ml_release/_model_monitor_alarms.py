"""The alarms of a monitor, named after its endpoint, on what SageMaker Model Monitor publishes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ._model_quality import ModelQuality
from ._monitor_alarms import DRIFT, MODEL_QUALITY, NO_DATA, PREDICTION_DRIFT
from .drift_limits import DriftLimits
from .monitor_engine import ModelMonitor
from .runtime.monitor_stage import NAMESPACE
from .runtime.schema import Schema

# Source: PutMetricAlarm, for alarms on an expression.
_MOST_METRICS = 10
# A schedule starts up to twenty minutes late, and its job takes its time: one window without a metric says nothing.
_SILENT_WINDOWS = 3


@dataclass(frozen=True, kw_only=True)
class ModelMonitorAlarms:
    """Which alarms there are, and from where on they go off."""

    endpoint_name: str
    schema: Schema
    limits: DriftLimits
    quality: ModelQuality | None
    engine: ModelMonitor

    @property
    def data_schedule(self) -> str:
        """The schedule that watches the data."""
        return f"{self.endpoint_name}-data-quality"

    @property
    def quality_schedule(self) -> str:
        """The schedule that watches the model's quality."""
        return f"{self.endpoint_name}-model-quality"

    def resources(self, period_seconds: int) -> dict[str, Any]:
        """The alarms by logical id.

        Args:
            period_seconds: How long a window is.
        """
        made = dict(self._watched(period_seconds))
        return {name: {"Type": "AWS::CloudWatch::Alarm", "Properties": each} for name, each in made.items()}

    @property
    def names(self) -> list[str]:
        """What the alarms are called."""
        return [each["AlarmName"] for _, each in self._watched(3600)]

    @property
    def retraining(self) -> list[str]:
        """The names of those that more training may mend."""
        return [name for name in self.names if name != f"{self.endpoint_name}-{NO_DATA}"]

    def _watched(self, period: int) -> Iterator[tuple[str, dict[str, Any]]]:
        for number, group in enumerate(_groups(list(self.schema.features)), start=1):
            suffix = f"-{number}" if number > 1 else ""
            yield f"DriftAlarm{number}", self._drift(f"{DRIFT}{suffix}", group, period)
        prediction = self.schema.prediction
        yield (
            "PredictionDriftAlarm",
            {
                **self._alarm(PREDICTION_DRIFT, "the predictions have drifted"),
                **self._drift_of(prediction, period),
                "Threshold": self._limit(prediction),
            },
        )
        yield "NoDataAlarm", self._no_data(period)
        for number, (name, gate) in enumerate(self.quality.gates.items() if self.quality else (), start=1):
            at_most = gate.comparison == "at_most"
            yield (
                f"ModelQualityAlarm{number}",
                {
                    **self._alarm(f"{MODEL_QUALITY}-{number}", f"{gate.metric} of labelled records is not {gate.rule}"),
                    "Namespace": self.engine.quality_namespace,
                    "MetricName": name,
                    "Dimensions": self._dimensions(self.quality_schedule),
                    "Statistic": "Maximum" if at_most else "Minimum",
                    "Period": period,
                    "Threshold": gate.limit,
                    "ComparisonOperator": "GreaterThanThreshold" if at_most else "LessThanThreshold",
                },
            )

    def _drift(self, kind: str, features: Sequence[str], period: int) -> dict[str, Any]:
        """An alarm on the share of these features that have drifted."""
        share = self.limits.drifted_share
        told = f"more than {share:.0%} have drifted of the features {', '.join(features)}"
        metrics = [_measured(f"m{at}", self._drift_of(name, period)) for at, name in enumerate(features)]
        drifted = [f"IF(m{at} > {self._limit(name):.15g}, 1, 0)" for at, name in enumerate(features)]
        # A guess: the sum of a list leaves out what is missing, so that one feature without a metric mutes no others.
        expression = f"SUM([{', '.join(drifted)}]) / {len(features)}"
        return {**self._alarm(kind, told[:900]), "Metrics": [*metrics, _watched(expression)], "Threshold": share}

    def _no_data(self, period: int) -> dict[str, Any]:
        """An alarm on windows in a row that nothing was published of: neither data nor a monitor that works."""
        seen = {
            "Namespace": self.engine.namespace,
            "MetricName": f"feature_non_null_{self.schema.prediction}",
            "Dimensions": self._dimensions(self.data_schedule),
            "Statistic": "SampleCount",
            "Period": period,
        }
        # A deployment counts as a sign of life: the first windows have yet to come.
        deployed = {
            "Namespace": NAMESPACE,
            "MetricName": "Completed",
            "Dimensions": [{"Name": "EndpointName", "Value": self.endpoint_name}],
            "Statistic": "SampleCount",
            "Period": period,
        }
        return {
            **self._alarm(NO_DATA, f"nothing was published of {_SILENT_WINDOWS} windows in a row"),
            "Metrics": [_measured("seen", seen), _measured("deployed", deployed), _watched("SUM([seen, deployed])")],
            "ComparisonOperator": "LessThanThreshold",
            "Threshold": 1,
            "EvaluationPeriods": _SILENT_WINDOWS,
            "TreatMissingData": "breaching",
        }

    def _alarm(self, kind: str, description: str) -> dict[str, Any]:
        return {
            "AlarmName": f"{self.endpoint_name}-{kind}",
            "AlarmDescription": f"{self.endpoint_name}: {description}",
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluationPeriods": 1,
            # A window that nothing was published of says nothing: the alarm stays as it is.
            "TreatMissingData": "ignore",
        }

    def _drift_of(self, name: str, period: int) -> dict[str, Any]:
        return {
            "Namespace": self.engine.namespace,
            "MetricName": f"feature_baseline_drift_{name}",
            "Dimensions": self._dimensions(self.data_schedule),
            # One value a window: the guide reads its sum, AWS's samples its average.
            "Statistic": "Maximum",
            "Period": period,
        }

    def _dimensions(self, schedule: str) -> list[dict[str, str]]:
        named = zip(self.engine.dimensions, (self.endpoint_name, schedule), strict=True)
        return [{"Name": name, "Value": value} for name, value in named]

    def _limit(self, name: str) -> float:
        return self.limits.features.get(name, self.limits.distance)


def _groups(names: Sequence[str]) -> list[Sequence[str]]:
    """The names in as few groups as an alarm's metrics allow, of about the same size."""
    count = -(-len(names) // _MOST_METRICS)
    return [names[at * len(names) // count : (at + 1) * len(names) // count] for at in range(count)]


def _measured(key: str, alarm: dict[str, Any]) -> dict[str, Any]:
    """What an alarm on one metric watches, as a part of an expression."""
    metric = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions")}
    statistic = {"Metric": metric, "Period": alarm["Period"], "Stat": alarm["Statistic"]}
    return {"Id": key, "MetricStat": statistic, "ReturnData": False}


def _watched(expression: str) -> dict[str, Any]:
    return {"Id": "watched", "Expression": expression, "ReturnData": True}
