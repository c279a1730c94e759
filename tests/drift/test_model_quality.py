"""Metrics of labelled predictions."""

import pytest

from cdk_ml_release.drift import model_quality
from cdk_ml_release.drift.labelled import Labelled


def of(kind, predicted, true):
    """The metrics of predictions."""
    return model_quality.metrics(kind, Labelled(predicted=predicted, true=true))


def test_without_labels_nothing_is_known():
    assert of("number", [], []) == {}


def test_errors_of_numbers_have_the_paths_of_an_evaluation():
    found = of("number", [1.0, 2.0, 6.0], [1.0, 3.0, 4.0])

    assert found == {
        "regression_metrics.mae.value": 1.0,
        "regression_metrics.mse.value": pytest.approx(5 / 3),
        "regression_metrics.rmse.value": pytest.approx((5 / 3) ** 0.5),
        "regression_metrics.r2.value": pytest.approx(1 - 5 / 3 / (14 / 9)),
    }


def test_equal_labels_have_no_r2():
    assert "regression_metrics.r2.value" not in of("integer", [1.0, 2.0], [3.0, 3.0])


def test_categories_are_weighed_by_how_often_they_are_true():
    found = of("category", ["a", "a", "b", "c"], ["a", "b", "b", "b"])

    assert found == {
        "multiclass_classification_metrics.accuracy.value": 0.5,
        "multiclass_classification_metrics.weighted_precision.value": pytest.approx(0.25 * 0.5 + 0.75 * 1),
        "multiclass_classification_metrics.weighted_recall.value": pytest.approx(0.25 * 1 + 0.75 / 3),
        "multiclass_classification_metrics.weighted_f1.value": pytest.approx(0.25 * 2 / 3 + 0.75 * 0.5),
    }


@pytest.mark.parametrize(("positive", "negative"), [("1", "0"), ("true", "false")])
def test_truth_values_are_measured_as_a_binary_classification_too(positive, negative):
    found = of("category", [positive, positive, negative, negative], [positive, negative, negative, negative])

    assert found["binary_classification_metrics.accuracy.value"] == 0.75
    assert found["binary_classification_metrics.precision.value"] == 0.5
    assert found["binary_classification_metrics.recall.value"] == 1.0
    assert found["binary_classification_metrics.f1.value"] == pytest.approx(2 / 3)


def test_what_is_never_predicted_scores_nothing():
    found = of("category", ["0", "0"], ["1", "1"])

    assert found["binary_classification_metrics.f1.value"] == 0.0
    assert found["multiclass_classification_metrics.weighted_precision.value"] == 0.0
