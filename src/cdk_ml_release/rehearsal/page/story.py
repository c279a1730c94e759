"""The story: what happened, chapter by chapter, in the order of its happening."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .axis import clock
from .drift import state
from .versions import Versions
from .words import ROLL_BACK, capital, count, duration, fired, hours, label, listing, moment, trigger

Mark = str
"""``good``, ``bad``, ``alarm``, ``idle`` or ``event``."""

_CHAPTERS: Mapping[str, Mark] = {"event": "event", "sent": "event", "labels": "event", "failure": "bad"}
"""Kinds of the log's entries that are chapters of their own; the others are told by the rest, or in the log alone."""


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """Something that happened."""

    at: float
    mark: Mark
    title: str
    aside: bool = False
    """Whether its title is no heading."""
    text: str = ""
    points: list[str] = field(default_factory=list)
    link: tuple[str, str] | None = None
    """Where to read on, and what that is called."""

    @property
    def clock(self) -> str:
        """When it happened."""
        return clock(self.at)


def story(content: Mapping[str, Any], versions: Versions) -> list[Chapter]:
    """All chapters in their order."""
    chapters = [*_executions(content, versions), *_windows(content, versions), *_others(content["log"])]
    return sorted(chapters, key=lambda chapter: chapter.at)


def window_second(window: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> float | None:
    """When a window was looked at, by the log: it tells of windows in the order of their ends."""
    end = moment(window["end"])
    return next((each["seconds"] for each in log if each["kind"] == "window" and moment(each["time"]) >= end), None)


def taken(release: Mapping[str, Any], versions: Versions) -> str:
    """A creation or an update of an endpoint, and what came of it; why, the action says that was at it."""
    change = versions.name(release["to"])
    if release["from"]:
        change = f"{versions.name(release['from'])} → {change}"
    outcomes = {"Succeeded": "done", "RolledBack": "taken back", "Failed": "failed", "InProgress": "not finished"}
    said = f"{release['endpoint']}: {change}, {release['policy']}: {outcomes[release['outcome']]}"
    requests = release["requests"]
    if not requests["total"]:
        return said
    return f"{said}; {count(requests['total'], 'request')} since, {requests['failed'] or 'none'} failed"


def _executions(content: Mapping[str, Any], versions: Versions) -> Iterator[Chapter]:
    several = len({each["pipeline"] for each in content["executions"]}) > 1
    for place, execution in enumerate(content["executions"], 1):
        releases = [each for each in content["releases"] if _origin(each, content) is execution]
        built = [each for each in content["versions"] if each["execution_id"] == execution["id"]]
        took = f"{execution['status']} after {duration(execution['seconds'])}"
        which = f"{label(execution['pipeline'])}, started" if several else "Started"
        yield Chapter(
            at=execution["at"],
            mark="good" if execution["status"] == "Succeeded" else "bad",
            title=_title(execution, [versions.name(each["model_package_arn"]) for each in built], releases, versions),
            text=f"{which} by {trigger(execution['trigger'])}. {took}.",
            points=[*_messages(execution), *(taken(each, versions) for each in releases)],
            link=(f"#execution-{place}", f"Execution {place}, step by step"),
        )


def _origin(release: Mapping[str, Any], content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The execution in which a release began.

    It is the one that built the version, or the innermost: a roll-back runs within the execution that failed.
    """
    builders = {each["execution_id"] for each in content["versions"] if each["model_package_arn"] == release["to"]}
    around = [each for each in content["executions"] if each["at"] <= release["at"] <= each["at"] + each["seconds"]]
    return max(around, key=lambda each: (each["id"] in builders, each["at"]), default=None)


def _title(
    execution: Mapping[str, Any], built: list[str], releases: Sequence[Mapping[str, Any]], versions: Versions
) -> str:
    if execution["trigger"].startswith(ROLL_BACK):
        return f"Stage {execution['stages'][0]['name']} was put back to what it was before"
    made = listing(built)
    if execution["status"] != "Succeeded":
        stopped = f"stopped in stage {execution['stages'][-1]['name']}" if execution["stages"] else "did not start"
        return f"{capital(made)} was built, and {stopped}" if built else f"The pipeline {stopped}"
    done = [each for each in releases if each["outcome"] == "Succeeded"]
    if built:
        return f"{capital(made)} was built and released" if done else f"{capital(made)} was built"
    if done:
        again = listing(list(dict.fromkeys(versions.name(each["to"]) for each in done)))
        return f"{capital(again)} was released again"
    return "The pipeline ran through"


def _messages(execution: Mapping[str, Any]) -> Iterator[str]:
    """What its approvals said, and why a stage was left out or failed."""
    for stage in execution["stages"]:
        for action in stage["actions"]:
            if action["message"] and (action["status"] == "Failed" or action["provider"] == "Manual"):
                yield f"{stage['name']} / {action['name']}: {action['message']}"
        if stage["message"]:
            yield f"{stage['name']} {stage['status'].lower()}: {stage['message']}"


def _windows(content: Mapping[str, Any], versions: Versions) -> Iterator[Chapter]:
    last = max((each["seconds"] for each in content["log"]), default=0.0)
    for window in content["windows"]:
        at = window_second(window, content["log"])
        drifted = [listing(window["drifted"])] if window["drifted"] else []
        report = (window["report"], "Drift report") if window["report"] else ("#drift", "Drift by feature")
        yield Chapter(
            at=last if at is None else at,
            mark=window_mark(window),
            title=_finding(window),
            text=_compared(window, versions),
            points=drifted,
            link=report,
        )


def _finding(window: dict[str, Any]) -> str:
    when = f"from {hours(window)}"
    if window["status"] != "Compared":
        return capital(f"{state(window['status'])}, {when}")
    if not window["drifted"]:
        return f"No drift {when}" if window["alarms"] else f"No drift and no alarm {when}"
    return f"Drift in {len(window['drifted'])} of {len(window['features'])} features {when}"


def window_mark(window: Mapping[str, Any]) -> Mark:
    """Whether a window is news."""
    if window["drifted"] or window["alarms"]:
        return "alarm"
    return "good" if window["status"] == "Compared" else "idle"


def _compared(window: dict[str, Any], versions: Versions) -> str:
    records = count(window["records"], "request")
    if window["status"] != "Compared":
        return f"The monitor saw {records}, and did not judge."
    version = versions.name(window["model_package_arn"])
    return f"The monitor compared {records} to {version} with the data that it was tested on."


def _others(log: Sequence[Mapping[str, Any]]) -> Iterator[Chapter]:
    for each in log:
        if each["kind"] in _CHAPTERS:
            mark, aside = _CHAPTERS[each["kind"]], each["kind"] != "event"
            yield Chapter(at=each["seconds"], mark=mark, title=capital(each["text"]), aside=aside)
        elif each["kind"] == "alarm":
            mark = "alarm" if fired(each) else "good"
            yield Chapter(at=each["seconds"], mark=mark, title=capital(each["text"]), aside=True)
