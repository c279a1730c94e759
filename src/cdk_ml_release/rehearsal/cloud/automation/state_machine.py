"""A state machine's definition in the Amazon States Language, with JSONata."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .jsonata_expression import QueryError, check, is_expression
from .sdk_call import SdkError, read_sdk_call

__all__ = ["DefinitionError", "StateMachine", "read_definition", "substituted"]

_ANY = frozenset({"Type", "Comment", "QueryLanguage"})
_GOES_ON = frozenset({"Next", "End", "Output", "Assign"})
_FIELDS: Mapping[str, frozenset[str]] = {
    "Choice": _ANY | {"Choices", "Default", "Output", "Assign"},
    "Fail": _ANY | {"Error", "Cause"},
    "Pass": _ANY | _GOES_ON,
    "Succeed": _ANY | {"Output"},
    "Task": _ANY | _GOES_ON | {"Resource", "Arguments", "Retry", "Catch"},
    "Wait": _ANY | _GOES_ON | {"Seconds", "Timestamp"},
}
_NEEDS: Mapping[str, tuple[str, ...]] = {"Choice": ("Choices",), "Task": ("Resource",)}
_INNER: Mapping[str, frozenset[str]] = {
    "Catch": frozenset({"ErrorEquals", "Next", "Output", "Assign", "Comment"}),
    "Choices": frozenset({"Condition", "Next", "Output", "Assign", "Comment"}),
    "Retry": frozenset(
        {*("ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate"), *("Comment", "MaxDelaySeconds")}
    ),
}
_TOP = frozenset({"Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"})


class DefinitionError(Exception):
    """A definition that the rehearsal cannot run, in one line."""


@dataclass(frozen=True, kw_only=True)
class StateMachine:
    """A definition that was read.

    Attributes:
        start_at: The first state.
        states: Every state by name.
        timeout_seconds: How long an execution may take; None for as long as it likes.
    """

    start_at: str
    states: Mapping[str, Mapping[str, Any]]
    timeout_seconds: float | None


def substituted(definition: str, values: Mapping[str, Any]) -> str:
    """Fill ``DefinitionSubstitutions`` in."""
    return re.sub(r"\$\{([A-Za-z0-9_]+)\}", lambda found: str(values.get(found[1], found[0])), definition)


def read_definition(text: str) -> StateMachine:
    """Read a definition.

    Raises:
        DefinitionError: naming the state and what of it is not known.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DefinitionError(f"the definition is not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise DefinitionError("the definition must be a JSON object")
    _check_names("the machine", document, _TOP)
    if document.get("QueryLanguage") != "JSONata":
        given = document.get("QueryLanguage", "JSONPath")
        raise DefinitionError(f"'QueryLanguage' of the machine must be 'JSONata' for the rehearsal, got '{given}'")
    states = document.get("States", {})
    if document.get("StartAt") not in states:
        raise DefinitionError(f"'StartAt' must be one of the states, got {document.get('StartAt')!r}")
    for name, state in states.items():
        _check_state(name, state, states)
    return StateMachine(start_at=document["StartAt"], states=states, timeout_seconds=document.get("TimeoutSeconds"))


def _check_state(name: str, state: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    kind, place = str(state.get("Type")), f"the state '{name}'"
    if kind not in _FIELDS:
        raise DefinitionError(f"{place} has the type '{kind}'; the rehearsal knows {', '.join(sorted(_FIELDS))}")
    _check_names(place, state, _FIELDS[kind])
    missing = [field for field in _NEEDS.get(kind, ()) if field not in state]
    if missing:
        raise DefinitionError(f"{place} needs '{missing[0]}'")
    if state.get("QueryLanguage", "JSONata") != "JSONata":
        raise DefinitionError(f"'QueryLanguage' of {place} must be 'JSONata' for the rehearsal")
    if kind == "Wait" and ("Seconds" in state) == ("Timestamp" in state):
        raise DefinitionError(f"{place} needs 'Seconds' or 'Timestamp', and only one of them")
    for field, known in _INNER.items():
        for inner in state.get(field, ()):
            _check_names(f"'{field}' of {place}", inner, known)
    _check_ways(place, state, states)
    try:
        if kind == "Task":
            read_sdk_call(state["Resource"])
        check({key: value for key, value in state.items() if key not in ("Comment", "Resource")})
    except (QueryError, SdkError) as error:
        raise DefinitionError(f"{place}: {error}") from None


def _check_ways(place: str, state: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    inner = [*state.get("Choices", ()), *state.get("Catch", ())]
    ways = [each.get("Next") for each in inner] + [state[key] for key in ("Next", "Default") if key in state]
    for way in ways:
        if way not in states:
            raise DefinitionError(f"{place} goes on to {way!r}, which is no state")
    if "Next" in _FIELDS[state["Type"]] and ("Next" in state) == (state.get("End") is True):
        raise DefinitionError(f"{place} needs 'Next' or 'End', and only one of them")
    for choice in state.get("Choices", ()):
        if not is_expression(choice.get("Condition")):
            raise DefinitionError(f"a choice of {place} needs an expression as its 'Condition'")


def _check_names(place: str, given: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise DefinitionError(f"the rehearsal does not know '{unknown[0]}' of {place}")
