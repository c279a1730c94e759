"""Alarm news: what becomes known when alarms change their state."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from ..alarm import Change
from ..alarms import Alarms
from ..gateway import Gateway
from .event_bus import EventBus, tell_topic

__all__ = ["AlarmNews"]

_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


class AlarmNews:
    """Looks at the alarms of the rehearsed account and tells what has changed."""

    def __init__(self, gateway: Gateway, alarms: Alarms, bus: EventBus, told: Callable[[str, str], None]) -> None:
        """Tell the bus, the alarms' own topics, and ``told``: by kind of news and in words."""
        self._gateway = gateway
        self._alarms = alarms
        self._bus = bus
        self._told = told

    def look(self) -> list[Change]:
        """Judge all alarms; every change of state is told before the next alarm's is."""
        changes = self._alarms.changes()
        for change in changes:
            if "ALARM" in (change.state, change.before[0]):
                self._told("alarm", f"alarm {change.name} is {change.state}: {change.after[1]}")
            self._act(change)
            self._bus.put(
                "aws.cloudwatch",
                "CloudWatch Alarm State Change",
                _detail(change),
                [change.arn],
                cause=f"alarm {change.name}",
            )
        return changes

    def _act(self, change: Change) -> None:
        parameters = change.parameters
        if str(parameters.get("ActionsEnabled", True)).lower() != "true":
            return
        topics = [arn for arn in parameters.get(_ACTIONS[change.state], ()) if ":sns:" in arn]
        for topic in topics:
            subject = f'{change.state}: "{change.name}" in {self._gateway.region}'
            try:
                tell_topic(self._gateway, self._told, topic, json.dumps(self._message(change)), subject)
            except ClientError as failure:
                self._told("failure", f"alarm {change.name} could not tell {topic.rpartition(':')[2]}: {failure}")

    def _message(self, change: Change) -> Mapping[str, Any]:
        """What a topic gets, in the form of CloudWatch's own messages."""
        parameters, (state, reason, when) = change.parameters, change.after
        return {
            "AlarmName": change.name,
            "AlarmDescription": parameters.get("AlarmDescription"),
            "AWSAccountId": self._gateway.account,
            "NewStateValue": state,
            "NewStateReason": reason,
            "StateChangeTime": _time(when),
            "Region": self._gateway.region,
            "AlarmArn": change.arn,
            "OldStateValue": change.before[0],
            **{name: list(parameters.get(name, ())) for name in _ACTIONS.values()},
            "Trigger": {
                key: parameters[key]
                for key in ("MetricName", "Namespace", "Statistic", "Period", "EvaluationPeriods", "Threshold")
                if key in parameters
            },
        }


def _detail(change: Change) -> dict[str, Any]:
    return {
        "alarmName": change.name,
        "configuration": _configuration(change.parameters),
        "previousState": _state(change.before),
        "state": _state(change.after),
    }


def _state(told: tuple[str, str, datetime]) -> dict[str, str]:
    value, reason, when = told
    return {"value": value, "reason": reason, "timestamp": _time(when)}


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _configuration(parameters: Mapping[str, Any]) -> dict[str, Any]:
    described = {"description": parameters["AlarmDescription"]} if "AlarmDescription" in parameters else {}
    if "AlarmRule" in parameters:
        return {"alarmRule": parameters["AlarmRule"], **described}
    if "MetricName" in parameters:
        statistic = parameters.get("Statistic") or parameters["ExtendedStatistic"]
        only = {"id": "m1", "metricStat": _metric(parameters, statistic, parameters), "returnData": True}
        return {"metrics": [only], **described}
    return {"metrics": [_one_of(each) for each in parameters["Metrics"]], **described}


def _one_of(given: Mapping[str, Any]) -> dict[str, Any]:
    returned = str(given.get("ReturnData", True)).lower() == "true"
    shown: dict[str, Any] = {"id": given["Id"], "returnData": returned}
    shown |= {key[:1].lower() + key[1:]: given[key] for key in ("Expression", "Label") if key in given}
    if "MetricStat" in given:
        measured = given["MetricStat"]
        shown["metricStat"] = _metric(measured["Metric"], measured["Stat"], measured)
    return shown


def _metric(named: Mapping[str, Any], statistic: str, timing: Mapping[str, Any]) -> dict[str, Any]:
    metric = {
        "name": named["MetricName"],
        "namespace": named["Namespace"],
        "dimensions": {each["Name"]: each["Value"] for each in named.get("Dimensions", ())},
    }
    return {"metric": metric, "period": int(timing["Period"]), "stat": statistic}
