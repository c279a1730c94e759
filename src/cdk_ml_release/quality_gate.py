"""QualityGate: a limit that a model must keep before anyone is asked to approve it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from .runtime.contract import Gate

_METRIC_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")


@dataclass(frozen=True)
class QualityGate:
    """A limit on one metric of ``evaluation.json``."""

    gate: Gate

    @classmethod
    def at_most(cls, metric: str, limit: float) -> QualityGate:
        """The metric may be ``limit`` or less: for errors, such as ``regression_metrics.rmse.value``.

        Args:
            metric: Where the metric stands in ``evaluation.json``, dots between the parts.
            limit: The largest value that passes, in the metric's own unit.

        Raises:
            ValueError: if ``metric`` is not such a path or ``limit`` is not a number.
        """
        return cls(_gate(metric, "at_most", limit))

    @classmethod
    def at_least(cls, metric: str, limit: float) -> QualityGate:
        """The metric must be ``limit`` or more: for scores, such as ``binary_classification_metrics.auc.value``.

        Args:
            metric: Where the metric stands in ``evaluation.json``, dots between the parts.
            limit: The smallest value that passes, in the metric's own unit.

        Raises:
            ValueError: if ``metric`` is not such a path or ``limit`` is not a number.
        """
        return cls(_gate(metric, "at_least", limit))


def _gate(metric: str, comparison: Literal["at_most", "at_least"], limit: float) -> Gate:
    if not _METRIC_PATH.fullmatch(metric):
        raise ValueError(
            "'metric' must be a path into evaluation.json such as 'regression_metrics.rmse.value', "
            f"got {metric!r}; write its parts with dots between them"
        )
    # CDK writes what only the deployment knows as a number below all others.
    if isinstance(limit, bool) or not isinstance(limit, int | float) or -math.inf < limit < -1e288:
        raise ValueError(f"'limit' must be a number that is known at synthesis, got {limit!r}; write it as a literal")
    if not math.isfinite(limit):
        raise ValueError(f"'limit' must be finite, got {limit!r}; a gate that nothing fails is no gate, leave it out")
    return Gate(metric=metric, comparison=comparison, limit=float(limit))
