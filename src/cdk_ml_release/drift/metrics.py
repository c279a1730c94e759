"""What the monitor publishes to CloudWatch; ``docs/monitoring.md`` lists it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..runtime.monitor_stage import NAMESPACE
from .outcome import Outcome
from .window import Window

# PutMetricData takes 1000 at once, within a megabyte.
_AT_ONCE = 500


def publish(cloudwatch: Any, endpoint: str, window: Window, outcomes: Sequence[Outcome]) -> None:
    """Publish a window.

    Args:
        cloudwatch: A client.
        endpoint: The endpoint.
        window: The window.
        outcomes: What came of each version that has answered in it.
    """
    data = [
        {
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": text} for key, text in {"EndpointName": endpoint, **more}.items()],
            "Value": float(value),
            "Unit": unit,
        }
        for name, value, unit, more in _data(window, outcomes)
    ]
    for first in range(0, len(data), _AT_ONCE):
        cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data[first : first + _AT_ONCE])


def judged(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The version that alarms are about: the one in service, if it has answered; else the last one that has.

    An earlier version, whose last requests are in the window of a release, must not set off an alarm against the
    model that has taken its place.
    """
    answered = [each for each in outcomes if each.records]
    serving = [each for each in answered if each.in_service]
    if serving or not answered:
        return serving[0] if serving else None
    return max(answered, key=_newest)


def _newest(outcome: Outcome) -> float:
    newest = outcome.observation.newest if outcome.observation is not None else None
    return newest.timestamp() if newest is not None else 0.0


def _data(window: Window, outcomes: Sequence[Outcome]) -> Iterator[tuple[str, float, str, dict[str, str]]]:
    """Name, value, unit and further dimensions of each metric."""
    if any(each.status != "NoEndpoint" for each in outcomes):
        yield "Records", sum(each.records for each in outcomes), "Count", {}
        yield "UnfitRecords", sum(each.unfit for each in outcomes), "Count", {}
    newest = max((_newest(each) for each in outcomes), default=0.0)
    if newest:
        yield "NewestRecordAge", window.end.timestamp() - newest, "Seconds", {}
    outcome = judged(outcomes)
    if outcome is not None:
        yield from _judgement(outcome)
    for each in outcomes:
        if each.in_service and each.labels.joined:
            yield "Labels", each.labels.joined, "Count", {}
            for metric, value in each.quality.items():
                yield "ModelQuality", value, "None", {"Metric": metric}
    # The last one: what comes before it is there, whoever sees it.
    yield "Completed", 1, "Count", {}


def _judgement(outcome: Outcome) -> Iterator[tuple[str, float, str, dict[str, str]]]:
    comparison = outcome.comparison
    if comparison is not None:
        yield "DriftedFeatureShare", comparison.drift_share, "None", {}
        for name, drift in comparison.features.items():
            yield "FeatureDrifted", drift.drifted, "None", {"Feature": name}
        if comparison.prediction is not None:
            yield "PredictionDrifted", comparison.prediction.drifted, "None", {}
    if outcome.observation is not None and outcome.observation.judged:
        yield "Violations", len(outcome.violations), "Count", {}
