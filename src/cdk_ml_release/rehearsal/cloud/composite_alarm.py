"""A composite alarm's rule: which states of other alarms put it in ALARM."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from .gateway import ApiError

_STATE = re.compile(r"""\b(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?P<name>"[^"]+"|'[^']+'|[^)\s]+)\s*\)""")
_WORDS = {"AND": "and", "OR": "or", "NOT": "not", "TRUE": "True", "FALSE": "False"}


def check_rule(rule: str) -> None:
    """Refuse a rule that cannot be read.

    Raises:
        ApiError: naming it.
    """
    holds(rule, lambda name: "OK")


def names_in(rule: str) -> list[str]:
    """The names of the alarms in a rule."""
    return [_name(found["name"]) for found in _STATE.finditer(rule)]


def holds(rule: str, state: Callable[[str], str]) -> bool:
    """Whether a rule holds.

    Args:
        rule: As ``AlarmRule`` has it.
        state: The state of an alarm by its name.
    """
    known = _STATE.sub(lambda found: str(state(_name(found["name"])) == found["state"]), rule)
    text = re.sub(r"\b(AND|OR|NOT|TRUE|FALSE)\b", lambda found: _WORDS[found[1]], " ".join(known.split()))
    try:
        return _truth(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError):
        raise ApiError("ValidationError", f"the alarm rule '{rule}' cannot be read") from None


def _truth(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool(value)):
            return value
        case ast.UnaryOp(ast.Not(), operand):
            return not _truth(operand)
        case ast.BoolOp(ast.And(), values):
            return all([_truth(each) for each in values])
        case ast.BoolOp(ast.Or(), values):
            return any([_truth(each) for each in values])
    raise ValueError


def _name(text: str) -> str:
    name = text.strip("\"'")
    return name.partition(":alarm:")[2] if name.startswith("arn:") else name
