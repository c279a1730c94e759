"""The files that a window leaves under ``monitoring/<endpoint>/``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..runtime import baseline
from ..runtime.schema import Schema
from .outcome import Outcome
from .window import Window

Put = Callable[[str, str, str], str]
"""Stores a text under a name with a content type, and returns where it is."""


def folder(endpoint: str, window: Window, version: str) -> str:
    """What the names of a window's files begin with."""
    return f"monitoring/{endpoint}/{window.label}/{version}/"


def write(
    put: Put,
    prefix: str,
    endpoint: str,
    window: Window,
    outcome: Outcome,
    *,
    schema: Schema | None,
    constraints: Mapping[str, Any],
) -> str | None:
    """Write the files of one version; ``window.json`` comes last, so that where it is, the others are.

    Args:
        put: Stores a file.
        prefix: What their names begin with.
        endpoint: The endpoint.
        window: The window.
        outcome: What came of it.
        schema: The columns of the version, if rows were read by them.
        constraints: What the version's data must keep.

    Returns:
        Where the report is, if there is one.
    """
    report = put(f"{prefix}report.html", outcome.page, "text/html") if outcome.page else None
    for name, document in _documents(outcome, schema, constraints).items():
        put(f"{prefix}{name}", json.dumps(document, indent=2) + "\n", "application/json")
    put(f"{prefix}window.json", outcome.to_json(endpoint, window, report), "application/json")
    return report


def _documents(outcome: Outcome, schema: Schema | None, constraints: Mapping[str, Any]) -> dict[str, Any]:
    """The files in Model Monitor's layout; none for a window that has no rows."""
    observation = outcome.observation
    if schema is None or observation is None or not len(observation.table):
        return {}
    table = observation.table
    statistics = baseline.statistics_of(
        (baseline.feature(name, kind, table.column(name)) for name, kind in schema.columns.items()), len(table)
    )
    violations = [*(each.to_json() for each in outcome.violations), *_drifts(outcome)]
    return {
        "statistics.json": statistics,
        "constraints.json": constraints,
        "constraint_violations.json": {"violations": violations},
    }


def _drifts(outcome: Outcome) -> list[dict[str, str]]:
    comparison = outcome.comparison
    return [
        {
            "feature_name": name,
            "constraint_check_type": "baseline_drift_check",
            "description": f"{name} has drifted: {drift}",
        }
        for name, drift in (comparison.features.items() if comparison is not None else ())
        if drift.drifted
    ]
