"""The resource types of what happens by itself: schedules and state machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...stacks.handler import Handler, Physical, Request
from ..gateway import Gateway
from ..plain import plain
from ..resources import Played, _made_name

__all__ = ["automation_handlers"]


def automation_handlers(gateway: Gateway) -> dict[str, Handler]:
    """The handlers of schedules."""
    made = _Automation(gateway)
    return {
        "AWS::Scheduler::Schedule": Played(
            made.create_schedule, made.delete_schedule, made.update_schedule, frozenset({"Name"})
        ),
    }


class _Automation:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def _scheduler(self, request: Request) -> Any:
        return self._gateway.client("scheduler", request.caller)

    def create_schedule(self, request: Request) -> Physical:
        name = request.properties.get("Name") or _made_name(request, 64)
        scheduler = self._scheduler(request)
        scheduler.create_schedule(**plain(request.properties) | {"Name": name})
        return Physical(id=name, attributes={"Arn": scheduler.get_schedule(Name=name)["Arn"]})

    def update_schedule(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        self._scheduler(request).update_schedule(**plain(request.properties) | {"Name": physical.id})
        return physical

    def delete_schedule(self, request: Request, physical: Physical) -> None:
        scheduler = self._scheduler(request)
        try:
            scheduler.delete_schedule(Name=physical.id)
        except scheduler.exceptions.ResourceNotFoundException:
            return
