"""EventBridge: which rules an event matches, and which pipelines they start."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any


class PatternError(Exception):
    """A pattern that the rehearsal cannot match, in one line."""


def started_pipelines(rules: Mapping[str, Mapping[str, Any]], event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rules that an event matches and the pipelines that they start, as names.

    Args:
        rules: The properties of ``AWS::Events::Rule`` by name.
        event: An event, as EventBridge delivers it.
    """
    found = []
    for name, rule in sorted(rules.items()):
        pattern = rule.get("EventPattern")
        if rule.get("State", "ENABLED") != "ENABLED" or not pattern or not matches(pattern, event):
            continue
        for target in rule.get("Targets", ()):
            if ":codepipeline:" in target["Arn"]:
                found.append((name, target["Arn"].rpartition(":")[2]))
    return found


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
