"""Whether a column has drifted: the statistical tests, chosen by type and size and computed by Evidently."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ..runtime.cells import ColumnType
from ..runtime.monitor_settings import MonitorSettings
from . import chance

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

Method = Literal["ks", "chisquare_two_samples", "wasserstein", "jensenshannon"]

# From this many on every difference is significant. Of two samples the smaller one decides what a test can see.
_SIGNIFICANT = 1000
# Evidently divides a distance by no less than this many units, so that a column of small numbers would never drift.
_SMALLEST_DEVIATION = 0.001


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What a test says of a column."""

    method: Method
    score: float
    """A p-value for ``ks`` and ``chisquare_two_samples``, a distance for the others."""
    threshold: float
    drifted: bool

    def to_json(self) -> dict[str, Any]:
        """The result as it is stored."""
        return asdict(self)

    def __str__(self) -> str:
        if self.method in ("ks", "chisquare_two_samples"):
            test = "Kolmogorov-Smirnov" if self.method == "ks" else "chi-square"
            return f"{test} p-value {self.score:.3g}, limit {self.threshold:g}"
        unit = "standard deviations" if self.method == "wasserstein" else "Jensen-Shannon distance"
        return f"{self.score:.3g} {unit} from its baseline, limit {self.threshold:g}"


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Decides by the settings which test a column gets, and what its limit is."""

    settings: MonitorSettings
    thresholds: Mapping[str, float]
    """For single columns, the distance that takes the place of test and limit, whatever the size."""

    def choose(
        self, name: str, kind: ColumnType, reference: pd.Series[Any], current: pd.Series[Any]
    ) -> tuple[Method, float] | None:
        """The test of a column and its limit; None if there is nothing to compare.

        Args:
            name: The column.
            kind: Its type.
            reference: Its values in the baseline.
            current: Its values in the window.
        """
        sizes = int(reference.count()), int(current.count())
        if not min(sizes):
            return None
        if name not in self.thresholds and _both(*sizes) <= self._significant(kind, reference, current):
            return ("chisquare_two_samples" if kind == "category" else "ks"), self.settings.alpha
        limit = self.thresholds.get(name, self.settings.distance)
        narrow = kind != "category" and float(reference.std(ddof=0)) < _SMALLEST_DEVIATION
        return ("jensenshannon" if kind == "category" or narrow else "wasserstein"), limit

    def _significant(self, kind: ColumnType, reference: pd.Series[Any], current: pd.Series[Any]) -> float:
        """Up to how many rows a distance may be above its limit by chance, so that a test has to judge."""
        if kind != "category":
            # Of a number, the expected distance is about 1.2 / sqrt(rows) for a normal distribution.
            return max(_SIGNIFICANT, 10 / self.settings.distance**2)
        categories = len({*reference.dropna().unique(), *current.dropna().unique()})
        # Of a category, its square is about (categories - 1) / 8 / rows: so far it is half of the limit.
        return max(_SIGNIFICANT, (categories - 1) / 2 / self.settings.distance**2)


def _both(one: int, other: int) -> float:
    """The size of a sample that sees as much against the truth as these two see against each other."""
    return one * other / (one + other)


def score(method: Method, limit: float, kind: ColumnType, reference: pd.Series[Any], current: pd.Series[Any]) -> Drift:
    """Compare a column.

    Args:
        method: The test.
        limit: Its limit.
        kind: The column's type.
        reference: The values in the baseline.
        current: The values in the window.
    """
    stattests = evidently().stattests
    column = stattests.ColumnType.Categorical if kind == "category" else stattests.ColumnType.Numerical
    test = stattests.get_stattest(reference, current, column, method)
    result = test(reference.dropna(), current.dropna(), column, limit)
    value = float(result.drift_score)
    by_p_value = method in ("ks", "chisquare_two_samples")
    return Drift(method=method, score=value, threshold=limit, drifted=value < limit if by_p_value else value >= limit)


@dataclass(frozen=True)
class Evidently:
    """What is used of Evidently."""

    top: Any
    metrics: Any
    stattests: Any


@cache
def evidently() -> Evidently:
    """Evidently, with nothing reported to anybody and our test of categories added to its own.

    Evidently's chi-square test takes the baseline's shares for exactly true, and so calls ten times as many windows
    drifted as its limit says when the two samples are of one size.
    """
    # Read when the module is imported.
    os.environ.update(DO_NOT_TRACK="1", ITERATIVE_DO_NOT_TRACK="1")
    with warnings.catch_warnings():
        # Of its dependencies, about their own future.
        warnings.simplefilter("ignore")
        import evidently  # type: ignore[import-untyped]
        from evidently import metrics
        from evidently.legacy.calculations.stattests import registry  # type: ignore[import-untyped]

    def compare(
        reference: pd.Series[Any], current: pd.Series[Any], _kind: object, threshold: float
    ) -> tuple[float, bool]:
        p_value = chance.two_samples(Counter(reference), Counter(current))
        return p_value, p_value < threshold

    test = registry.StatTest(
        name="chisquare_two_samples",
        display_name="chi-square p_value of two samples",
        allowed_feature_types=[registry.ColumnType.Categorical],
    )
    registry.register_stattest(test, compare)
    return Evidently(evidently, metrics, registry)
