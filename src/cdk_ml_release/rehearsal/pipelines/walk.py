"""Walk a pipeline: stages in series, actions of one run order side by side, conditions, retry and roll-back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from .execution import ActionRun, Execution, Outcome, StageRun, UnknownVariable
from .performers import Performer
from .plan import Action, Plan, Stage

Retry = int | Literal["all"]
"""How often the failed actions of a stage are retried, or all of them once."""


class Progress(Protocol):
    """Who is told what happens while it happens."""

    def execution_started(self, execution: Execution) -> None:
        """An execution begins."""

    def action_started(self, execution: Execution, stage: str, action: Action) -> Callable[[str], None]:
        """An action begins; returns where its log lines go."""

    def action_ended(self, execution: Execution, stage: str, run: ActionRun) -> None:
        """An action has ended."""

    def execution_ended(self, execution: Execution) -> None:
        """An execution has ended."""


@dataclass
class Walker:
    """Walks the executions of one pipeline, one after the other."""

    plan: Plan
    performers: Mapping[tuple[str, str], Performer]
    progress: Progress
    executions: list[Execution] = field(default_factory=list)

    def start(
        self, trigger: str, retries: Mapping[str, Retry] | None = None, variables: Mapping[str, str] | None = None
    ) -> Execution:
        """Run an execution to its end.

        Args:
            trigger: What started it.
            retries: How a person retries a failed stage, by stage name.
            variables: Values for the pipeline's variables.
        """
        execution = Execution(plan=self.plan, trigger=trigger)
        execution.namespaces["variables"] = dict(variables or {})
        self.executions.append(execution)
        with self._timed(execution):
            execution.status = self._walk(execution, retries or {})
        return execution

    def _timed(self, execution: Execution) -> _Timer:
        return _Timer(execution, self.progress)

    def _walk(self, execution: Execution, retries: Mapping[str, Retry]) -> str:
        for stage in self.plan.stages:
            run = StageRun(stage.name)
            execution.stages.append(run)
            entry = _condition(stage.before_entry, execution)
            if entry:
                run.status = "Skipped" if entry == "SKIP" else "Failed"
                if entry == "SKIP":
                    continue
                return "Failed"
            self._perform(execution, stage, run)
            self._retry(execution, stage, run, retries.get(stage.name, 0))
            if run.status == "Succeeded" and _condition(stage.on_success, execution):
                run.status = "Failed"
            if run.status == "Failed":
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
        run = ActionRun(action.name, action.provider, "InProgress")
        stage_run.actions.append(run)
        log = self.progress.action_started(execution, stage.name, action)
        started = time.monotonic()
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
        if asked == "all" and run.status == "Failed" and self._good_one(execution, stage) is None:
            run.actions = [replace(each, status="Retried") for each in run.actions]
            self._perform(execution, stage, run)
            return
        again = int(asked) if asked != "all" else 0
        again += 1 if stage.on_failure == "RETRY" else 0
        while run.status == "Failed" and again and self._good_one(execution, stage) is None:
            again -= 1
            self._perform(execution, stage, run)

    def _good_one(self, failed: Execution, stage: Stage) -> Execution | None:
        """The last execution that succeeded in a stage, if the stage goes back to it on failure."""
        if stage.on_failure != "ROLLBACK":
            return None
        return next((each for each in reversed(self.executions) if _succeeded(each, failed, stage.name)), None)

    def _roll_back(self, failed: Execution, stage: Stage) -> None:
        """Run the stage again as it was in the last execution that succeeded there."""
        earlier = self._good_one(failed, stage)
        if earlier is None:
            return
        execution = Execution(plan=self.plan, trigger=f"AutomatedRollback to execution {earlier.id}")
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
        self._started = time.monotonic()
        self._progress.execution_started(self._execution)

    def __exit__(self, *problem: object) -> None:
        self._execution.seconds = round(time.monotonic() - self._started, 2)
        if problem[0] is not None:
            self._execution.status = "Stopped"
        self._progress.execution_ended(self._execution)


def _done(run: StageRun, action: Action) -> bool:
    last = run.run_of(action.name)
    return last is not None and last.status == "Succeeded"


def _succeeded(execution: Execution, failed: Execution, stage: str) -> bool:
    run = execution.stage(stage)
    is_roll_back = execution.trigger.startswith("AutomatedRollback")
    return execution is not failed and not is_roll_back and run is not None and run.status == "Succeeded"


def _condition(conditions: Sequence[Mapping[str, object]], execution: Execution) -> str:
    """The result of the first condition that is not met, or nothing."""
    for condition in conditions:
        if not all(_holds(rule, execution) for rule in _rules(condition)):
            return str(condition.get("Result", "FAIL"))
    return ""


def _rules(condition: Mapping[str, object]) -> Iterator[Mapping[str, str]]:
    for rule in condition.get("Rules", ()):  # type: ignore[attr-defined]
        yield rule["Configuration"]


def _holds(check: Mapping[str, str], execution: Execution) -> bool:
    try:
        actual, wanted = str(execution.resolve(check["Variable"])), str(execution.resolve(check["Value"]))
    except UnknownVariable:
        return False
    operator = check["Operator"]
    if operator == "MATCHES":
        return re.fullmatch(wanted, actual) is not None
    return {"EQ": actual == wanted, "NE": actual != wanted, "CONTAINS": wanted in actual}[operator]
