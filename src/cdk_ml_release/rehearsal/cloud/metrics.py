"""CloudWatch's metrics: every value that was really observed, by namespace, name and dimensions."""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from .calls import Call
from .gateway import ApiError, Service

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
    """The observed values, each with the time at which it was observed."""

    def __init__(self) -> None:
        """Start without any."""
        self._series: dict[Key, deque[tuple[float, float]]] = {}
        self._lock = threading.Lock()

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        return {("cloudwatch", "PutMetricData"): self._put_metric_data}

    def put(self, namespace: str, name: str, dimensions: Mapping[str, str], value: float) -> None:
        """Keep a value that was observed now."""
        with self._lock:
            series = self._series.setdefault(_key(namespace, name, dimensions), deque(maxlen=_MOST_VALUES))
            series.append((time.monotonic(), value))

    def values(self, namespace: str, name: str, dimensions: Mapping[str, str], since: float) -> list[float]:
        """What was observed since a moment of the monotonic clock."""
        found = []
        with self._lock:
            for at, value in reversed(self._series.get(_key(namespace, name, dimensions), ())):
                if at < since:
                    break
                found.append(value)
        return found

    def _put_metric_data(self, call: Call) -> Mapping[str, Any]:
        for datum in call.parameters.get("MetricData", ()):
            dimensions = {each["Name"]: each["Value"] for each in datum.get("Dimensions", ())}
            for value in datum.get("Values", [datum.get("Value", 0.0)]):
                self.put(call.parameters["Namespace"], datum["MetricName"], dimensions, float(value))
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
