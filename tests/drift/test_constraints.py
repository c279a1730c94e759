"""Constraint files, ours and those of SageMaker Model Monitor."""

import json

import pytest

from cdk_ml_release.drift import violations
from cdk_ml_release.drift.constraints import Constraints
from cdk_ml_release.drift.observation import Observation
from cdk_ml_release.drift.window import Window
from cdk_ml_release.runtime.contract import StageFailed
from cdk_ml_release.runtime.schema import Schema

from .samples import reference

MODEL_MONITOR = {
    # As the baseline job of Model Monitor writes it for a table of customers.
    "version": 0.0,
    "features": [
        {
            "name": "Churn",
            "inferred_type": "Integral",
            "completeness": 1.0,
            "num_constraints": {"is_non_negative": True},
        },
        {
            "name": "plan",
            "inferred_type": "String",
            "completeness": 1.0,
            "string_constraints": {"domains": ["basic", "plus", "family"]},
        },
        {
            "name": "minutes",
            "inferred_type": "Fractional",
            "completeness": 0.98,
            "num_constraints": {"is_non_negative": True},
        },
        {"name": "phone", "inferred_type": "String", "completeness": 1.0},
        {"name": "remark", "inferred_type": "Unknown", "completeness": 0.0},
    ],
    "monitoring_config": {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled",
        "datatype_check_threshold": 1.0,
        "domain_content_threshold": 0.95,
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": 0.1,
            "comparison_method": "Robust",
            "categorical_comparison_threshold": 0.1,
            "categorical_drift_method": "LInfinity",
        },
    },
}
SCHEMA = Schema(features={"plan": "category", "minutes": "number"}, prediction="churn")
WINDOW = Window.between("2026-03-01T09:00", "2026-03-01T10:00")


def read(document=MODEL_MONITOR):
    """The constraints of a document."""
    return Constraints.from_json(json.dumps(document), "constraints.json")


def observed(rows):
    """A window of rows of features and prediction."""
    observation = Observation(SCHEMA, WINDOW)
    for row in rows:
        observation.table.add(row)
    observation.rows = len(rows)
    return observation


def found(rows, constraints):
    """The violations of rows against a baseline of a hundred customers, with constraints in place of its own."""
    known = reference(SCHEMA, [("basic", float(number), 0.0) for number in range(100)])
    object.__setattr__(known, "constraints", constraints)
    return {each.feature_name: each.constraint_check_type for each in violations.find(observed(rows), known)}


def test_a_file_of_model_monitor_is_read_as_it_is():
    constraints = read()

    assert constraints.of("plan").domain == {"basic", "plus", "family"}
    assert (constraints.of("minutes").kind, constraints.of("minutes").completeness) == ("number", 0.98)
    assert constraints.of("minutes").non_negative
    assert constraints.of("phone").domain is None
    assert constraints.of("remark").kind is None
    assert (constraints.datatype_threshold, constraints.domain_threshold) == (1.0, 0.95)
    assert constraints.document == MODEL_MONITOR


def test_a_file_without_configuration_or_with_nulls_is_read_with_the_defaults():
    bare = {"features": [{"name": "plan", "string_constraints": None, "num_constraints": None}]}

    constraints = read(bare)

    assert (constraints.datatype_threshold, constraints.domain_threshold) == (1.0, 1.0)
    assert constraints.of("plan").completeness == 0.0


def test_a_column_that_the_file_does_not_name_must_keep_nothing():
    assert read().of("nobody").completeness == 0.0


def test_a_domain_may_be_left_as_far_as_the_file_allows():
    few = [("basic", 1.0, 0.0)] * 96 + [("gold", 1.0, 0.0)] * 4
    many = [("basic", 1.0, 0.0)] * 90 + [("gold", 1.0, 0.0)] * 10

    assert found(few, read()) == {}
    assert found(many, read()) == {"plan": "categorical_values_check"}


def test_a_value_is_missing_where_none_may_be():
    assert found([("basic", 1.0, 0.0)] * 99 + [(None, 1.0, 0.0)], read()) == {"plan": "completeness_check"}


def test_a_share_of_missing_values_is_an_estimate_with_room_for_chance():
    some = [("basic", 1.0, 0.0)] * 96 + [("basic", None, 0.0)] * 4
    many = [("basic", 1.0, 0.0)] * 80 + [("basic", None, 0.0)] * 20

    assert found(some, read()) == {}
    assert found(many, read()) == {"minutes": "completeness_check"}


def test_a_few_values_outside_of_a_range_are_chance_and_many_are_not():
    few = [("basic", 1.0, 0.0)] * 98 + [("basic", 500.0, 0.0)] * 2
    many = [("basic", 1.0, 0.0)] * 80 + [("basic", -500.0, 0.0)] * 20

    assert found(few, read()) == {}
    assert found(many, read()) == {"minutes": "range_check"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"features": 7}',
        '{"features": [{}]}',
        '{"features": [{"name": "a", "completeness": "all"}]}',
    ],
)
def test_refuses_when_a_file_is_damaged(content):
    with pytest.raises(StageFailed, match=r"constraints\.json is damaged: .*; build the model again"):
        Constraints.from_json(content, "constraints.json")
