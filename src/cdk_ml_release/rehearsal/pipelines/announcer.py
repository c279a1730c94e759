"""Announces what a pipeline does to EventBridge, whose rules tell topics of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..cloud.automation.event_bus import EventBus
from .execution import ActionRun, Execution, StageRun
from .plan import Action
from .walk import Progress

_STATES = {"Succeeded": "SUCCEEDED", "Failed": "FAILED", "Stopped": "STOPPED"}


class Announcer:
    """Hands everything on to who follows the walk, and announces it beside."""

    def __init__(self, audience: Progress, bus: EventBus, noted: Callable[[str, str], None]) -> None:
        """Announce on a bus; ``noted`` takes down executions, by kind of news and in words."""
        self._audience = audience
        self._bus = bus
        self._noted = noted

    def execution_started(self, execution: Execution) -> None:
        """An execution begins."""
        self._audience.execution_started(execution)
        name = f"{execution.plan.name} execution {execution.id[:8]}"
        self._noted("execution", f"{name}, started by {execution.trigger}")
        self._announce(execution, "Pipeline", {"state": "STARTED"})

    def action_started(self, execution: Execution, stage: str, action: Action) -> Callable[[str], None]:
        """An action begins."""
        log = self._audience.action_started(execution, stage, action)
        self._announce_action(execution, stage, action.name, "STARTED")
        return log

    def action_ended(self, execution: Execution, stage: str, run: ActionRun) -> None:
        """An action has ended."""
        self._audience.action_ended(execution, stage, run)
        self._announce_action(execution, stage, run.name, _STATES[run.status])

    def stage_closed(self, execution: Execution, run: StageRun) -> None:
        """A stage was not entered, or not left: of that no event is known."""
        self._audience.stage_closed(execution, run)

    def execution_ended(self, execution: Execution) -> None:
        """An execution has ended."""
        self._audience.execution_ended(execution)
        name = f"{execution.plan.name} execution {execution.id[:8]}"
        self._noted("execution", f"{name} {execution.status} after {execution.seconds:.1f} s")
        self._announce(execution, "Pipeline", {"state": _STATES.get(execution.status, execution.status)})

    def _announce_action(self, execution: Execution, stage: str, name: str, state: str) -> None:
        (declared,) = (
            action
            for each in execution.plan.stages
            if each.name == stage
            for action in each.actions
            if action.name == name
        )
        kind = {"category": declared.category, "provider": declared.provider, "owner": "AWS", "version": "1"}
        self._announce(execution, "Action", {"stage": stage, "action": name, "state": state, "type": kind})

    def _announce(self, execution: Execution, what: str, detail: Mapping[str, Any]) -> None:
        self._bus.put(
            "aws.codepipeline",
            f"CodePipeline {what} Execution State Change",
            {"pipeline": execution.plan.name, "execution-id": execution.id, **detail},
            cause=f"pipeline {execution.plan.name}: {what.lower()} {str(detail['state']).lower()}",
        )
