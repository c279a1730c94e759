"""A pipeline as a picture: the stages of one execution, and the time of each of their actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .words import ROLL_BACK, duration, label, trigger

_MARKS = {"Succeeded": "good", "Failed": "bad", "Stopped": "bad", "Skipped": "idle", "Retried": "idle"}


@dataclass(frozen=True)
class Action:
    """An action of a stage."""

    name: str
    mark: str
    status: str
    time: str
    percent: float
    """Its share of the longest action of the execution."""


@dataclass(frozen=True)
class Stage:
    """A box of the picture."""

    name: str
    mark: str
    status: str
    time: str
    actions: list[Action]


@dataclass(frozen=True)
class Picture:
    """One execution."""

    number: int
    pipeline: str
    mark: str
    status: str
    trigger: str
    time: str
    at: float
    seconds: float
    stages: list[Stage]
    messages: list[tuple[str, str, str]]
    """Mark, where and what was said."""

    @classmethod
    def of(cls, number: int, execution: Mapping[str, Any]) -> Picture:
        """The picture of an execution, the first of which has the number 1."""
        longest = max((each["seconds"] for stage in execution["stages"] for each in stage["actions"]), default=0.0)
        stages = [_stage(each, longest) for each in execution["stages"]]
        ahead = [] if execution["trigger"].startswith(ROLL_BACK) else execution["not_reached"]
        stages += [Stage(name, "ahead", "not reached", "", []) for name in ahead]
        return cls(
            number=number,
            pipeline=label(execution["pipeline"]),
            mark=_mark(execution["status"]),
            status=execution["status"],
            trigger=trigger(execution["trigger"]),
            time=duration(execution["seconds"]),
            at=execution["at"],
            seconds=execution["seconds"],
            stages=stages,
            messages=list(_messages(execution)),
        )


def _mark(status: str) -> str:
    return _MARKS.get(status, "idle")


def _stage(stage: Mapping[str, Any], longest: float) -> Stage:
    ends = [each["at"] + each["seconds"] for each in stage["actions"]]
    took = max(ends) - min(each["at"] for each in stage["actions"]) if ends else 0.0
    return Stage(
        name=stage["name"],
        mark=_mark(stage["status"]),
        status=stage["status"].lower(),
        time=duration(took) if ends else "",
        actions=[
            Action(
                name=each["name"],
                mark=_mark(each["status"]),
                status=each["status"].lower(),
                time=duration(each["seconds"]),
                percent=round(100 * each["seconds"] / (longest or 1.0), 1),
            )
            for each in stage["actions"]
        ],
    )


def _messages(execution: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for stage in execution["stages"]:
        for each in stage["actions"]:
            if each["message"]:
                yield _mark(each["status"]), f"{stage['name']} / {each['name']}", each["message"]
        if stage["message"]:
            yield _mark(stage["status"]), f"{stage['name']} {stage['status'].lower()}", stage["message"]
