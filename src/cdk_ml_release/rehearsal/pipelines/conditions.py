"""Stage conditions: what a stage asks of an execution before it lets it in, and before it lets it go on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .execution import Execution, UnknownVariable


@dataclass(frozen=True)
class Unmet:
    """A condition that an execution does not meet."""

    result: str
    """``SKIP``, ``FAIL`` or ``ROLLBACK``."""
    reason: str


def unmet(conditions: Sequence[Mapping[str, Any]], execution: Execution) -> Unmet | None:
    """The first condition that is not met; one is met when all of its rules hold."""
    for condition in conditions:
        for rule in condition.get("Rules", ()):
            reason = _refusal(rule["Configuration"], execution)
            if reason:
                return Unmet(str(condition.get("Result", "FAIL")), f"rule {rule['Name']}: {reason}")
    return None


def _refusal(check: Mapping[str, str], execution: Execution) -> str:
    """Why a VariableCheck does not hold, or nothing."""
    try:
        actual, wanted = str(execution.resolve(check["Variable"])), str(execution.resolve(check["Value"]))
    except UnknownVariable as unknown:
        return str(unknown)
    operator = check["Operator"]
    if operator == "MATCHES":
        holds = re.fullmatch(wanted, actual) is not None
    else:
        holds = {"EQ": actual == wanted, "NE": actual != wanted, "CONTAINS": wanted in actual}[operator]
    return "" if holds else f"{check['Variable']} is '{actual}', not {operator} '{wanted}'"
