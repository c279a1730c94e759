"""QualityGate: a limit that a model must keep."""

import pytest
from aws_cdk import Aws, Token

from cdk_ml_release import QualityGate


def test_an_error_must_be_at_most_its_limit():
    gate = QualityGate.at_most("regression_metrics.rmse.value", 2.5).gate

    assert gate.allows(2.5)
    assert not gate.allows(2.6)


def test_a_score_must_be_at_least_its_limit():
    gate = QualityGate.at_least("binary_classification_metrics.auc.value", 0.8).gate

    assert gate.allows(0.8)
    assert not gate.allows(0.7)


@pytest.mark.parametrize("limit", [0, -1, 0.0])
def test_any_finite_number_is_a_limit(limit):
    assert QualityGate.at_most("a.b", limit).gate.limit == limit


@pytest.mark.parametrize("path", ["", "rmse", ".rmse", "rmse.", "a..b", "a b.c", Aws.STACK_NAME])
def test_fails_when_the_metric_is_not_a_path(path):
    with pytest.raises(ValueError, match=r"'metric' must be a path into evaluation.json such as 'regression.*got "):
        QualityGate.at_most(path, 1)


@pytest.mark.parametrize("limit", ["2", None, True])
def test_fails_when_the_limit_is_not_a_number(limit):
    with pytest.raises(ValueError, match=f"'limit' must be a number that is known at synthesis, got {limit!r}"):
        QualityGate.at_most("a.b", limit)


def test_fails_when_the_limit_is_known_at_deployment_only():
    with pytest.raises(ValueError, match="'limit' must be a number that is known at synthesis"):
        QualityGate.at_least("a.b", Token.as_number({"Ref": "Limit"}))


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), float("-inf")])
def test_fails_when_nothing_could_miss_the_limit(limit):
    with pytest.raises(ValueError, match="'limit' must be finite"):
        QualityGate.at_most("a.b", limit)
