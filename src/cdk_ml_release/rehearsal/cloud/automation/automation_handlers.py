"""The resource types of what happens by itself: schedules and state machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from ...stacks.handler import Handler, Physical, Request, ResourceRefused
from ..gateway import Gateway
from ..plain import plain
from ..resources import Played, _made_name
from .state_machine import substituted

__all__ = ["automation_handlers"]


def automation_handlers(gateway: Gateway) -> dict[str, Handler]:
    """The handlers of schedules and state machines."""
    made = _Automation(gateway)
    return {
        "AWS::Scheduler::Schedule": Played(
            made.create_schedule, made.delete_schedule, made.update_schedule, frozenset({"Name"})
        ),
        "AWS::StepFunctions::StateMachine": Played(
            made.create_machine,
            made.delete_machine,
            made.update_machine,
            frozenset({"StateMachineName", "StateMachineType"}),
        ),
    }


# Where an execution is logged and traced changes nothing that it does.
_WITHOUT_EFFECT = frozenset({"EncryptionConfiguration", "LoggingConfiguration", "Tags", "TracingConfiguration"})
_MACHINE = frozenset(
    {
        *("Definition", "DefinitionString", "DefinitionSubstitutions", "RoleArn"),
        *("StateMachineName", "StateMachineType"),
    }
)


class _Automation:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def _scheduler(self, request: Request) -> Any:
        return self._gateway.client("scheduler", request.caller)

    def create_schedule(self, request: Request) -> Physical:
        name = request.properties.get("Name") or _made_name(request, 64)
        scheduler = self._scheduler(request)
        arn = scheduler.create_schedule(**plain(request.properties) | {"Name": name})["ScheduleArn"]
        made = Physical(id=name, attributes={"Arn": arn})
        try:
            # CloudFormation reads what it has made.
            scheduler.get_schedule(Name=name)
        except ClientError as denied:
            raise ResourceRefused(str(denied), made) from None
        return made

    def update_schedule(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        self._scheduler(request).update_schedule(**plain(request.properties) | {"Name": physical.id})
        return physical

    def delete_schedule(self, request: Request, physical: Physical) -> None:
        scheduler = self._scheduler(request)
        try:
            scheduler.delete_schedule(Name=physical.id)
        except scheduler.exceptions.ResourceNotFoundException:
            return

    def _states(self, request: Request) -> Any:
        return self._gateway.client("stepfunctions", request.caller)

    def create_machine(self, request: Request) -> Physical:
        properties, states = request.properties, self._states(request)
        name = properties.get("StateMachineName") or _made_name(request, 80)
        arn: str = states.create_state_machine(
            name=name,
            definition=_definition(properties),
            roleArn=properties["RoleArn"],
            type=properties.get("StateMachineType", "STANDARD"),
        )["stateMachineArn"]
        return Physical(id=arn, attributes={"Arn": arn, "Name": name, "StateMachineRevisionId": "INITIAL"})

    def update_machine(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        self._states(request).update_state_machine(
            stateMachineArn=physical.id,
            definition=_definition(request.properties),
            roleArn=request.properties["RoleArn"],
        )
        return physical

    def delete_machine(self, request: Request, physical: Physical) -> None:
        self._states(request).delete_state_machine(stateMachineArn=physical.id)


def _definition(properties: Mapping[str, Any]) -> str:
    unknown = sorted(set(properties) - _MACHINE - _WITHOUT_EFFECT)
    if unknown:
        raise ResourceRefused(f"the rehearsal does not know the property {unknown[0]} of a state machine")
    if ("Definition" in properties) == ("DefinitionString" in properties):
        raise ResourceRefused("a state machine needs 'Definition' or 'DefinitionString', and only one of them")
    text = properties.get("DefinitionString") or json.dumps(properties["Definition"])
    return substituted(text, properties.get("DefinitionSubstitutions", {}))
