"""The predictions in the body of an answer: one for each row of the request."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any

from . import cells
from .cells import ColumnType
from .rows import Encoding, Misfit, Rows, lines

_LONGEST_QUOTE = 80


def read(name: str, kind: ColumnType, body: str, encoding: Encoding, count: int) -> Rows:
    """Read the predictions of ``count`` rows.

    They may be lines of CSV or one line, a JSON list, an object with the list, lists or objects that hold the
    prediction under its name, JSON lines, or a single value.

    Args:
        name: What the prediction is called, where it has a name.
        kind: Its type.
        body: The text of the answer.
        encoding: What it is.
        count: How many rows were asked for.

    Returns:
        Rows of one value each. If the answer has another number of predictions than the request has rows, none fits:
        nobody can tell which belongs to which.
    """
    try:
        return of(name, kind, _parsed(name, body, encoding, count), count)
    except (ValueError, RecursionError, csv.Error) as error:
        return _none(count, f"is not {encoding}: {error}", name)


def of(name: str, kind: ColumnType, value: Any, count: int) -> Rows:
    """The predictions in a value, as JSON has it; the rest is as in :func:`read`."""
    items = _items(name, value, count)
    if len(items) != count:
        return _none(count, f"must have {count} values, one for each row of the request, got {len(items)}", name)
    rows = Rows(count=count)
    for position, item in enumerate(items):
        try:
            rows.fitting[position] = (cells.read(kind, _single(name, item)),)
        except cells.Unfit as unfit:
            rows.misfits.append(Misfit(row=position + 1, column=name, reason=str(unfit), kind="data_type"))
    return rows


def _none(count: int, reason: str, name: str) -> Rows:
    told = [Misfit(row=position + 1, column=name, reason=reason) for position in range(count)]
    return Rows(count=count, misfits=told)


def _parsed(name: str, body: str, encoding: Encoding, count: int) -> Any:
    if encoding == "CSV":
        return _headed(name, lines(body), count)
    try:
        return json.loads(body)
    except ValueError:
        given = [line for line in body.splitlines() if line.strip()]
        if len(given) < 2:
            raise
        return [json.loads(line) for line in given]


def _headed(name: str, given: list[list[str]], count: int) -> Any:
    """Lines under a header that has the prediction's name become objects."""
    if len(given) == count + 1 and name in given[0]:
        return [dict(zip(given[0], line, strict=False)) for line in given[1:]]
    return given


def _items(name: str, value: Any, count: int) -> Sequence[Any]:
    """One item for each row, as far as the form of the answer tells."""
    if isinstance(value, dict):
        if name in value:
            return _items(name, value[name], count)
        if isinstance(value.get("predictions"), list):
            return _items(name, value["predictions"], count)
        return _items(name, next(iter(value.values())), count) if len(value) == 1 else [value]
    if not isinstance(value, list) or len(value) == count:
        return value if isinstance(value, list) else [value]
    # [[1, 2, 3]] for three rows: one line of CSV, or a matrix of one row.
    if len(value) == 1 and isinstance(value[0], list | dict):
        return _items(name, value[0], count)
    return value


def _single(name: str, item: Any) -> Any:
    """The one value that an item holds."""
    if isinstance(item, dict) and name in item:
        return _single(name, item[name])
    if isinstance(item, dict | list) and len(item) == 1:
        return _single(name, next(iter(item.values())) if isinstance(item, dict) else item[0])
    if isinstance(item, dict | list):
        shown = json.dumps(item)
        shown = shown if len(shown) <= _LONGEST_QUOTE else f"{shown[:_LONGEST_QUOTE]}..."
        raise cells.Unfit(f"must be one value or stand under that name, got {shown}")
    return item
