"""The limits on a model's quality, in the words of SageMaker Model Monitor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .quality_gate import QualityGate
from .runtime.contract import Gate
from .runtime.schema import Schema

_PATH = re.compile(r"(\w+)_metrics\.(\w+)\.value")
_RATES = ("true_positive_rate", "true_negative_rate", "false_positive_rate", "false_negative_rate")
# Source: the guide's list of model quality metrics; without those that need probabilities, and those of a classifier
# that always answers the same.
_METRICS: Mapping[str, Sequence[str]] = {
    "regression": ("mae", "mse", "rmse", "r2"),
    "binary_classification": ("accuracy", "precision", "recall", "f0_5", "f1", "f2", *_RATES),
    "multiclass_classification": (
        "accuracy",
        *(f"weighted_{name}" for name in ("precision", "recall", "f0_5", "f1", "f2")),
    ),
}
_PROBLEM_TYPES = {
    "regression": "Regression",
    "binary_classification": "BinaryClassification",
    "multiclass_classification": "MulticlassClassification",
}


@dataclass(frozen=True, kw_only=True)
class ModelQuality:
    """Limits of one kind of problem."""

    kind: str
    """Such as ``regression``."""
    gates: Mapping[str, Gate]
    """By what Model Monitor calls the metric, such as ``rmse``."""

    @property
    def problem_type(self) -> str:
        """The kind, as the API has it."""
        return _PROBLEM_TYPES[self.kind]

    def constraints(self) -> dict[str, Any]:
        """What ``constraints.json`` asks of a window's metrics."""
        asked = {
            name: {
                "threshold": gate.limit,
                "comparison_operator": "GreaterThanThreshold" if gate.comparison == "at_most" else "LessThanThreshold",
            }
            for name, gate in self.gates.items()
        }
        return {"version": 0.0, f"{self.kind}_constraints": asked}


def model_quality(limits: Sequence[QualityGate], schema: Schema) -> ModelQuality | None:
    """The limits as Model Monitor can watch them; None without any.

    Args:
        limits: As the user has them.
        schema: What the model predicts.

    Raises:
        ValueError: if Model Monitor does not know a metric, or has not all of them for one kind of problem.
    """
    found = [(each.gate, *_known(each.gate, schema)) for each in limits]
    for gate, kind, name in found:
        if kind != found[0][1]:
            raise ValueError(
                f"'quality' must be limits of one kind of problem, got '{found[0][0].metric}' and '{gate.metric}'; "
                "Model Monitor computes the metrics of one kind, so leave the others out"
            )
        if [other for _, _, other in found].count(name) > 1:
            raise ValueError(
                f"'quality' must limit each metric once, got '{gate.metric}' twice; Model Monitor's constraints have "
                "one limit for each, so keep one"
            )
    return ModelQuality(kind=found[0][1], gates={name: gate for gate, _, name in found}) if found else None


def _known(gate: Gate, schema: Schema) -> tuple[str, str]:
    """Kind of problem and name of the metric that a limit is for."""
    path = _PATH.fullmatch(gate.metric)
    kind, name = (path[1], path[2]) if path is not None else ("", "")
    fitting = dict(_fitting(schema))
    if name not in fitting.get(kind, ()):
        paths = [f"{each}_metrics.{metric}.value" for each, metrics in fitting.items() for metric in metrics]
        raise ValueError(
            f"'quality' must limit metrics that Model Monitor computes for a prediction of type "
            f"'{schema.prediction_type}', got '{gate.metric}'; it has {', '.join(paths)}"
        )
    return kind, name


def _fitting(schema: Schema) -> Iterator[tuple[str, Sequence[str]]]:
    for kind, metrics in _METRICS.items():
        if (kind == "regression") != (schema.prediction_type == "category"):
            yield kind, metrics
