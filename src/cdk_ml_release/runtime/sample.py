"""The evaluated rows as columns: the sample that a model's baseline is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .cells import Value
from .contract import StageFailed
from .rows import Encoding, Misfit
from .schema import Schema

Columns = dict[str, list[Value]]
"""The values of each feature and of the prediction, in the order of the rows."""


def read(schema: Schema, lines: Iterable[bytes], uri: str) -> Columns:
    """Read ``predictions.jsonl``.

    Args:
        schema: The columns of the model.
        lines: The lines of the file.
        uri: Where it is, for messages.

    Raises:
        StageFailed: if there is no row, or one does not fit the schema: a model that was evaluated with other columns
            than those declared could never be watched.
    """
    columns: Columns = {name: [] for name in schema.columns}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            _add(columns, schema, line, f"line {number} of {uri}")
    if not columns[schema.prediction]:
        raise StageFailed(f"no evaluated rows in {uri}: let 'evaluate' write predictions.jsonl")
    return columns


def encoding(content_type: str, body: str) -> Encoding:
    """What a body is, by its content type; by itself where that says neither CSV nor JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith("csv"):
        return "CSV"
    if "json" in kind:
        return "JSON"
    return encoding_of(body)


def encoding_of(body: str) -> Encoding:
    """What a body is, by itself: JSON if it, or its first line, is an object or a list."""
    first = body.lstrip()[:1]
    if first not in ("{", "["):
        return "CSV"
    for text in (body, body.strip().partition("\n")[0]):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            continue
        return "JSON"
    return "CSV"


def _add(columns: Columns, schema: Schema, line: bytes, where: str) -> None:
    body, prediction, content_type = _evaluated(line, where)
    rows = schema.read(body, encoding(content_type, body))
    outputs = schema.read_prediction(prediction, rows.count)
    misfits: list[Misfit] = rows.misfits + outputs.misfits
    if misfits:
        raise StageFailed(
            f"{where} does not fit the schema: {misfits[0]}; mend the schema of the repo, or what 'evaluate' writes"
        )
    for position in range(rows.count):
        values = (*rows.fitting[position], *outputs.fitting[position])
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)


def _evaluated(line: bytes, where: str) -> tuple[str, Any, str]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise StageFailed(f"{where} is not JSON: {error}") from None
    if not isinstance(value, dict) or not {"input", "prediction"} <= value.keys():
        raise StageFailed(f"{where} must be an object with 'input' and 'prediction'")
    given = value["input"]
    body, content_type = (given, "text/csv") if isinstance(given, str) else (json.dumps(given), "application/json")
    return body, value["prediction"], str(value.get("content_type", content_type))
