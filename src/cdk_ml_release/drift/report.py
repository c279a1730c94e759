"""The report of a window that people look at: Evidently's page, under a heading that says what it is about."""

from __future__ import annotations

import html
import tempfile
import warnings
from pathlib import Path
from typing import Any

from ..runtime.schema import Schema
from . import drift_test
from .comparison import Comparison

_STYLE = "font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 1.5rem auto; padding: 0 1rem"


def page(comparison: Comparison, schema: Schema, heading: str, told: list[str]) -> str:
    """The page, with all that it needs in it: it can be opened without a network.

    Args:
        comparison: What was found.
        schema: The columns.
        heading: What the page is about.
        told: What was found, in words.
    """
    text = _text(snapshot(comparison, schema))
    items = "".join(f"<li>{html.escape(each)}</li>" for each in told)
    head = f'<header style="{_STYLE}"><h1>{html.escape(heading)}</h1><ul>{items}</ul></header>'
    before, body, rest = text.partition("<body>")
    return f"{before}{body}\n{head}{rest}" if body else text


def snapshot(comparison: Comparison, schema: Schema) -> Any:
    """Evidently's own result: the prediction first, then feature by feature, by the tests that judged them."""
    evidently = drift_test.evidently()
    drifts = dict(comparison.features)
    if comparison.prediction is not None:
        drifts = {schema.prediction: comparison.prediction, **drifts}
    numbers = [name for name in drifts if schema.columns[name] != "category"]
    definition = evidently.top.DataDefinition(
        numerical_columns=numbers, categorical_columns=[name for name in drifts if name not in numbers]
    )
    metrics = [
        evidently.metrics.ValueDrift(column=name, method=drift.method, threshold=drift.threshold)
        for name, drift in drifts.items()
    ]
    current, reference = (
        evidently.top.Dataset.from_pandas(frame[list(drifts)], data_definition=definition)
        for frame in (comparison.current, comparison.reference)
    )
    with warnings.catch_warnings():
        # Of its plots, about their own future, and about columns that have one value.
        warnings.simplefilter("ignore")
        return evidently.top.Report(metrics, include_tests=True).run(current, reference)


def _text(shown: Any) -> str:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        path = Path(folder, "report.html")
        shown.save_html(str(path))
        return path.read_text(encoding="utf-8")
