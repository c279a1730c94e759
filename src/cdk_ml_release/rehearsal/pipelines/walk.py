"""Walk a pipeline: stages in series, actions of one run order side by side, conditions, retry and roll-back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from ..cloud.hours import now
from .conditions import unmet
from .execution import ActionRun, Execution, Outcome, StageRun
from .performers import Performer
from .plan import Action, Plan, Stage

Retry = int | Literal["all"]
"""How often the failed actions of a stage are retried, or all of them once."""


class StartRefused(Exception):
    """Why an execution cannot be started, in one line."""


class Progress(Protocol):
    """Who is told what happens while it happens."""

    def execution_started(self, execution: Execution) -> None:
        """An execution begins."""

    def action_started(self, execution: Execution, stage: str, action: Action) -> Callable[[str], None]:
        """An action begins; returns where its log lines go."""

    def action_ended(self, execution: Execution, stage: str, run: ActionRun) -> None:
        """An action has ended."""

    def stage_closed(self, execution: Execution, run: StageRun) -> None:
        """A stage was not entered, or not left, because a condition was not met."""

    def execution_ended(self, execution: Execution) -> None:
        """An execution has ended."""


@dataclass
class Walker:
    """Walks the executions of one pipeline in the order of their starts, at most one in each stage: the mode QUEUED."""

    plan: Plan
    performers: Mapping[tuple[str, str], Performer]
    progress: Progress
    executions: list[Execution] = field(default_factory=list)
    _queue: list[Execution] = field(default_factory=list)
    _moved: threading.Condition = field(default_factory=threading.Condition)

    @property
    def last(self) -> Execution:
        """The last execution that was no roll-back."""
        return [each for each in self.executions if not each.is_roll_back][-1]

    def start(
        self,
        trigger: str,
        retries: Mapping[str, Retry] | None = None,
        variables: Mapping[str, str] | None = None,
        started_by: tuple[str, str] | None = None,
    ) -> Execution:
        """Run an execution to its end.

        Args:
            trigger: What started it.
            retries: How a person retries a failed stage, by stage name.
            variables: Values for the pipeline's variables.
            started_by: The same as ``trigger`` in CodePipeline's words, type and detail; by default ``trigger`` is
                the type.

        Raises:
            StartRefused: if a variable is unknown, empty or missing.
        """
        execution = self.queue(trigger, variables, started_by)
        self.walk(execution, retries)
        return execution

    def queue(
        self,
        trigger: str,
        variables: Mapping[str, str] | None = None,
        started_by: tuple[str, str] | None = None,
    ) -> Execution:
        """Start an execution that somebody else walks; arguments and errors as for ``start``."""
        execution = Execution(plan=self.plan, trigger=trigger, started_by=started_by or (trigger, ""))
        execution.namespaces["variables"] = self._variables(variables or {})
        with self._moved:
            self.executions.append(execution)
            self._queue.append(execution)
        return execution

    def walk(self, execution: Execution, retries: Mapping[str, Retry] | None = None) -> None:
        """Run a queued execution to its end."""
        try:
            with self._timed(execution):
                execution.status = self._walk(execution, retries or {})
        finally:
            with self._moved:
                self._queue.remove(execution)
                self._moved.notify_all()

    def _variables(self, given: Mapping[str, str]) -> dict[str, str]:
        for name, value in given.items():
            if name not in self.plan.variables:
                names = ", ".join(f"'{each}'" for each in self.plan.variables) or "none"
                raise StartRefused(f"pipeline '{self.plan.name}' has no variable '{name}'; its variables are {names}")
            if not 1 <= len(value) <= 1000:
                raise StartRefused(f"the variable '{name}' must have 1 to 1000 characters, got {len(value)}")
        values: dict[str, str] = {}
        for name, default in self.plan.variables.items():
            known = given.get(name) or default
            if not known:
                raise StartRefused(f"the variable '{name}' has no default: give it a value at the start")
            values[name] = known
        return values

    def _enter(self, execution: Execution, run: StageRun) -> None:
        """Wait until whoever was started before has left the stage or ended."""
        with self._moved:
            ahead = self._queue[: self._queue.index(execution)]
            self._moved.wait_for(lambda: not any(self._in_the_way(each, run.name) for each in ahead))
            execution.stages.append(run)
            execution.updated = now()
            self._moved.notify_all()

    def _in_the_way(self, other: Execution, stage: str) -> bool:
        names = [each.name for each in self.plan.stages]
        reached = names.index(other.stages[-1].name) if other.stages else -1
        return other in self._queue and reached <= names.index(stage)

    def _timed(self, execution: Execution) -> _Timer:
        return _Timer(execution, self.progress)

    def _walk(self, execution: Execution, retries: Mapping[str, Retry]) -> str:
        for stage in self.plan.stages:
            run = StageRun(stage.name)
            self._enter(execution, run)
            closed = unmet(stage.before_entry, execution)
            if closed:
                run.status, run.message = ("Skipped" if closed.result == "SKIP" else "Failed"), closed.reason
                self.progress.stage_closed(execution, run)
                # There is nothing to retry in either, and nothing to roll back: no action has run.
                if closed.result == "SKIP":
                    continue
                return "Failed"
            self._perform(execution, stage, run)
            self._retry(execution, stage, run, retries.get(stage.name, 0))
            goes_back = stage.on_failure == "ROLLBACK"
            closed = unmet(stage.on_success, execution) if run.status == "Succeeded" else None
            if closed:
                run.status, run.message = "Failed", closed.reason
                self.progress.stage_closed(execution, run)
                goes_back = goes_back or closed.result == "ROLLBACK"
            if run.status == "Failed":
                if goes_back:
                    self._roll_back(execution, stage)
                return "Failed"
        return "Succeeded"

    def _perform(self, execution: Execution, stage: Stage, run: StageRun) -> None:
        """Run the actions of a stage that have not succeeded yet."""
        run.status = "InProgress"
        for group in stage.groups:
            waiting = [action for action in group if not _done(run, action)]
            with ThreadPoolExecutor(max_workers=max(1, len(waiting))) as pool:
                ended = list(pool.map(lambda action: self._act(execution, stage, run, action), waiting))
            if not all(ended):
                run.status = "Failed"
                return
        run.status = "Succeeded"

    def _act(self, execution: Execution, stage: Stage, stage_run: StageRun, action: Action) -> bool:
        started = time.monotonic()
        run = ActionRun(action.name, action.provider, "InProgress", at=round(started - execution.began, 2))
        stage_run.actions.append(run)
        log = self.progress.action_started(execution, stage.name, action)
        outcome = Outcome(succeeded=False)
        try:
            outcome = self.performers[action.category, action.provider](action, execution, log)
        finally:
            run.seconds = round(time.monotonic() - started, 2)
            run.status = "Succeeded" if outcome.succeeded else "Failed"
            run.message = outcome.message
            if action.namespace:
                execution.namespaces[action.namespace] = dict(outcome.variables)
            self.progress.action_ended(execution, stage.name, run)
        return outcome.succeeded

    def _retry(self, execution: Execution, stage: Stage, run: StageRun, asked: Retry) -> None:
        """Retry a failed stage, as declared and as a person does; what rolls back leaves nothing to retry."""
        goes_back = stage.on_failure == "ROLLBACK" and self._good_one(execution, stage) is not None
        if asked == "all" and run.status == "Failed" and not goes_back:
            run.actions = [replace(each, status="Retried") for each in run.actions]
            self._perform(execution, stage, run)
            return
        again = int(asked) if asked != "all" else 0
        again += 1 if stage.on_failure == "RETRY" else 0
        while run.status == "Failed" and again and not goes_back:
            again -= 1
            self._perform(execution, stage, run)

    def _good_one(self, failed: Execution, stage: Stage) -> Execution | None:
        """The last execution that succeeded in a stage."""
        return next((each for each in reversed(self.executions) if _succeeded(each, failed, stage.name)), None)

    def _roll_back(self, failed: Execution, stage: Stage) -> None:
        """Run the stage again as it was in the last execution that succeeded there."""
        earlier = self._good_one(failed, stage)
        if earlier is None:
            return
        trigger, started_by = f"AutomatedRollback to execution {earlier.id}", ("AutomatedRollback", failed.id)
        execution = Execution(plan=self.plan, trigger=trigger, started_by=started_by)
        execution.namespaces = {name: dict(values) for name, values in earlier.namespaces.items()}
        execution.artifacts = dict(earlier.artifacts)
        self.executions.append(execution)
        run = StageRun(stage.name)
        execution.stages.append(run)
        with self._timed(execution):
            self._perform(execution, stage, run)
            execution.status = run.status


class _Timer:
    def __init__(self, execution: Execution, progress: Progress) -> None:
        self._execution = execution
        self._progress = progress

    def __enter__(self) -> None:
        self._execution.began = time.monotonic()
        self._progress.execution_started(self._execution)

    def __exit__(self, *problem: object) -> None:
        self._execution.seconds = round(time.monotonic() - self._execution.began, 2)
        self._execution.updated = now()
        if problem[0] is not None:
            self._execution.status = "Stopped"
        self._progress.execution_ended(self._execution)


def _done(run: StageRun, action: Action) -> bool:
    last = run.run_of(action.name)
    return last is not None and last.status == "Succeeded"


def _succeeded(execution: Execution, failed: Execution, stage: str) -> bool:
    run = execution.stage(stage)
    return execution is not failed and not execution.is_roll_back and run is not None and run.status == "Succeeded"
