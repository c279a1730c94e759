"""How likely chance alone does what was seen."""

from __future__ import annotations

import math
from collections.abc import Mapping

# Below this many expected occurrences in each sample the chi-square distribution is no good approximation.
_FEWEST_EXPECTED = 20.0
# Of identifiers every one is a category; all but the most frequent ones are taken as one.
_MOST_CATEGORIES = 100
_DRAWS = 2000


def two_samples(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """The p-value of Pearson's chi-square test of two samples: that both are drawn from the same categories.

    Where categories are rare, the statistic is held against two thousand random divisions of all values into samples
    of these sizes: so the test is wrong no more often than its limit says, whatever the sizes.

    Args:
        one: How often each category occurs in one sample.
        other: How often it does in the other one.
    """
    import numpy as np
    from scipy.stats import chi2  # type: ignore[import-untyped]

    counts = np.array(_cells(one, other), dtype=np.int64)
    if len(counts) < 2:
        return 1.0
    both, size = counts.sum(axis=1), int(counts[:, 0].sum())
    expected = both * (size / both.sum())
    # What one sample has more of a category the other one has less, so that both terms grow with the same square.
    weights = 1 / expected + 1 / (both - expected)
    statistic = float(((counts[:, 0] - expected) ** 2 * weights).sum())
    if min(expected.min(), (both - expected).min()) >= _FEWEST_EXPECTED:
        return float(chi2.sf(statistic, len(counts) - 1))
    drawn = np.random.default_rng(0).multivariate_hypergeometric(both, size, size=_DRAWS, method="marginals")
    # Room for the last digits of a sum, so that what is equal counts as such.
    reached = ((drawn - expected) ** 2 * weights).sum(axis=1) >= statistic * (1 - 1e-9)
    return (1 + int(reached.sum())) / (1 + _DRAWS)


def _cells(one: Mapping[str, int], other: Mapping[str, int]) -> list[tuple[int, int]]:
    """How often each category occurs in both samples, the rare ones of very many as one.

    What is rare is decided by both samples together: a choice that tells them apart would be found as a difference.
    """
    cells = sorted(((one.get(key, 0), other.get(key, 0)) for key in {*one, *other}), key=sum, reverse=True)
    if len(cells) <= _MOST_CATEGORIES:
        return cells
    rare = sum(cells[_MOST_CATEGORIES])
    frequent = [cell for cell in cells if sum(cell) > rare]
    rest = [cell for cell in cells if sum(cell) <= rare]
    return [*frequent, (sum(cell[0] for cell in rest), sum(cell[1] for cell in rest))]


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
