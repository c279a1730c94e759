"""How likely chance alone does what was seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# Below this many expected occurrences in each sample the chi-square distribution is no good approximation.
_FEWEST_EXPECTED = 5.0


def two_samples(one: Mapping[Any, int], other: Mapping[Any, int]) -> float:
    """The p-value of Pearson's chi-square test of two samples: that both are drawn from the same categories.

    Rare categories are taken together, since the test would otherwise call them different far too often.

    Args:
        one: How often each category occurs in one sample.
        other: How often it does in the other one.
    """
    from scipy.stats import chi2  # type: ignore[import-untyped]

    totals = sum(one.values()), sum(other.values())
    share = min(totals) / sum(totals)
    cells = _pooled(one, other, _FEWEST_EXPECTED / share)
    if len(cells) < 2:
        return 1.0
    everything = sum(totals)
    statistic = sum(
        (cell[side] - expected) ** 2 / expected
        for cell in cells
        for side in (0, 1)
        for expected in (sum(cell) * totals[side] / everything,)
    )
    return float(chi2.sf(statistic, len(cells) - 1))


def _pooled(one: Mapping[Any, int], other: Mapping[Any, int], fewest: float) -> list[tuple[int, int]]:
    """The cells of the table, the rare ones as one; it takes the smallest other one along if it is too rare itself."""
    cells = sorted(((one.get(key, 0), other.get(key, 0)) for key in {*one, *other}), key=sum)
    pool = (0, 0)
    while cells and (sum(cells[0]) < fewest or 0 < sum(pool) < fewest):
        rare = cells.pop(0)
        pool = (pool[0] + rare[0], pool[1] + rare[1])
    return [pool, *cells] if sum(pool) else cells


def outside_range(outside: int, values: int, earlier: int) -> float:
    """The probability that of new values at least so many are outside the range of earlier ones.

    It holds for every continuous distribution; equal values make it smaller still.

    Args:
        outside: How many are below the smallest or above the largest earlier value.
        values: How many new values there are.
        earlier: How many earlier values there were, all drawn like the new ones.
    """
    if outside <= 0:
        return 1.0
    if earlier < 2:
        return 1.0
    # What the range leaves out has the probability Beta(2, earlier - 1), so their number is beta-binomial.
    below = 0.0
    for number in range(outside):
        below += math.exp(
            _log_choose(values, number)
            + _log_beta(number + 2, values - number + earlier - 1)
            - _log_beta(2, earlier - 1)
        )
        if below > 1 - 1e-12:
            return 0.0
    return max(0.0, 1.0 - below)


def missing_more(missing: int, values: int, share: float, earlier: int) -> float:
    """The probability that at least so many of new values are missing, if the share was seen in earlier ones.

    Args:
        missing: How many are missing.
        values: How many new values there are.
        share: The share of earlier ones that was missing, between 0 and 1.
        earlier: How many earlier ones there were.
    """
    pooled = (missing + share * earlier) / (values + earlier)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / values + 1 / earlier))
    if spread == 0:
        return 1.0
    return 0.5 * math.erfc((missing / values - share) / spread / math.sqrt(2))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_choose(of: int, number: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(number + 1) - math.lgamma(of - number + 1)
