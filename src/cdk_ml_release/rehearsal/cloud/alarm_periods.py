"""The periods of an alarm: which of the last ones breach, on the rehearsal's clock."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

from .alarm_values import Watched
from .hours import moment_of, now
from .metrics import Metrics

__all__ = ["COMPARISONS", "MISSING", "periods_of", "reach", "state_of"]

COMPARISONS: Mapping[str, Any] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
"""How an alarm may compare."""
MISSING = {"breaching": "ALARM", "notBreaching": "OK", "missing": "INSUFFICIENT_DATA"}
"""``TreatMissingData`` to the state of an alarm that has no values at all; with ``ignore`` it keeps its state."""

_MINUTE = 60.0


def periods_of(parameters: Mapping[str, Any]) -> tuple[int, int]:
    """How many of the last periods have to breach, and of how many."""
    last = int(parameters["EvaluationPeriods"])
    return int(parameters.get("DatapointsToAlarm", last)), last


def reach(parameters: Mapping[str, Any], watched: Watched) -> tuple[float, float]:
    """The moments between which an alarm looks at values: its periods end with the minute, as CloudWatch's do."""
    step = min(_MINUTE, float(watched.period))
    seconds = now().timestamp()
    ends = moment_of(now()) + math.floor(seconds / step) * step + step - seconds
    return ends - watched.period * periods_of(parameters)[1], ends


def state_of(parameters: Mapping[str, Any], watched: Watched, metrics: Metrics, before: str) -> tuple[str, str]:
    """The state that the last periods put an alarm in, and the reason for it.

    Args:
        parameters: Those of PutMetricAlarm.
        watched: What it watches.
        metrics: The observed values.
        before: The state that it is in.
    """
    needed, last = periods_of(parameters)
    treat = parameters.get("TreatMissingData", "missing")
    comparison, threshold = parameters["ComparisonOperator"], float(parameters["Threshold"])
    begins, _ = reach(parameters, watched)
    spans = [begins + number * watched.period for number in range(last)]
    found = [value for at in spans if (value := watched.value(metrics, at, at + watched.period)[0]) is not None]
    missing = last - len(found)
    breaching = [value for value in found if COMPARISONS[comparison](value, threshold)]
    if not found:
        return _without_values(watched, treat, before)
    said = f"{watched.name} is {', '.join(f'{value:.4g}' for value in found)}, {comparison} {threshold:g}"
    bad = len(breaching) + (missing if treat == "breaching" else 0)
    # Where nothing is said about missing periods, those that are there have to do.
    enough = min(needed, len(found)) if treat == "missing" else needed
    if bad >= enough:
        return "ALARM", f"{said} in {bad} of {last} periods" if last > 1 else said
    if treat == "ignore" and bad + missing >= enough:
        return before, f"{said} in {bad} of {last} periods, {missing} are missing"
    return "OK", f"{said} holds in {bad} of {last} periods, not in {enough}" if last > 1 else f"{said} does not hold"


def _without_values(watched: Watched, treat: str, before: str) -> tuple[str, str]:
    return MISSING.get(treat, before), f"no values of {watched.name}, which are treated as {treat}"
