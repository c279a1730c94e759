"""CloudWatch's metrics: every value that was really observed, by namespace, name and dimensions."""

from __future__ import annotations

import bisect
import math
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .calls import Call
from .gateway import ApiError, Service
from .hours import moment, moment_of

NAMESPACE = "AWS/SageMaker"
_MOST_VALUES = 50_000
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
_SIMPLE: Mapping[str, Any] = {
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
    "Sum": sum,
}

Key = tuple[str, str, frozenset[tuple[str, str]]]


class Metrics:
    """The observed values, each with the moment at which it was observed."""

    def __init__(self) -> None:
        """Start without any."""
        self._series: dict[Key, list[tuple[float, float]]] = {}
        self._lock = threading.Lock()

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        return {("cloudwatch", "PutMetricData"): self._put_metric_data}

    def put(
        self, namespace: str, name: str, dimensions: Mapping[str, str], value: float, at: float | None = None
    ) -> None:
        """Keep a value that was observed at a moment of the rehearsal's monotonic clock, by default now."""
        observed = (moment() if at is None else at, value)
        with self._lock:
            series = self._series.setdefault(_key(namespace, name, dimensions), [])
            # Most come in order; what a program has dated goes where it belongs.
            if not series or series[-1] <= observed:
                series.append(observed)
            else:
                bisect.insort(series, observed)
            if len(series) > 2 * _MOST_VALUES:
                del series[:-_MOST_VALUES]

    def values(
        self, namespace: str, name: str, dimensions: Mapping[str, str], since: float, until: float = math.inf
    ) -> list[float]:
        """What was observed from one moment of the rehearsal's monotonic clock up to another."""
        with self._lock:
            series = self._series.get(_key(namespace, name, dimensions), [])
            first, end = bisect.bisect_left(series, (since, -math.inf)), bisect.bisect_left(series, (until, -math.inf))
            return [value for _, value in series[first:end]]

    def _put_metric_data(self, call: Call) -> Mapping[str, Any]:
        for datum in call.parameters.get("MetricData", ()):
            dimensions = {each["Name"]: each["Value"] for each in datum.get("Dimensions", ())}
            if "StatisticValues" in datum:
                raise ApiError("NotImplemented", "the rehearsal does not know StatisticValues: put the values", 501)
            at, values = _dated(datum.get("Timestamp")), datum.get("Values", [datum.get("Value", 0.0)])
            for value, count in zip(values, datum.get("Counts", [1] * len(values)), strict=True):
                for _ in range(int(count)):
                    self.put(call.parameters["Namespace"], datum["MetricName"], dimensions, float(value), at)
        return {}


def check_statistic(name: str) -> None:
    """Refuse a statistic that the rehearsal cannot compute.

    Raises:
        ApiError: naming it.
    """
    if name not in _SIMPLE and not _PERCENTILE.fullmatch(name):
        known = ", ".join([*_SIMPLE, "pNN"])
        raise ApiError("NotImplemented", f"the rehearsal does not know the statistic '{name}', only {known}", 501)


def statistic(name: str, values: Sequence[float]) -> float:
    """A statistic of observed values, of which there is at least one."""
    if name in _SIMPLE:
        return float(_SIMPLE[name](values))
    ordered = sorted(values)
    # The smallest value that so many percent of all do not exceed.
    return ordered[max(0, math.ceil(float(name[1:]) / 100 * len(ordered)) - 1)]


def _key(namespace: str, name: str, dimensions: Mapping[str, str]) -> Key:
    return namespace, name, frozenset(dimensions.items())


def _dated(given: Any) -> float | None:
    """The moment of a ``Timestamp``, in whichever form a protocol has it."""
    if given is None or isinstance(given, datetime):
        return None if given is None else moment_of(given)
    try:
        return moment_of(datetime.fromtimestamp(float(given), UTC))
    except ValueError:
        return moment_of(datetime.fromisoformat(str(given)))
