"""evaluation.json: its metrics, its gates, and what an approver reads."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime import evaluation
from cdk_ml_release.runtime.contract import Gate, StageFailed

from .samples import MANIFEST
from .test_contract import gates, texts

URI = "s3://bucket/evaluation.json"
RMSE = "regression_metrics.rmse.value"
GATE = Gate(metric=RMSE, comparison="at_most", limit=2.5)


def read(document, *gates):
    """The metrics of a document."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return evaluation.metrics(content, URI, gates)


def nested(levels):
    """A document that a person would not write."""
    return b'{"a":' * levels + b"1" + b"}" * levels


def test_every_finite_number_is_a_metric_by_its_path():
    document = {
        "regression_metrics": {"rmse": {"value": 2, "standard_deviation": "NaN"}, "r2": {"value": -0.5}},
        "roc": [[0, 1], [1, 1]],
        "calibrated": True,
        "note": "2.0",
        "rows": 100,
    }

    assert read(document) == {RMSE: 2.0, "regression_metrics.r2.value": -0.5, "rows": 100.0}


def test_what_is_not_finite_is_no_metric():
    assert read(b'{"a": NaN, "b": Infinity, "c": -Infinity, "d": 1e400, "e": 1' + b"0" * 400 + b', "f": 1}') == {"f": 1}


def test_a_byte_order_mark_is_no_error():
    assert read(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_at_most_forty_metrics_are_kept_and_the_gated_ones_among_them():
    document = {f"m{number:02}": number for number in range(50)} | {"last": {"of": 1}}

    found = read(document, Gate(metric="last.of", comparison="at_most", limit=2))

    assert len(found) == 40
    assert next(iter(found)) == "last.of"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the evaluation wrote no s3://bucket/evaluation.json"),
        (b"rmse: 1", "is not JSON"),
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[1]", "must hold a JSON object, got list"),
        (b"null", "must hold a JSON object, got NoneType"),
        (nested(100_000), "is not JSON"),
        (b"{}", f"has no number at '{RMSE}', which is gated; it has: none"),
        (b'{"a": 1, "b": {"c": 2}}', "it has: a, b.c"),
        (b'{"regression_metrics": {"rmse": {"value": NaN}}}', "must hold a finite number .*, got NaN"),
        (b'{"regression_metrics": {"rmse": {"value": "2.0"}}}', 'must hold a finite number .*, got "2.0"'),
        (b'{"regression_metrics": {"rmse": {"value": [2.0]}}}', r"must hold a finite number .*, got \[2.0\]"),
        (b'{"regression_metrics": {"rmse": {"value": true}}}', "must hold a finite number .*, got true"),
        (b'{"regression_metrics": {"rmse": {"value": 1e999}}}', "must hold a finite number .*, got Infinity"),
    ],
)
def test_refuses_an_evaluation_that_cannot_be_judged(content, message):
    with pytest.raises(StageFailed, match=message):
        evaluation.metrics(content, URI, [GATE])


def test_a_long_list_of_other_metrics_is_cut():
    with pytest.raises(StageFailed, match=r"m19, 30 more$"):
        read({f"m{number:02}": 1 for number in range(50)}, GATE)


def test_a_model_that_keeps_its_limits_passes():
    evaluation.check_gates({RMSE: 2.5}, [GATE, Gate(metric=RMSE, comparison="at_least", limit=0)])


def test_refuses_a_model_with_metric_value_and_limit_of_each_gate_that_it_misses():
    other = Gate(metric="auc", comparison="at_least", limit=0.9)

    with pytest.raises(StageFailed) as caught:
        evaluation.check_gates({RMSE: 2.5000001, "auc": 0.25, "mae": 1}, [GATE, other])

    assert str(caught.value) == (
        f"the model does not pass its gate: {RMSE} is 2.5000001, which is not at most 2.5; "
        "auc is 0.25, which is not at least 0.9"
    )


def test_the_summary_tells_value_gate_and_the_change_against_every_endpoint():
    before = {"abalone-production": MANIFEST, "abalone-staging": MANIFEST}
    gate = Gate(metric="rmse", comparison="at_most", limit=2.5)

    told = evaluation.summary({"rmse": 1.75}, [gate], before, "abalone", "c0ffee0123456789")

    assert told == (
        "abalone from commit c0ffee01: rmse 1.75 (gate: at most 2.5; in service at abalone-production: 2, change "
        "-0.25; in service at abalone-staging: 2, change -0.25)"
    )


def test_the_summary_tells_a_metric_once_however_many_gates_it_has():
    gates = [Gate(metric="rmse", comparison="at_most", limit=2.5), replace(CURRENT, metric="rmse")]

    told = evaluation.summary({"rmse": 1.75}, gates, {}, "abalone", "c0ffee01")

    assert "rmse 1.75 (gate: at most 2.5, at most 0.1 worse than in service)" in told


def test_the_summary_of_a_first_release_says_so():
    told = evaluation.summary({RMSE: 2.0394}, [GATE], {}, "abalone", "c0ffee01")

    assert told == (
        "abalone from commit c0ffee01: regression_metrics.rmse 2.039 (gate: at most 2.5); no model in service yet"
    )


def test_the_summary_has_nothing_that_codepipeline_would_take_for_a_variable():
    gate = Gate(metric="#{variables.NAME}", comparison="at_most", limit=1)

    assert "# {variables.NAME} 1 " in evaluation.summary({gate.metric: 1}, [gate], {}, "abalone", "c0ffee01")


@given(st.lists(gates, min_size=1, max_size=20), st.floats(allow_nan=False, allow_infinity=False), texts, texts)
def test_the_summary_is_one_line_of_at_most_400_characters_that_codepipeline_leaves_alone(gates, value, model, commit):
    found = {gate.metric: value for gate in gates}

    told = evaluation.summary(found, gates, {"endpoint #{x}\n": replace(MANIFEST, metrics=found)}, model, commit)

    assert 0 < len(told) <= evaluation.LONGEST_SUMMARY
    assert len(told.splitlines()) == 1
    assert "#{" not in told


CURRENT = Gate(metric=RMSE, comparison="at_most", limit=0.1, current=True)
SERVING = {
    "abalone-production": replace(MANIFEST, metrics={RMSE: 2.0}, model_package_arn="arn:model-package/abalone/3"),
    "abalone-staging": replace(MANIFEST, metrics={RMSE: 1.8}, model_package_arn="arn:model-package/abalone/4"),
}


def test_a_model_that_is_hardly_worse_than_the_one_in_service_passes():
    evaluation.check_gates({RMSE: 1.9}, [CURRENT], SERVING)


def test_refuses_a_model_that_is_worse_than_one_in_service():
    with pytest.raises(StageFailed) as caught:
        evaluation.check_gates({RMSE: 1.95}, [CURRENT], SERVING)

    assert str(caught.value) == (
        f"the model does not pass its gate: {RMSE} is 1.95, which is not at most 0.1 worse than in service: "
        "version 4 at abalone-staging has 1.8"
    )


def test_one_endpoint_may_be_the_measure():
    evaluation.check_gates({RMSE: 1.95}, [replace(CURRENT, endpoint="abalone-production")], SERVING)

    with pytest.raises(StageFailed, match=r"worse than in service: version 3 at abalone-production has 2$"):
        evaluation.check_gates({RMSE: 2.2}, [replace(CURRENT, endpoint="abalone-production")], SERVING)


@pytest.mark.parametrize(
    ("serving", "endpoint", "where"),
    [
        ({}, "", "in service has"),
        (SERVING, "elsewhere", "in service at elsewhere has"),
        ({"e": replace(MANIFEST, metrics={"mae": 1.0})}, "", "in service has"),
    ],
    ids=["nothing in service", "nothing there", "another metric"],
)
def test_a_model_passes_where_there_is_nothing_to_be_worse_than_and_that_is_said(serving, endpoint, where, capsys):
    evaluation.check_gates({RMSE: 99.0}, [replace(CURRENT, endpoint=endpoint)], serving)

    assert capsys.readouterr().out == (
        f"gate {RMSE} at most 0.1 worse than in service: passed, for no model {where} that metric yet\n"
    )


@pytest.mark.parametrize(("tolerance", "words"), [(0.0, "no worse than in service"), (0.5, "at most 0.5 worse than")])
def test_the_summary_tells_how_much_worse_is_allowed(tolerance, words):
    told = evaluation.summary({RMSE: 2.2}, [replace(CURRENT, limit=tolerance)], SERVING, "abalone", "c0ffee01")

    assert f"regression_metrics.rmse 2.2 (gate: {words}" in told
    assert "in service at abalone-production: 2, change +0.2" in told
