"""A window held against the baseline of the version that answered it, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import drift_test
from .drift_test import Drift, Judge
from .table import Table

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What has drifted."""

    features: Mapping[str, Drift]
    """A feature without any value, in the window or in the baseline, is not among them."""
    prediction: Drift | None
    current: pd.DataFrame = field(repr=False)
    reference: pd.DataFrame = field(repr=False)

    @property
    def drifted(self) -> list[str]:
        """The features that have drifted."""
        return [name for name, drift in self.features.items() if drift.drifted]

    @property
    def drift_share(self) -> float:
        """The share of them among the features that were compared, from 0 to 1."""
        return len(self.drifted) / len(self.features) if self.features else 0.0


def compare(current: Table, reference: Table, prediction: str, judge: Judge) -> Comparison:
    """Compare a window.

    Args:
        current: The rows of the window.
        reference: The rows of the baseline.
        prediction: Which column is the prediction.
        judge: Decides by which test and limit.
    """
    frames = reference.frame(), current.frame()
    found: dict[str, Drift] = {}
    for name, kind in reference.kinds.items():
        columns = frames[0][name], frames[1][name]
        chosen = judge.choose(name, kind, *columns)
        if chosen is not None:
            found[name] = drift_test.score(*chosen, kind, *columns)
    predicted = found.pop(prediction, None)
    return Comparison(features=found, prediction=predicted, reference=frames[0], current=frames[1])
