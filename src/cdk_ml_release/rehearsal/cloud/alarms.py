"""CloudWatch's alarms: what they watch, and the state that the observed values put them in."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from .alarm import Alarm, Change, Window
from .alarm_periods import COMPARISONS, MISSING, periods_of, reach, state_of
from .alarm_values import Watched, read_watched
from .calls import Call
from .composite_alarm import check_rule, holds, names_in
from .gateway import ACCOUNT, ApiError, Service
from .hours import timestamp
from .metrics import Metrics


class Alarms:
    """The alarms of the rehearsed account."""

    def __init__(self, metrics: Metrics, region: str) -> None:
        """Start with none."""
        self._metrics = metrics
        self._region = region
        self._alarms: dict[str, Alarm] = {}
        self._windows: dict[str, Window] = {}
        self._guards: set[str] = set()
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

    def look_at(self, endpoint: str, window: Window, guards: Iterable[str] = ()) -> None:
        """Let alarms look at a window of an endpoint's values from now on.

        Args:
            endpoint: Those that watch what the service measures at it look, and no other endpoint's.
            window: Where they look.
            guards: The alarms that take an update back look too, whatever they watch.
        """
        with self._lock:
            self._windows[endpoint.lower()] = window
            self._guards |= {name for guard in guards for name in self._leaves(guard)}

    def _leaves(self, name: str) -> set[str]:
        """An alarm, or those that a composite alarm follows."""
        alarm = self._alarms.get(name)
        if alarm is None or alarm.watched is not None:
            return {name}
        return {leaf for inner in names_in(alarm.parameters["AlarmRule"]) for leaf in self._leaves(inner)}

    def changes(self) -> list[Change]:
        """Judge every alarm by what it sees now; what has changed since the last time is told once."""
        found = []
        with self._lock:
            for name in sorted(self._alarms):
                alarm = self._evaluated(self._alarms[name])
                before, after = alarm.told, (alarm.state, alarm.reason, alarm.updated)
                if before is not None and before[0] != alarm.state:
                    alarm.told = after
                    endpoint = alarm.watched.endpoint if alarm.watched else ""
                    arn, parameters = self._arn(name), alarm.parameters
                    found.append(Change(arn=arn, parameters=parameters, endpoint=endpoint, before=before, after=after))
        return found

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
        guards = watched.is_endpoints_own or parameters["AlarmName"] in self._guards
        window = self._windows.get(watched.endpoint.lower()) if guards else None
        if window is not None:
            self._compare_within(window, alarm, watched)
            return
        state, reason = state_of(parameters, watched, self._metrics, alarm.state)
        if not (reason.startswith("no values") and alarm.reason.startswith("Set: ")):
            alarm.change(state, reason)

    def _compare_within(self, window: Window, alarm: Alarm, watched: Watched) -> None:
        """Compare what was seen in a window, which stands for every period."""
        parameters = alarm.parameters
        # Between two updates what is older than the alarm's periods does not count.
        since = window.since if window.passed < math.inf else max(window.since, reach(parameters, watched)[0])
        value, count = watched.value(self._metrics, since)
        periods, _ = periods_of(parameters)
        needed = watched.period * periods
        if value is None:
            self._without_values(alarm, watched, window.passed >= needed)
            return
        comparison, threshold = parameters["ComparisonOperator"], float(parameters["Threshold"])
        said = f"{watched.name} is {value:.4g} over {count} values, {comparison} {threshold:g}"
        if not COMPARISONS[comparison](value, threshold):
            alarm.change("OK", f"{said} does not hold")
        elif window.passed < needed:
            alarm.change("OK", f"{said} holds for {window.passed:.0f} s, not yet for {periods} periods")
        else:
            alarm.change("ALARM", said)

    def _without_values(self, alarm: Alarm, watched: Watched, long_enough: bool) -> None:
        treat = alarm.parameters.get("TreatMissingData", "missing")
        if treat == "ignore" or alarm.reason.startswith("Set: "):
            return
        state = MISSING[treat]
        if state == "ALARM" and not long_enough:
            state = "OK"
        alarm.change(state, f"no values of {watched.name}, which are treated as {treat}")

    def _put(self, call: Call) -> Mapping[str, Any]:
        parameters = call.parameters
        name = parameters["AlarmName"]
        if parameters.get("ComparisonOperator") not in COMPARISONS or "Threshold" not in parameters:
            given = parameters.get("ComparisonOperator", "none")
            raise ApiError(
                "NotImplemented", f"the rehearsal knows alarms with a threshold; '{name}' compares with {given}", 501
            )
        if parameters.get("TreatMissingData", "missing") not in (*MISSING, "ignore"):
            raise ApiError("ValidationError", f"TreatMissingData of '{name}' is not one of the four that there are")
        _check_actions(parameters)
        self._keep(name, Alarm(parameters, read_watched(parameters)))
        return {}

    def _put_composite(self, call: Call) -> Mapping[str, Any]:
        name, rule = call.parameters["AlarmName"], call.parameters["AlarmRule"]
        check_rule(rule)
        missing = self.missing(names_in(rule))
        if missing:
            raise ApiError("ValidationError", f"the alarm rule of '{name}' names {missing[0]}, which does not exist")
        _check_actions(call.parameters)
        self._keep(name, Alarm(call.parameters, None))
        return {}

    def _keep(self, name: str, made: Alarm) -> None:
        with self._lock:
            before = self._alarms.get(name)
            if before is not None:
                made.state, made.reason, made.updated, made.told = (
                    before.state,
                    before.reason,
                    before.updated,
                    before.told,
                )
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
            "AlarmArn": self._arn(name),
            "StateValue": alarm.state,
            "StateReason": alarm.reason,
            "StateUpdatedTimestamp": timestamp(alarm.updated),
        }

    def _arn(self, name: str) -> str:
        return f"arn:aws:cloudwatch:{self._region}:{ACCOUNT}:alarm:{name}"


def _check_actions(parameters: Mapping[str, Any]) -> None:
    """Refuse an action that would not happen; a scaling policy's is known not to."""
    for kind in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        for arn in parameters.get(kind, ()):
            if not (":sns:" in arn or ":autoscaling:" in arn):
                name = parameters["AlarmName"]
                raise ApiError("NotImplemented", f"the rehearsal tells topics only, '{name}' also does {arn}", 501)
