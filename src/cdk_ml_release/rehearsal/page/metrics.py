"""Metrics: how good each version is, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .versions import Versions
from .words import metric, number

_SAME = 1e-9
_DEVIATION = ".standard_deviation"


@dataclass(frozen=True)
class Value:
    """A metric of one version."""

    text: str
    change: str = ""
    """Against the version before, with an arrow; empty for the first."""
    judged: str = ""
    """``better`` or ``worse``, where a gate says which way is up."""


@dataclass(frozen=True)
class Metric:
    """A metric of all versions."""

    name: str
    rules: list[str]
    values: list[Value]


@dataclass(frozen=True)
class Table:
    """The versions of one model."""

    columns: list[tuple[str, int]]
    """Name and colour of each version."""
    rows: list[Metric]


def tables(content: Mapping[str, Any], versions: Versions) -> list[Table]:
    """One table for each model."""
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for each in content["versions"]:
        by_model.setdefault(each["model_package_arn"].rpartition("/")[0], []).append(each)
    return [_table(some, content["gates"], versions) for some in by_model.values()]


def _table(built: Sequence[Mapping[str, Any]], gates: Sequence[Mapping[str, str]], versions: Versions) -> Table:
    arns = [each["model_package_arn"] for each in built]
    gated = {gate["metric"] for gate in gates}
    names = dict.fromkeys(name for each in built for name in each["metrics"])
    shown = [
        name for name in names if name.removesuffix(_DEVIATION) == name or name.removesuffix(_DEVIATION) not in names
    ]
    return Table(
        columns=[(versions.name(arn), versions.colour(arn)) for arn in arns],
        rows=[
            _row(name, built, [each for each in gates if each["metric"] == name])
            for name in sorted(shown, key=lambda name: name not in gated)
        ],
    )


def _row(name: str, built: Sequence[Mapping[str, Any]], gates: Sequence[Mapping[str, str]]) -> Metric:
    lower_is_better = {gate["comparison"] == "at_most" for gate in gates}
    values, before = [], None
    for each in built:
        value = each["metrics"].get(name)
        values.append(_value(value, each["metrics"].get(name + _DEVIATION), before, lower_is_better))
        before = before if value is None else value
    return Metric(metric(name), [gate["rule"] for gate in gates], values)


def _value(value: float | None, deviation: float | None, before: float | None, lower_is_better: set[bool]) -> Value:
    if value is None:
        return Value("not measured")
    text = number(value) if deviation is None else f"{number(value)} \N{PLUS-MINUS SIGN} {deviation:.2g}"
    if before is None:
        return Value(text)
    change = value - before
    if abs(change) <= _SAME * max(abs(before), 1.0):
        return Value(text, "= the same")
    arrow = "\N{BLACK DOWN-POINTING TRIANGLE}" if change < 0 else "\N{BLACK UP-POINTING TRIANGLE}"
    judged = ""
    if len(lower_is_better) == 1:
        judged = "better" if (change < 0) in lower_is_better else "worse"
    return Value(text, f"{arrow} {number(abs(change))}", judged)
