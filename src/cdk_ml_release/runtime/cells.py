"""One value of a row: what type it has, and how it is read from CSV and JSON."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

ColumnType = Literal["number", "integer", "category"]

COLUMN_TYPES: tuple[ColumnType, ...] = ("number", "integer", "category")

Value = float | str | None
"""A number or a category; None where the value is missing."""

_LONGEST_QUOTE = 60
# Beyond this it is no measurement, and its square soon no number.
_LARGEST = 1e100
_RULE = {
    "number": "a number",
    "integer": "a whole number",
    "category": "a text, a number or a truth value",
}


class Unfit(Exception):
    """Why a value does not fit its column, in words."""


def read(kind: ColumnType, given: Any) -> Value:
    """Read a value, as CSV has it (a text) or as JSON has it.

    An empty text, null and NaN are missing values. A number may stand as a text, a category as a number: which of the
    two it is depends on the format that a client sends.

    Args:
        kind: The column's type.
        given: The text of a CSV cell, or a JSON value.

    Raises:
        Unfit: saying what the value must be and what it is.
    """
    if given is None or given == "":
        return None
    value = _category(given) if kind == "category" else _number(given)
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or (kind == "integer" and not float(value).is_integer()):
        raise Unfit(f"must be {_RULE[kind]}, got {_shown(given)}")
    return value


def _number(given: Any) -> float | None:
    # True is an int in Python, and 1_000 a number.
    if isinstance(given, bool) or not isinstance(given, int | float | str) or (isinstance(given, str) and "_" in given):
        return None
    try:
        value = float(given)
    except (ValueError, OverflowError):
        return None
    return None if abs(value) > _LARGEST else value


def _category(given: Any) -> str | float | None:
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, str):
        # As the check of a deployed endpoint has it: CSV written by Python holds "True" where JSON has true.
        return given.lower() if given in ("True", "False") else given
    if isinstance(given, float):
        # A category that a client keeps as a float: 2.0 is 2.
        return given if math.isnan(given) else str(int(given)) if given.is_integer() else repr(given)
    return str(given) if isinstance(given, int) else None


def _shown(given: Any) -> str:
    text = repr(given) if isinstance(given, str) else json.dumps(given)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
