"""QualityGate: a limit that a model must keep before anyone is asked to approve it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
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

    @classmethod
    def no_worse_than_current(
        cls, metric: str, *, better: Literal["lower", "higher"], tolerance: float = 0.0, endpoint: str | None = None
    ) -> QualityGate:
        """The metric may be at most ``tolerance`` worse than that of the model in service.

        Each model is taken at its own evaluation: if the data has changed in between, so have the rows that it was
        tested on, and the two numbers are as comparable as the two test sets. Leave room for that in ``tolerance``,
        and set a limit with :meth:`at_most` or :meth:`at_least` too, below which no model may sink little by little.
        The first release passes, for there is nothing to be worse than; so does the first that has this metric.

        Args:
            metric: Where the metric stands in ``evaluation.json``, dots between the parts.
            better: Which of two values is the better one.
            tolerance: How much worse it may be, in the metric's own unit.
            endpoint: The endpoint whose model is the measure: that of production, where there are several.
                Default: every endpoint that serves this model; the new one must be no worse than any.

        Raises:
            ValueError: if ``metric`` is not such a path, ``better`` is another word, or ``tolerance`` is not a number
                of at least 0.
        """
        if better not in ("lower", "higher"):
            raise ValueError(
                f"'better' must be 'lower' or 'higher', got {better!r}; errors are better lower, scores higher"
            )
        gate = _gate(metric, "at_most" if better == "lower" else "at_least", tolerance, argument="tolerance")
        if tolerance < 0:
            raise ValueError(
                f"'tolerance' must be at least 0, got {tolerance!r}; a model that must get better cannot be retrained "
                "on the same data"
            )
        return cls(replace(gate, current=True, endpoint=endpoint or ""))


def _gate(metric: str, comparison: Literal["at_most", "at_least"], limit: float, argument: str = "limit") -> Gate:
    if not _METRIC_PATH.fullmatch(metric):
        raise ValueError(
            "'metric' must be a path into evaluation.json such as 'regression_metrics.rmse.value', "
            f"got {metric!r}; write its parts with dots between them"
        )
    # CDK writes what only the deployment knows as a number below all others.
    if isinstance(limit, bool) or not isinstance(limit, int | float) or -math.inf < limit < -1e288:
        raise ValueError(
            f"'{argument}' must be a number that is known at synthesis, got {limit!r}; write it as a literal"
        )
    if not math.isfinite(limit):
        raise ValueError(
            f"'{argument}' must be finite, got {limit!r}; a gate that nothing fails is no gate, leave it out"
        )
    return Gate(metric=metric, comparison=comparison, limit=float(limit))
