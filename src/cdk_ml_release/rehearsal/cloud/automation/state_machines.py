"""Step Functions: the state machines of the rehearsed account and their executions."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..calls import Call
from ..gateway import ApiError, Gateway, Service
from ..hours import now, timestamp
from .event_bus import EventBus, Happened
from .machine_run import MachineRun
from .state_machine import DefinitionError, StateMachine, read_definition

__all__ = ["StateMachines"]

_SERVICE = "states.amazonaws.com"


@dataclass
class _Declared:
    name: str
    arn: str
    role_arn: str
    definition: str
    machine: StateMachine
    created: datetime


class StateMachines:
    """The state machines and what they are doing."""

    def __init__(self, gateway: Gateway, bus: EventBus, told: Callable[[str, str], None]) -> None:
        """Start with none; the bus and ``told`` are told how executions end."""
        self._gateway = gateway
        self._bus = bus
        self._told = told
        self._machines: dict[str, _Declared] = {}
        self.runs: list[MachineRun] = []
        self._causes: dict[str, str] = {}
        self._lock = threading.RLock()

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        answers: dict[str, Service] = {
            "CreateStateMachine": self._create,
            "DeleteStateMachine": self._delete,
            "DescribeExecution": self._describe_run,
            "DescribeStateMachine": self._describe,
            "StartExecution": self._start,
            "UpdateStateMachine": self._update,
        }
        return {("states", operation): service for operation, service in answers.items()}

    def start(self, happened: Happened) -> None:
        """Start a machine for a rule, and run it until it ends or waits."""
        self._run(self._find(happened.target["Arn"]), json.loads(happened.text), happened.cause)

    def why(self, call: Call) -> str:
        """Why a call is made, if it is made by an execution: what started that, and the machine."""
        run = next((run for run in self.runs if run.name == call.session), None)
        if run is None:
            return call.operation
        return f"{self._causes[run.arn]} (state machine {run.machine_name})"

    def next_due(self) -> datetime | None:
        """When the next execution goes on."""
        return min((run.wakes for run in self.runs if run.wakes is not None), default=None)

    def wake(self, when: datetime) -> bool:
        """Let every execution go on whose time has come; whether there was any."""
        with self._lock:
            due = [run for run in self.runs if run.wakes is not None and run.wakes <= when]
            for run in sorted(due, key=lambda run: run.wakes or when):
                self._go_on(run)
        return bool(due)

    def waiting(self) -> list[MachineRun]:
        """The executions that wait for a time that has not come."""
        return [run for run in self.runs if run.wakes is not None]

    def _run(self, declared: _Declared, given: Any, cause: str, name: str = "") -> MachineRun:
        role = self._gateway.assume(declared.role_arn, _SERVICE, declared.arn)
        name = name or str(uuid.uuid4())
        arn = f"{declared.arn.replace(':stateMachine:', ':execution:')}:{name}"
        run = MachineRun(
            machine=declared.machine,
            arn=arn,
            machine_arn=declared.arn,
            role_arn=role,
            input=given,
            gateway=self._gateway,
        )
        with self._lock:
            self._causes[arn] = cause
            self.runs.append(run)
            self._go_on(run)
        return run

    def _go_on(self, run: MachineRun) -> None:
        waited = run.waits
        run.go_on()
        cause, path = self._causes[run.arn], run.shown_path
        if run.wakes is not None:
            # A machine that looks again and again says so once.
            words = f"state machine {run.machine_name} for {cause} waits until {run.wakes:%H:%M:%S}: {path}"
            if not waited:
                self._told("machine", words)
            return
        failed = f": {run.error}: {run.cause}" if run.error else ""
        kind = "failure" if run.status != "SUCCEEDED" else "machine"
        self._told(kind, f"state machine {run.machine_name} for {cause} {run.status}: {path}{failed}")
        detail = {**_described(run), "startDate": _millis(run.started), "stopDate": _millis(run.stopped or now())}
        kind = "Step Functions Execution Status Change"
        self._bus.put("aws.states", kind, detail, [run.arn], cause=f"state machine {run.machine_name} {run.status}")

    def _read(self, name: str, parameters: Mapping[str, Any]) -> StateMachine:
        if parameters.get("type", "STANDARD") != "STANDARD":
            raise ApiError("NotImplemented", f"the rehearsal knows STANDARD state machines only, '{name}' is not", 501)
        try:
            return read_definition(parameters["definition"])
        except DefinitionError as error:
            raise ApiError("InvalidDefinition", f"state machine '{name}': {error}") from None

    def _create(self, call: Call) -> Mapping[str, Any]:
        parameters, gateway, created = call.parameters, self._gateway, now()
        name = parameters["name"]
        arn = f"arn:aws:states:{gateway.region}:{gateway.account}:stateMachine:{name}"
        if arn in self._machines:
            raise ApiError("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")
        machine, role = self._read(name, parameters), parameters["roleArn"]
        gateway.assume(role, _SERVICE, arn)
        self._machines[arn] = _Declared(name, arn, role, parameters["definition"], machine, created)
        return {"stateMachineArn": arn, "creationDate": timestamp(created)}

    def _update(self, call: Call) -> Mapping[str, Any]:
        old, parameters = self._find(call.parameters["stateMachineArn"]), call.parameters
        definition = parameters.get("definition", old.definition)
        machine, role = self._read(old.name, {"definition": definition}), parameters.get("roleArn", old.role_arn)
        self._gateway.assume(role, _SERVICE, old.arn)
        # Executions that run go on as they began.
        self._machines[old.arn] = _Declared(old.name, old.arn, role, definition, machine, old.created)
        return {"updateDate": timestamp(now())}

    def _find(self, arn: str) -> _Declared:
        if arn not in self._machines:
            raise ApiError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return self._machines[arn]

    def _describe(self, call: Call) -> Mapping[str, Any]:
        found = self._find(call.parameters["stateMachineArn"])
        return {
            "stateMachineArn": found.arn,
            "name": found.name,
            "status": "ACTIVE",
            "definition": found.definition,
            "roleArn": found.role_arn,
            "type": "STANDARD",
            "creationDate": timestamp(found.created),
        }

    def _delete(self, call: Call) -> Mapping[str, Any]:
        self._machines.pop(call.parameters["stateMachineArn"], None)
        return {}

    def _start(self, call: Call) -> Mapping[str, Any]:
        parameters = call.parameters
        declared = self._find(parameters["stateMachineArn"])
        given, name = json.loads(parameters.get("input", "{}")), parameters.get("name", "")
        if name and any(run.arn.endswith(f":{declared.name}:{name}") for run in self.runs):
            raise ApiError("ExecutionAlreadyExists", f"Execution Already Exists: '{name}'")
        run = self._run(declared, given, "a call of StartExecution", name)
        return {"executionArn": run.arn, "startDate": timestamp(run.started)}

    def _describe_run(self, call: Call) -> Mapping[str, Any]:
        wanted = call.parameters["executionArn"]
        run = next((run for run in self.runs if run.arn == wanted), None)
        if run is None:
            raise ApiError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{wanted}'")
        stopped = {"stopDate": timestamp(run.stopped)} if run.stopped else {}
        return {**_described(run), "startDate": timestamp(run.started), **stopped}


def _described(run: MachineRun) -> dict[str, Any]:
    ended = {"output": json.dumps(run.output)} if run.status == "SUCCEEDED" else {}
    failed = {"error": run.error, "cause": run.cause} if run.error else {}
    return {
        "executionArn": run.arn,
        "stateMachineArn": run.machine_arn,
        "name": run.name,
        "status": run.status,
        "input": json.dumps(run.input),
        **ended,
        **failed,
    }


def _millis(when: datetime) -> int:
    return round(when.timestamp() * 1000)
