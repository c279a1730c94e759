"""EventBridge: which rules an event matches, and which pipelines they start."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class PatternError(Exception):
    """A pattern that the rehearsal cannot match, in one line."""


def started_pipelines(rules: Mapping[str, Mapping[str, Any]], event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rules that an event matches and the pipelines that they start, as names.

    Args:
        rules: The properties of ``AWS::Events::Rule`` by name.
        event: An event, as EventBridge delivers it.
    """
    return [
        (name, target["Arn"].rpartition(":")[2])
        for name, target in _targets(rules, event)
        if ":codepipeline:" in target["Arn"]
    ]


def told_targets(
    rules: Mapping[str, Mapping[str, Any]], event: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any], str]]:
    """The rules that an event matches, their targets, and what each of these is told.

    Args:
        rules: The properties of ``AWS::Events::Rule`` by name.
        event: An event, as EventBridge delivers it.
    """
    return [(name, target, _text(target, event)) for name, target in _targets(rules, event)]


def _targets(
    rules: Mapping[str, Mapping[str, Any]], event: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The targets of the rules that an event matches, with the rules' names."""
    for name, rule in sorted(rules.items()):
        pattern = rule.get("EventPattern")
        if rule.get("State", "ENABLED") == "ENABLED" and pattern and matches(pattern, event):
            for target in rule.get("Targets", ()):
                yield name, target


def _text(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """What a target is told: the event, or what its input transformer makes of it."""
    transformer = target.get("InputTransformer")
    if "InputPath" in target:
        return json.dumps(_at(target["InputPath"], event))
    if transformer is None:
        return str(target.get("Input", json.dumps(event)))
    text: str = transformer["InputTemplate"]
    for name, path in transformer.get("InputPathsMap", {}).items():
        value = _at(path, event)
        text = text.replace(f"<{name}>", "" if value is None else str(value))
    # A template in quotes is a text, any other one an object.
    return str(json.loads(text)) if text.startswith('"') else text


def _at(path: str, event: Mapping[str, Any]) -> Any:
    """What lies at a path such as ``$.detail.state``, None if nothing does."""
    value: Any = event
    for part in path.removeprefix("$").strip(".").split(".") if path != "$" else ():
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Whether an event has every field of a pattern with one of its values.

    Raises:
        PatternError: naming a kind of match that the rehearsal does not know.
    """
    for key, wanted in pattern.items():
        value = event.get(key) if isinstance(event, Mapping) else None
        if isinstance(wanted, Mapping):
            if not matches(wanted, value):
                return False
        elif not any(_one(each, item) for each in wanted for item in _values(value)):
            return False
    return True


def _values(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _one(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return bool(wanted == value)
    ((kind, operand),) = wanted.items()
    text = value if isinstance(value, str) else ""
    if kind == "prefix" and isinstance(operand, str):
        return text.startswith(operand)
    if kind == "suffix" and isinstance(operand, str):
        return text.endswith(operand)
    if kind == "wildcard":
        return fnmatch.fnmatchcase(text, operand.replace("[", "[[]"))
    if kind == "exists":
        return (value is not None) is operand
    if kind == "anything-but" and not isinstance(operand, Mapping):
        return value not in _values(operand)
    raise PatternError(f"the rehearsal does not know the event pattern {dict(wanted)}")


def object_created(bucket: str, key: str, size: int) -> dict[str, Any]:
    """The event of a new S3 object."""
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": bucket}, "object": {"key": key, "size": size}, "reason": "PutObject"},
    }


def code_pushed(repository: str, arn: str, branch: str) -> dict[str, Any]:
    """The event of a push to a CodeCommit branch."""
    return {
        "source": "aws.codecommit",
        "detail-type": "CodeCommit Repository State Change",
        "resources": [arn],
        "detail": {
            "event": "referenceUpdated",
            "referenceType": "branch",
            "referenceName": branch,
            "repositoryName": repository,
        },
    }
