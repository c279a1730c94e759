"""The verdict: what happened and whether it succeeded, in words that a newcomer understands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .versions import Versions
from .words import ROLL_BACK, capital, count, fired, label, listing, sentence


@dataclass(frozen=True)
class Verdict:
    """The head of the page."""

    mark: str
    status: str
    sentences: list[str]
    reason: str


def verdict(content: Mapping[str, Any], versions: Versions) -> Verdict:
    """Judge a report."""
    succeeded = content["status"] == "Succeeded"
    happened = [*_happened(content, versions), *([] if succeeded else [_stopped(content)])]
    return Verdict(
        mark="good" if succeeded else "bad",
        status=content["status"],
        sentences=[sentence(happened), *_now(content, versions), *_alarms(content), *_requests(content)],
        reason=content["reason"],
    )


def _stopped(content: Mapping[str, Any]) -> str:
    """Where the pipelines stopped that did."""
    last = {each["pipeline"]: each for each in content["executions"] if not each["trigger"].startswith(ROLL_BACK)}
    stopped = [each for each in last.values() if each["status"] != "Succeeded" and each["stages"]]
    if not stopped:
        return "the rehearsal could not go on" if last else "the rehearsal could not begin"
    if len(last) == 1:
        return f"the pipeline stopped in stage {stopped[0]['stages'][-1]['name']}"
    places = [f"{label(each['pipeline'])} stopped in stage {each['stages'][-1]['name']}" for each in stopped]
    return f"pipeline {listing(places)}"


def _happened(content: Mapping[str, Any], versions: Versions) -> Iterator[str]:
    """The steps of the story, each in a few words."""
    steps = [*_released(content["releases"], versions), *_retrained(content)]
    if content["windows"]:
        steps += _watched(content["windows"], steps)
    if not steps and content["status"] == "Succeeded":
        stages = max((len(each["stages"]) for each in content["executions"]), default=0)
        yield f"the pipeline ran through all of its {count(stages, 'stage')}"
    yield from (text for _, text in sorted(steps, key=lambda step: step[0]))


def _released(releases: Sequence[Mapping[str, Any]], versions: Versions) -> list[tuple[float, str]]:
    """What became of each version, wherever it was released first."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for each in releases:
        name = versions.name(each["to"])
        if each["outcome"] == "Succeeded":
            gradual = each["policy"].startswith(("canary", "linear", "rolling"))
            how = ("took over step by step" if gradual else "took over") if each["from"] else "was released"
        elif each["outcome"] == "RolledBack":
            how = "was taken back"
        else:
            how = "was not released"
        found.setdefault((name, each["outcome"]), (each["at"], f"{name} {how}"))
    return list(found.values())


def _retrained(content: Mapping[str, Any]) -> list[tuple[float, str]]:
    """The executions that an alarm has started."""
    alarms = {name for window in content["windows"] for name in window["alarms"]}
    return [
        (each["at"], "the alarm started the pipeline again")
        for each in content["executions"]
        if any(name in each["trigger"] for name in alarms)
    ]


def _watched(windows: Sequence[Mapping[str, Any]], others: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The first window with drift, or that there is none; it stands before what followed from it."""
    restarts = [at for at, text in others if "alarm" in text]
    drifted = next((each for each in windows if each["drifted"]), None)
    last = max((at for at, _ in others), default=0.0) + 1
    if drifted is None:
        return [(last, f"no drift was found in {count(len(windows), 'window')} of its traffic")]
    text = f"drift was found in {len(drifted['drifted'])} of {len(drifted['features'])} features"
    return [(min(restarts, default=last) - 0.01, text)]


def _now(content: Mapping[str, Any], versions: Versions) -> Iterator[str]:
    """What is in service in the end."""
    places: dict[str, list[str]] = {}
    for each in content["endpoints"]:
        if each["status"] == "InService":
            places.setdefault(versions.name(each["model_package_arn"]), []).append(each["name"])
    if places:
        verb = "is" if content["status"] == "Succeeded" else "stays"
        served = [f"{name} {verb} in service at {listing(some)}" for name, some in places.items()]
        yield f"{capital(listing(served))}."
    elif content["status"] == "Failed":
        yield "Nothing is in service."


def _alarms(content: Mapping[str, Any]) -> Iterator[str]:
    """The alarms that went off and started nothing."""
    triggers = " ".join(each["trigger"] for each in content["executions"])
    names = dict.fromkeys(name for name in map(fired, content["log"]) if name and name not in triggers)
    if names:
        yield f"{capital(listing([f'alarm {name}' for name in names]))} went off."


def _requests(content: Mapping[str, Any]) -> Iterator[str]:
    sources = [*content["traffic"], *content["sent"]]
    total, failed = (sum(each[key] for each in sources) for key in ("total", "failed"))
    if total:
        yield (
            f"{failed:,} of {count(total, 'request')} failed." if failed else f"Not one of {total:,} requests was lost."
        )
