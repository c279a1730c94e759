"""CloudWatch's alarms: what they watch, and the state that the observed values put them in."""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .alarm_values import Watched, read_watched
from .calls import Call
from .composite_alarm import check_rule, holds, names_in
from .gateway import ACCOUNT, ApiError, Service
from .metrics import Metrics
from .workplace import now, timestamp

_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_MISSING = {"breaching": "ALARM", "notBreaching": "OK", "missing": "INSUFFICIENT_DATA"}


@dataclass(frozen=True)
class Window:
    """What the alarms of an endpoint look at.

    Attributes:
        since: The moment of the monotonic clock from which on values count.
        passed: How much declared time they stand for, in seconds. An alarm goes off only once that is as long
            as all the periods that have to breach.
    """

    since: float = 0.0
    passed: float = math.inf


@dataclass
class Alarm:
    """An alarm and the state that it is in."""

    parameters: Mapping[str, Any]
    watched: Watched | None
    """None for a composite alarm, which watches alarms."""
    state: str = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    updated: float = field(default_factory=lambda: timestamp(now()))

    def change(self, state: str, reason: str) -> None:
        """Go into a state."""
        if state != self.state:
            self.updated = timestamp(now())
        self.state, self.reason = state, reason


class Alarms:
    """The alarms of the rehearsed account."""

    def __init__(self, metrics: Metrics, region: str) -> None:
        """Start with none."""
        self._metrics = metrics
        self._region = region
        self._alarms: dict[str, Alarm] = {}
        self._windows: dict[str, Window] = {}
        self._lock = threading.RLock()

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        answers: dict[str, Service] = {
            "PutCompositeAlarm": self._put_composite,
            "PutMetricAlarm": self._put,
            "DescribeAlarms": self._describe,
            "DeleteAlarms": self._delete,
            "SetAlarmState": self._set_state,
            # Nobody looks at a dashboard here.
            "PutDashboard": lambda call: {"DashboardValidationMessages": []},
            "DeleteDashboards": lambda call: {},
        }
        return {("cloudwatch", operation): service for operation, service in answers.items()}

    def look_at(self, endpoint: str, window: Window) -> None:
        """Let the alarms with this endpoint among their dimensions look at a window from now on."""
        with self._lock:
            self._windows[endpoint.lower()] = window

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of some alarms that do not exist."""
        return [name for name in names if name not in self._alarms]

    def ringing(self, names: Iterable[str]) -> Alarm | None:
        """The first of some alarms that is in ALARM now."""
        with self._lock:
            found = (self._evaluated(self._alarms[name]) for name in names if name in self._alarms)
            return next((alarm for alarm in found if alarm.state == "ALARM"), None)

    def _evaluated(self, alarm: Alarm) -> Alarm:
        if alarm.watched is None:
            self._compose(alarm, alarm.parameters["AlarmRule"])
        else:
            self._compare(alarm, alarm.watched)
        return alarm

    def _compose(self, alarm: Alarm, rule: str) -> None:
        states = {name: self._evaluated(self._alarms[name]).state for name in names_in(rule) if name in self._alarms}
        went = holds(rule, lambda name: states.get(name, "INSUFFICIENT_DATA"))
        alarm.change("ALARM" if went else "OK", ", ".join(f"{name} is {state}" for name, state in states.items()))

    def _compare(self, alarm: Alarm, watched: Watched) -> None:
        parameters = alarm.parameters
        window = self._windows.get(watched.endpoint.lower(), Window())
        value, count = watched.value(self._metrics, window.since)
        periods = int(parameters.get("DatapointsToAlarm", parameters["EvaluationPeriods"]))
        needed = watched.period * periods
        if value is None:
            self._without_values(alarm, watched, window.passed >= needed)
            return
        comparison, threshold = parameters["ComparisonOperator"], float(parameters["Threshold"])
        said = f"{watched.name} is {value:.4g} over {count} values, {comparison} {threshold:g}"
        if not _COMPARISONS[comparison](value, threshold):
            alarm.change("OK", f"{said} does not hold")
        elif window.passed < needed:
            alarm.change("OK", f"{said} holds for {window.passed:.0f} s, not yet for {periods} periods")
        else:
            alarm.change("ALARM", said)

    def _without_values(self, alarm: Alarm, watched: Watched, long_enough: bool) -> None:
        treat = alarm.parameters.get("TreatMissingData", "missing")
        if treat == "ignore" or alarm.reason.startswith("Set: "):
            return
        state = _MISSING[treat]
        if state == "ALARM" and not long_enough:
            state = "OK"
        alarm.change(state, f"no values of {watched.name}, which are treated as {treat}")

    def _put(self, call: Call) -> Mapping[str, Any]:
        parameters = call.parameters
        name = parameters["AlarmName"]
        if parameters.get("ComparisonOperator") not in _COMPARISONS or "Threshold" not in parameters:
            given = parameters.get("ComparisonOperator", "none")
            raise ApiError(
                "NotImplemented", f"the rehearsal knows alarms with a threshold; '{name}' compares with {given}", 501
            )
        if parameters.get("TreatMissingData", "missing") not in (*_MISSING, "ignore"):
            raise ApiError("ValidationError", f"TreatMissingData of '{name}' is not one of the four that there are")
        self._keep(name, Alarm(parameters, read_watched(parameters)))
        return {}

    def _put_composite(self, call: Call) -> Mapping[str, Any]:
        name, rule = call.parameters["AlarmName"], call.parameters["AlarmRule"]
        check_rule(rule)
        missing = self.missing(names_in(rule))
        if missing:
            raise ApiError("ValidationError", f"the alarm rule of '{name}' names {missing[0]}, which does not exist")
        self._keep(name, Alarm(call.parameters, None))
        return {}

    def _keep(self, name: str, made: Alarm) -> None:
        with self._lock:
            before = self._alarms.get(name)
            if before is not None:
                made.change(before.state, before.reason)
            self._alarms[name] = made

    def _delete(self, call: Call) -> Mapping[str, Any]:
        with self._lock:
            for name in call.parameters["AlarmNames"]:
                self._alarms.pop(name, None)
        return {}

    def _set_state(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["AlarmName"]
        with self._lock:
            if name not in self._alarms:
                raise ApiError("ResourceNotFound", f"there is no alarm '{name}'", 404)
            # Until values say otherwise.
            self._alarms[name].change(call.parameters["StateValue"], f"Set: {call.parameters['StateReason']}")
        return {}

    def _describe(self, call: Call) -> Mapping[str, Any]:
        parameters = call.parameters
        names, prefix = parameters.get("AlarmNames"), parameters.get("AlarmNamePrefix", "")
        with self._lock:
            found = [name for name in self._alarms if name.startswith(prefix) and (not names or name in names)]
            alarms = [self._described(name, self._evaluated(self._alarms[name])) for name in found]
        state = parameters.get("StateValue")
        shown = [each for each in alarms if state in (None, each["StateValue"])]
        return {
            "MetricAlarms": [each for each in shown if "AlarmRule" not in each],
            "CompositeAlarms": [each for each in shown if "AlarmRule" in each],
        }

    def _described(self, name: str, alarm: Alarm) -> dict[str, Any]:
        return {
            "ActionsEnabled": True,
            **alarm.parameters,
            "AlarmArn": f"arn:aws:cloudwatch:{self._region}:{ACCOUNT}:alarm:{name}",
            "StateValue": alarm.state,
            "StateReason": alarm.reason,
            "StateUpdatedTimestamp": alarm.updated,
        }
