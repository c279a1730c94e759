"""One execution of a pipeline: what was run, with which variables, leaving which artifacts."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..cloud.hours import now
from .plan import Action, Plan


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an action ended."""

    succeeded: bool
    message: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ActionRun:
    """An action that was performed, once or again."""

    name: str
    provider: str
    status: str
    seconds: float = 0.0
    message: str = ""
    at: float = 0.0
    """Seconds after the execution began."""


@dataclass
class StageRun:
    """A stage of an execution: ``Succeeded``, ``Failed`` or ``Skipped``."""

    name: str
    status: str = "InProgress"
    actions: list[ActionRun] = field(default_factory=list)
    message: str = ""
    """Why it was not entered, or not left, if a condition was not met."""

    def run_of(self, action: str) -> ActionRun | None:
        """The last run of an action."""
        return next((run for run in reversed(self.actions) if run.name == action), None)


@dataclass
class Execution:
    """An execution and all that it knows."""

    plan: Plan
    trigger: str
    """What started it, in words."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "InProgress"
    stages: list[StageRun] = field(default_factory=list)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    """Artifact name to its key in the pipeline's bucket."""
    began: float = field(default_factory=time.monotonic)
    """When it began to walk, on the machine's monotonic clock."""
    seconds: float = 0.0
    started_by: tuple[str, str] = ("CloudWatchEvent", "")
    """Type and detail of what started it, as CodePipeline has them."""
    started: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)

    @property
    def is_roll_back(self) -> bool:
        """Whether CodePipeline itself started it, to put a stage back."""
        return self.trigger.startswith("AutomatedRollback")

    def stage(self, name: str) -> StageRun | None:
        """The run of a stage, if it was reached."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def resolve(self, value: Any) -> Any:
        """Fill pipeline variables into a configuration value.

        Raises:
            UnknownVariable: if no action has set one of them.
        """
        if isinstance(value, Mapping):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, str):
            return value
        return re.sub(r"#\{([^}.]+)\.([^}]+)\}", lambda found: self._variable(found[1], found[2]), value)

    def _variable(self, namespace: str, name: str) -> str:
        if (namespace, name) == ("codepipeline", "PipelineExecutionId"):
            return self.id
        values = self.namespaces.get(namespace, {})
        if name not in values:
            # AWS says nothing of variables that a skipped stage would have set. A guess: as for a misspelled name.
            raise UnknownVariable(f"no action has set the variable #{{{namespace}.{name}}}")
        return values[name]

    def key_for(self, action: Action, output: str) -> str:
        """Where an output artifact goes in the pipeline's bucket."""
        return f"{self.plan.name[:20]}/{output[:10]}/{uuid.uuid4().hex[:7]}-{action.name}"


class UnknownVariable(Exception):
    """A variable that nothing has set, in one line."""
