"""The evaluated rows of ``predictions.jsonl``, and whether an endpoint's answer is what was evaluated."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .contract import StageFailed

_MOST_ROWS = 50
# Room for another machine's last digits, none for another preprocessing.
_TOLERANCE = 1e-6
_SMALLEST_DIFFERENCE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Row:
    """One evaluated row."""

    input: str
    """The body of the request, as it was evaluated."""
    prediction: Any
    """One output, or lists and objects of outputs."""
    content_type: str = "text/csv"
    tolerance: float = _TOLERANCE
    """How far a number may be off, as a share of it: for models that compute with fewer digits."""

    def answered_by(self, answer: bytes) -> bool:
        """Whether an endpoint's answer, JSON or CSV, holds the same outputs in the same order."""
        text = answer.decode(errors="replace").strip()
        try:
            got = json.loads(text)
        except (ValueError, RecursionError):
            got = list(csv.reader(text.splitlines()))
        return _same(self.prediction, got, self.tolerance)


def read(content: bytes | None, uri: str) -> list[Row]:
    """At most 50 evaluated rows, spread evenly over the file.

    Args:
        content: The file, or None if the evaluation did not write it.
        uri: Where it should be, for messages.

    Raises:
        StageFailed: if there are none, or a line is not an evaluated row.
    """
    lines = [(number, line) for number, line in enumerate((content or b"").split(b"\n"), start=1) if line.strip()]
    if not lines:
        raise StageFailed(f"no evaluated rows in {uri}: let 'evaluate' write predictions.jsonl")
    count = min(len(lines), _MOST_ROWS)
    chosen = [lines[index * len(lines) // count] for index in range(count)]
    return [_row(line, f"line {number} of {uri}") for number, line in chosen]


def _row(line: bytes, where: str) -> Row:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise StageFailed(f"{where} is not JSON: {error}") from None
    if not isinstance(value, dict) or not {"input", "prediction"} <= value.keys():
        raise StageFailed(f"{where} must be an object with 'input' and 'prediction', got {_shown(value)}")
    content_type, tolerance = value.get("content_type", "text/csv"), value.get("tolerance", _TOLERANCE)
    if not isinstance(content_type, str):
        raise StageFailed(f"{where} must have a text as 'content_type', got {_shown(content_type)}")
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1:
        raise StageFailed(f"{where} must have a 'tolerance' of at least 0 and less than 1, got {_shown(tolerance)}")
    body = value["input"] if isinstance(value["input"], str) else json.dumps(value["input"])
    return Row(input=body, prediction=value["prediction"], content_type=content_type, tolerance=tolerance)


def _shown(value: Any) -> str:
    return json.dumps(value)[:120]


def _same(expected: Any, got: Any, tolerance: float) -> bool:
    if isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        return all(_same(expected[key], got[key], tolerance) for key in expected)
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        return all(_same(one, other, tolerance) for one, other in zip(expected, got, strict=True))
    # Otherwise what is around the outputs is a matter of the answer's form: {"predictions": [3]} is 3.
    if isinstance(got, dict | list) and len(got) == 1:
        return _same(expected, _parts(got)[0], tolerance)
    if isinstance(expected, dict | list) and len(expected) == 1:
        return _same(_parts(expected)[0], got, tolerance)
    wanted, outputs = list(_outputs(expected)), list(_outputs(got))
    return len(wanted) == len(outputs) and all(
        _equal(one, other, tolerance) for one, other in zip(wanted, outputs, strict=True)
    )


def _outputs(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for part in _parts(value):
            yield from _outputs(part)
    else:
        yield value


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _equal(expected: Any, got: Any, tolerance: float) -> bool:
    one, other = _text(expected), _text(got)
    if one == other:
        return True
    try:
        # Whole numbers may be labels, of which no two are nearly the same.
        if one.lstrip("-").isdecimal() and other.lstrip("-").isdecimal():
            return int(one) == int(other)
        numbers = float(one), float(other)
    except ValueError:
        return False
    if math.isnan(numbers[0]) or math.isnan(numbers[1]):
        return math.isnan(numbers[0]) and math.isnan(numbers[1])
    return math.isclose(*numbers, rel_tol=tolerance, abs_tol=_SMALLEST_DIFFERENCE)


def _text(value: Any) -> str:
    """An output as CSV has it, where everything is text: nothing for null, and a truth value in small letters."""
    text = "" if value is None else str(value).strip()
    return text.lower() if text in ("True", "False") else text
