"""One execution of a state machine: from state to state, until it ends or waits for a time to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..gateway import Gateway
from ..hours import now
from .jsonata_expression import QueryError, evaluate
from .sdk_call import SdkError, read_sdk_call
from .state_machine import StateMachine

__all__ = ["MachineRun"]

# More states than these, and it goes in circles without a wait.
_MOST_STATES = 2000
_ATTEMPTS = 3
_CAUGHT_BY_ALL = ("States.ALL", "States.TaskFailed")


class _Failed(Exception):
    """Why a state failed: an error's name and its cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(cause)
        self.error = error


@dataclass(kw_only=True)
class MachineRun:
    """An execution.

    Attributes:
        machine: What is executed.
        arn: The execution's.
        machine_arn: The machine's.
        role_arn: The role whose rights it has.
        input: What it was started with.
        status: ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``TIMED_OUT``.
        output: What it gave, once it has succeeded.
        error: The name of the error that it failed with.
        cause: The reason.
        wakes: When it goes on, while it waits.
        path: The states that it has been in.
        waits: How often it has waited.
    """

    machine: StateMachine
    arn: str
    machine_arn: str
    role_arn: str
    input: Any
    gateway: Gateway
    status: str = "RUNNING"
    output: Any = None
    error: str = ""
    cause: str = ""
    started: datetime = field(default_factory=now)
    stopped: datetime | None = None
    wakes: datetime | None = None
    path: list[str] = field(default_factory=list)
    waits: int = 0
    _next: str = ""
    _given: Any = None
    _variables: dict[str, Any] = field(default_factory=dict)
    _entered: datetime = field(default_factory=now)
    _waited: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Stand before the first state."""
        self._next, self._given = self.machine.start_at, self.input

    @property
    def name(self) -> str:
        """The execution's name."""
        return self.arn.rpartition(":")[2]

    @property
    def machine_name(self) -> str:
        """The machine's name."""
        return self.machine_arn.rpartition(":")[2]

    @property
    def shown_path(self) -> str:
        """The states since it last waited, in words."""
        waited = [number for number, name in enumerate(self.path[:-1]) if self.machine.states[name]["Type"] == "Wait"]
        first = waited[-1] + 1 if waited else 0
        return ("… → " if first else "") + " → ".join(self.path[first:])

    @property
    def ends(self) -> datetime | None:
        """When it times out."""
        limit = self.machine.timeout_seconds
        return None if limit is None else self.started + timedelta(seconds=limit)

    def go_on(self) -> None:
        """Run until it ends, or until it waits; what goes wrong is its own end."""
        self.wakes, entered = None, 0
        if self._waited is not None and (self.ends is None or now() < self.ends):
            waited, self._waited = self._waited, None
            self._guarded(lambda: self._leave(waited, self._states()))
        while self.status == "RUNNING" and self.wakes is None:
            entered += 1
            if self.ends is not None and now() >= self.ends:
                self._end("TIMED_OUT", error="States.Timeout", cause="the machine's TimeoutSeconds are over")
            elif entered > _MOST_STATES:
                self._end("FAILED", error="States.Runtime", cause=f"{_MOST_STATES} states without a wait between them")
            else:
                self._step()

    def _step(self) -> None:
        name = self._next
        state = self.machine.states[name]
        self.path.append(name)
        self._entered = now()
        self._guarded(lambda: self._enter(state))

    def _guarded(self, act: Callable[[], None]) -> None:
        """Do something in the state that was entered last; what goes wrong is the end of the execution."""
        name = self.path[-1]
        try:
            act()
        except _Failed as failure:
            self._end("FAILED", error=failure.error, cause=f"state '{name}': {failure}")
        except QueryError as failure:
            self._end("FAILED", error="States.QueryEvaluationError", cause=f"state '{name}': {failure}")

    def _enter(self, state: Mapping[str, Any]) -> None:
        kind = state["Type"]
        if kind == "Choice":
            self._choose(state)
        elif kind == "Task":
            self._perform(state)
        elif kind == "Wait":
            self._wait(state)
        elif kind == "Fail":
            said = self._evaluated({key: state.get(key, "") for key in ("Error", "Cause")})
            raise _Failed(str(said["Error"]), str(said["Cause"]))
        elif kind == "Succeed":
            self._end("SUCCEEDED", output=self._output(state, self._states()))
        else:
            self._leave(state, self._states())

    def _choose(self, state: Mapping[str, Any]) -> None:
        for choice in state["Choices"]:
            met = self._evaluated(choice["Condition"])
            if not isinstance(met, bool):
                raise QueryError(f"the condition '{choice['Condition']}' gives {met!r}, which is not true or false")
            if met:
                self._leave(choice, self._states())
                return
        if "Default" not in state:
            raise _Failed("States.NoChoiceMatched", "no condition holds, and there is no 'Default'")
        self._leave({**state, "Next": state["Default"]}, self._states())

    def _perform(self, state: Mapping[str, Any]) -> None:
        tries: dict[int, int] = {}
        while True:
            try:
                call, arguments = read_sdk_call(state["Resource"]), self._evaluated(state.get("Arguments", {}))
                result = call.perform(self.gateway, arguments, principal=self.role_arn, session=self.name)
                break
            except SdkError as failure:
                number, retrier = _matching(state.get("Retry", ()), failure.name)
                # Between two attempts nothing changes here that waiting would help with.
                if retrier is not None and tries.get(number, 0) < int(retrier.get("MaxAttempts", _ATTEMPTS)):
                    tries[number] = tries.get(number, 0) + 1
                    continue
                _, catcher = _matching(state.get("Catch", ()), failure.name)
                if catcher is None:
                    raise _Failed(failure.name, str(failure)) from None
                output = {"Error": failure.name, "Cause": str(failure)}
                self._leave(catcher, self._states(errorOutput=output), output)
                return
        self._leave(state, self._states(result=result), result)

    def _wait(self, state: Mapping[str, Any]) -> None:
        until = self._evaluated(state.get("Timestamp", ""))
        if until:
            self.wakes = datetime.fromisoformat(str(until))
        else:
            self.wakes = now() + timedelta(seconds=float(self._evaluated(state["Seconds"])))
        self.wakes = min(self.wakes, self.ends or self.wakes)
        self._waited = state
        self.waits += 1

    def _leave(self, way: Mapping[str, Any], states: Mapping[str, Any], result: Any = None) -> None:
        """Go on as a state, a choice or a catcher says."""
        assigned = evaluate(way.get("Assign", {}), states, self._variables)
        output = self._output(way, states, result)
        self._variables |= assigned
        if way.get("End"):
            self._end("SUCCEEDED", output=output)
        else:
            self._next, self._given = way["Next"], output

    def _output(self, way: Mapping[str, Any], states: Mapping[str, Any], result: Any = None) -> Any:
        if "Output" in way:
            return evaluate(way["Output"], states, self._variables)
        return self._given if result is None else result

    def _evaluated(self, value: Any) -> Any:
        return evaluate(value, self._states(), self._variables)

    def _states(self, **more: Any) -> Mapping[str, Any]:
        context = {
            "Execution": {
                "Id": self.arn,
                "Input": self.input,
                "Name": self.name,
                "RoleArn": self.role_arn,
                "StartTime": _time(self.started),
            },
            "State": {"EnteredTime": _time(self._entered), "Name": self.path[-1], "RetryCount": 0},
            "StateMachine": {"Id": self.machine_arn, "Name": self.machine_name},
        }
        return {"input": self._given, "context": context, **more}

    def _end(self, status: str, *, output: Any = None, error: str = "", cause: str = "") -> None:
        self.status, self.output, self.error, self.cause = status, output, error, cause
        self.stopped, self.wakes = now(), None


def _matching(handlers: Any, error: str) -> tuple[int, Mapping[str, Any] | None]:
    for number, handler in enumerate(handlers):
        if any(each in (error, *_CAUGHT_BY_ALL) for each in handler["ErrorEquals"]):
            return number, handler
    return -1, None


def _time(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
