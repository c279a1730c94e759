"""The rows in the body of a request: CSV with or without a header, JSON, or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from . import cells
from .cells import ColumnType, Value

Encoding = Literal["CSV", "JSON"]

Row = tuple[Value, ...]

_MOST_NAMES = 5


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """Why a row does not fit the schema."""

    row: int
    """The number of the row in its body, from 1; a header is not counted."""
    reason: str
    column: str = ""
    """Which column is to blame; empty if it is the row as a whole."""
    kind: Literal["data_type", "missing_column", "extra_column", "unreadable"] = "unreadable"

    def __str__(self) -> str:
        return f"row {self.row}: {f'column {self.column!r} ' if self.column else ''}{self.reason}"


@dataclass(kw_only=True)
class Rows:
    """What a body holds."""

    count: int = 0
    """How many rows it has, those that do not fit among them."""
    fitting: dict[int, Row] = field(default_factory=dict)
    """The values of the rows that fit, in the schema's order, by the position of the row, from 0."""
    misfits: list[Misfit] = field(default_factory=list)
    """One for each row that does not fit."""


class _Misfitting(Exception):
    def __init__(self, reason: str, column: str = "", kind: str = "unreadable") -> None:
        self.about: dict[str, Any] = {"reason": reason, "column": column, "kind": kind}


def read(columns: Mapping[str, ColumnType], body: str, encoding: Encoding) -> Rows:
    """Read a body.

    Args:
        columns: The columns in the order of a row.
        body: The text of the request.
        encoding: What it is.

    Returns:
        All rows; one that does not fit is never shifted onto other columns, but told with the column to blame.
    """
    if encoding == "CSV":
        return _read_all(_csv_rows(columns, body), lambda row: _by_position(columns, row))
    return _read_all(_json_rows(columns, body), lambda row: _json_row(columns, row))


def lines(body: str) -> list[list[str]]:
    """The lines of a CSV text as cells without the spaces around them; empty lines are left out."""
    found = csv.reader(io.StringIO(body, newline=None), skipinitialspace=True)
    return [[cell.strip() for cell in line] for line in found if line]


def _read_all(given: Sequence[Any], read_one: Callable[[Any], Row]) -> Rows:
    if not given:
        return Rows(count=1, misfits=[Misfit(row=1, reason="is missing: the body holds no row")])
    rows = Rows(count=len(given))
    for position, one in enumerate(given):
        try:
            rows.fitting[position] = read_one(one)
        except _Misfitting as misfit:
            rows.misfits.append(Misfit(row=position + 1, **misfit.about))
    return rows


def _csv_rows(columns: Mapping[str, ColumnType], body: str) -> Sequence[list[str] | _Misfitting]:
    try:
        given = lines(body)
    except csv.Error as error:
        return [_Misfitting(f"is not CSV: {error}")]
    if given and sorted(given[0]) == sorted(columns):
        order = [given[0].index(name) for name in columns]
        # A row of another length keeps it: then it is told as one of the wrong length.
        return [[row[place] for place in order] if len(row) == len(order) else row for row in given[1:]]
    return given


def _by_position(columns: Mapping[str, ColumnType], row: Sequence[Any] | _Misfitting) -> Row:
    if isinstance(row, _Misfitting):
        raise row
    if len(row) != len(columns):
        kind = "extra_column" if len(row) > len(columns) else "missing_column"
        raise _Misfitting(f"has {len(row)} columns instead of {len(columns)}: {_listed(list(columns))}", kind=kind)
    return tuple(_cell(name, of, given) for (name, of), given in zip(columns.items(), row, strict=True))


def _by_name(columns: Mapping[str, ColumnType], row: Mapping[str, Any]) -> Row:
    missing = [name for name in columns if name not in row]
    if missing:
        blamed = missing[0] if len(missing) == 1 else ""
        told = "is missing" if blamed else f"lacks the columns {_listed(missing)}"
        raise _Misfitting(told, blamed, "missing_column")
    extra = [name for name in row if name not in columns]
    if extra:
        raise _Misfitting(f"has columns that the schema does not know: {_listed(extra)}", kind="extra_column")
    return tuple(_cell(name, kind, row[name]) for name, kind in columns.items())


def _cell(name: str, kind: ColumnType, given: Any) -> Value:
    try:
        return cells.read(kind, given)
    except cells.Unfit as unfit:
        raise _Misfitting(str(unfit), name, "data_type") from None


def _json_rows(columns: Mapping[str, ColumnType], body: str) -> Sequence[Any]:
    try:
        return _json_items(columns, json.loads(body))
    except RecursionError:
        return [_Misfitting("is nested too deeply")]
    except ValueError:
        return [_json_line(line) for line in body.splitlines() if line.strip()]


def _json_line(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return _Misfitting(f"is not JSON: {error}")


def _json_items(columns: Mapping[str, ColumnType], value: Any) -> list[Any]:
    if isinstance(value, dict) and isinstance(value.get("instances"), list) and "instances" not in columns:
        return list(value["instances"])
    if isinstance(value, list) and (len(columns) == 1 or any(isinstance(item, dict | list) for item in value)):
        return value
    return [value]


def _json_row(columns: Mapping[str, ColumnType], row: Any) -> Row:
    if isinstance(row, dict) and list(row) == ["features"] and "features" not in columns:
        # The form of SageMaker's own algorithms.
        row = row["features"]
    if isinstance(row, dict):
        return _by_name(columns, row)
    if isinstance(row, list | _Misfitting):
        return _by_position(columns, row)
    if len(columns) == 1:
        return _by_position(columns, [row])
    raise _Misfitting(f"must be a list or an object of {len(columns)} columns, got {json.dumps(row)[:60]}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(str(name)[:64] for name in names[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown
