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


def test_an_error_may_be_as_much_worse_than_the_current_one_as_is_tolerated():
    gate = QualityGate.no_worse_than_current("a.rmse", better="lower", tolerance=0.1).gate

    assert gate.against(2.0).allows(2.1)
    assert gate.against(2.0).allows(1.0)
    assert not gate.against(2.0).allows(2.11)


def test_a_score_may_be_as_much_worse_than_the_current_one_as_is_tolerated():
    gate = QualityGate.no_worse_than_current("a.auc", better="higher", tolerance=0.1).gate

    assert gate.against(0.8).allows(0.7)
    assert gate.against(0.8).allows(0.9)
    assert not gate.against(0.8).allows(0.69)


@pytest.mark.parametrize("value", [0.1 + 0.2, 1 / 3, 2.0394123456789123, 1e-9, 0.0, -7.5])
@pytest.mark.parametrize("better", ["lower", "higher"])
def test_as_good_as_the_current_model_is_good_enough(better, value):
    assert QualityGate.no_worse_than_current("a.b", better=better).gate.against(value).allows(value)


def test_the_measure_may_be_the_model_of_one_endpoint():
    gate = QualityGate.no_worse_than_current("a.b", better="lower", endpoint="abalone-production").gate

    assert (gate.endpoint, gate.current) == ("abalone-production", True)


@pytest.mark.parametrize("better", ["", "smaller", None])
def test_fails_when_it_is_not_said_what_is_better(better):
    with pytest.raises(ValueError, match=f"'better' must be 'lower' or 'higher', got {better!r}; errors are better"):
        QualityGate.no_worse_than_current("a.b", better=better)


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        (-0.1, "'tolerance' must be at least 0, got -0.1"),
        (float("inf"), "'tolerance' must be finite, got inf"),
        (float("nan"), "'tolerance' must be finite, got nan"),
        ("0.1", "'tolerance' must be a number that is known at synthesis, got '0.1'"),
    ],
)
def test_fails_when_the_tolerance_is_none(tolerance, message):
    with pytest.raises(ValueError, match=message):
        QualityGate.no_worse_than_current("a.b", better="lower", tolerance=tolerance)
