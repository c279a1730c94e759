"""EventBridge Scheduler: what is called at which hour of the rehearsal."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..calls import Call
from ..gateway import ApiError, Gateway, Service
from ..hours import now, stamp, timestamp
from .schedule_expression import Expression, ExpressionError, read_expression
from .sdk_call import SdkCall, SdkError, read_sdk_call

__all__ = ["Schedule", "Schedules"]

_SERVICE = "scheduler.amazonaws.com"
_TARGET = frozenset({"Arn", "DeadLetterConfig", "Input", "RetryPolicy", "RoleArn"})
# "Unsupported actions ... include common GET operations, among others those that begin with" these.
_READS = (
    *("Get", "Describe", "List", "Poll", "Receive", "Search", "Scan", "Query", "Select", "Read", "Lookup"),
    *("Discover", "Validate", "BatchGet", "BatchDescribe", "BatchRead", "TransactGet", "AdminGet", "AdminList"),
    *("TestMigration", "Retrieve", "TestConnection", "TranslateDocument", "IsAuthorized", "InvokeModel"),
)


@dataclass
class Schedule:
    """A schedule and how far it has been seen to."""

    parameters: Mapping[str, Any]
    arn: str
    expression: Expression
    call: SdkCall
    created: datetime
    modified: datetime
    seen: datetime
    """What was due up to here has been fired."""

    @property
    def name(self) -> str:
        """Its name."""
        name: str = self.parameters["Name"]
        return name

    def next_due(self) -> datetime | None:
        """When it is due for the next time, if it is enabled and ever is."""
        if self.parameters.get("State", "ENABLED") == "DISABLED":
            return None
        start, end = _date(self.parameters, "StartDate"), _date(self.parameters, "EndDate")
        due = self.expression.next_after(self.seen, start or self.created)
        return due if due is not None and (end is None or due < end) else None


class Schedules:
    """The schedules of the rehearsed account."""

    def __init__(self, gateway: Gateway, told: Callable[[str, str], None]) -> None:
        """Start with none; ``told`` is told of every call, by what kind of news it is and in words."""
        self._gateway = gateway
        self._told = told
        self._schedules: dict[str, Schedule] = {}

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        answers: dict[str, Service] = {
            "CreateSchedule": self._create,
            "DeleteSchedule": self._delete,
            "GetSchedule": lambda call: _described(self._find(call)),
            "UpdateSchedule": self._update,
        }
        return {("scheduler", operation): service for operation, service in answers.items()}

    def next_due(self) -> tuple[datetime, Schedule] | None:
        """The schedule that is due next, and when."""
        found = [(due, each.name, each) for each in self._schedules.values() if (due := each.next_due()) is not None]
        if not found:
            return None
        due, _, schedule = min(found)
        return due, schedule

    def fire(self, schedule: Schedule, due: datetime) -> None:
        """Call what a schedule calls; what goes wrong is told."""
        schedule.seen = due
        target, call = schedule.parameters["Target"], schedule.call
        called = f"{call.service}:{call.operation}"
        words = {
            "schedule-arn": schedule.arn,
            "scheduled-time": stamp(due),
            "execution-id": uuid.uuid4().hex[:16],
            "attempt-number": "1",
        }
        given = target.get("Input", "{}")
        for word, value in words.items():
            given = given.replace(f"<aws.scheduler.{word}>", value)
        try:
            principal = self._assume(target["RoleArn"])
            call.perform(self._gateway, json.loads(given), principal=principal, session=words["execution-id"])
        except (ApiError, SdkError) as failure:
            self._told("failure", f"schedule {schedule.name} could not call {called}: {failure}")
            return
        self._told("schedule", f"schedule {schedule.name} of {stamp(due)}: {called}")

    def _create(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["Name"]
        if name in self._schedules:
            raise ApiError("ConflictException", f"Schedule {name} already exists.", 409)
        gateway, created = self._gateway, now()
        arn = f"arn:aws:scheduler:{gateway.region}:{gateway.account}:schedule/default/{name}"
        parameters = _checked(call.parameters)
        schedule = self._read(parameters, arn, created)
        self._schedules[name] = schedule
        return {"ScheduleArn": arn}

    def _update(self, call: Call) -> Mapping[str, Any]:
        old = self._find(call)
        changed = self._read(_checked(call.parameters), old.arn, old.created)
        # What was due before does not become due by the change.
        changed.seen = changed.modified = now()
        self._schedules[old.name] = changed
        return {"ScheduleArn": old.arn}

    def _read(self, parameters: Mapping[str, Any], arn: str, created: datetime) -> Schedule:
        target = parameters["Target"]
        zone = parameters.get("ScheduleExpressionTimezone", "UTC")
        try:
            expression = read_expression(parameters["ScheduleExpression"], zone)
            call = read_sdk_call(target["Arn"])
        except (ExpressionError, SdkError) as error:
            raise ApiError("ValidationException", str(error)) from None
        if call.operation.startswith(_READS):
            raise ApiError("ValidationException", f"a schedule calls nothing that only reads, as {target['Arn']} does")
        self._assume(target["RoleArn"])
        seen = created - timedelta(microseconds=1)
        return Schedule(parameters, arn, expression, call, created, created, seen)

    def _assume(self, role_arn: str) -> str:
        # It is the group that a trust policy may name as the source.
        group = f"arn:aws:scheduler:{self._gateway.region}:{self._gateway.account}:schedule-group/default"
        return self._gateway.assume(role_arn, _SERVICE, group)

    def _find(self, call: Call) -> Schedule:
        name = call.parameters["Name"]
        if name not in self._schedules:
            raise ApiError("ResourceNotFoundException", f"Schedule {name} does not exist.", 404)
        return self._schedules[name]

    def _delete(self, call: Call) -> Mapping[str, Any]:
        del self._schedules[self._find(call).name]
        return {}


def _checked(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse what a schedule cannot be here."""
    name, group, target = parameters["Name"], parameters.get("GroupName", "default"), parameters["Target"]
    if group != "default":
        raise ApiError("NotImplemented", f"the rehearsal knows the schedule group 'default' only, not '{group}'", 501)
    unknown = sorted(set(target) - _TARGET)
    if unknown:
        raise ApiError("NotImplemented", f"the rehearsal does not know {unknown[0]} of the target of '{name}'", 501)
    try:
        json.loads(target.get("Input", "{}"))
    except ValueError as error:
        raise ApiError("ValidationException", f"the Input of the target of '{name}' is not JSON: {error}") from None
    return parameters


def _described(schedule: Schedule) -> Mapping[str, Any]:
    defaults = {"GroupName": "default", "ScheduleExpressionTimezone": "UTC", "State": "ENABLED"}
    dates = {"CreationDate": timestamp(schedule.created), "LastModificationDate": timestamp(schedule.modified)}
    given = {key: value for key, value in schedule.parameters.items() if key != "ClientToken"}
    return {**defaults, **given, **dates, "Arn": schedule.arn}


def _date(parameters: Mapping[str, Any], name: str) -> datetime | None:
    given = parameters.get(name)
    return None if given is None else datetime.fromtimestamp(float(given), UTC)
