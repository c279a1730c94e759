"""How good predictions were, by the labels, with the paths that an evaluation's metrics have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from ..runtime.cells import ColumnType, Value
from .labelled import Labelled

_POSITIVE = {frozenset({"0", "1"}): "1", frozenset({"false", "true"}): "true"}


def metrics(kind: ColumnType, pairs: Labelled) -> dict[str, float]:
    """The metrics by path, such as ``regression_metrics.rmse.value``; none without labels.

    Args:
        kind: The type of the prediction.
        pairs: What was predicted and what was true.
    """
    if not len(pairs):
        return {}
    if kind == "category":
        found = dict(_of_categories([str(each) for each in pairs.predicted], [str(each) for each in pairs.true]))
    else:
        numbers = [
            (predicted, true)
            for predicted, true in zip(pairs.predicted, pairs.true, strict=True)
            if not isinstance(predicted, str)
            and not isinstance(true, str)
            and predicted is not None
            and true is not None
        ]
        found = {f"regression_metrics.{name}": value for name, value in _of_numbers(numbers)}
    return {f"{name}.value": value for name, value in found.items() if math.isfinite(value)}


def _of_numbers(pairs: Sequence[tuple[float, float]]) -> Iterator[tuple[str, float]]:
    errors = [predicted - true for predicted, true in pairs]
    mse = math.fsum(error * error for error in errors) / len(errors)
    yield "mae", math.fsum(map(abs, errors)) / len(errors)
    yield "mse", mse
    yield "rmse", math.sqrt(mse)
    mean = math.fsum(true for _, true in pairs) / len(pairs)
    variance = math.fsum((true - mean) ** 2 for _, true in pairs) / len(pairs)
    if variance > 0:
        yield "r2", 1 - mse / variance


def _of_categories(predicted: Sequence[Value], true: Sequence[Value]) -> Iterator[tuple[str, float]]:
    right = Counter(one for one, other in zip(predicted, true, strict=True) if one == other)
    given, there = Counter(predicted), Counter(true)
    accuracy = right.total() / len(true)
    scores = {each: _scores(right[each], given[each], there[each]) for each in there}
    weights = {each: count / len(true) for each, count in there.items()}
    yield "multiclass_classification_metrics.accuracy", accuracy
    for place, name in enumerate(("precision", "recall", "f1")):
        weighted = math.fsum(weights[each] * scores[each][place] for each in there)
        yield f"multiclass_classification_metrics.weighted_{name}", weighted
    for pair, positive in _POSITIVE.items():
        if {*given, *there} <= pair:
            yield "binary_classification_metrics.accuracy", accuracy
            found = _scores(right[positive], given[positive], there[positive])
            for name, value in zip(("precision", "recall", "f1"), found, strict=True):
                yield f"binary_classification_metrics.{name}", value


def _scores(right: int, given: int, there: int) -> tuple[float, float, float]:
    """Precision, recall and F1 of one category; 0 where there is nothing to be right about."""
    precision, recall = right / given if given else 0.0, right / there if there else 0.0
    return precision, recall, 2 * right / (given + there) if given + there else 0.0
