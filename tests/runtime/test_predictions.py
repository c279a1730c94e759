"""predictions.jsonl, and answers held against it."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime import predictions
from cdk_ml_release.runtime.contract import StageFailed
from cdk_ml_release.runtime.predictions import Row

URI = "s3://bucket/predictions.jsonl"


def lines(*rows):
    """The rows as a file."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def answered(prediction, answer, **options):
    """Whether ``answer`` is the prediction."""
    return Row(input="1", prediction=prediction, **options).answered_by(answer.encode())


def test_a_row_is_read_with_its_defaults():
    assert predictions.read(lines({"input": "1,2", "prediction": 3.5}), URI) == [Row(input="1,2", prediction=3.5)]


def test_a_row_may_say_its_content_type_and_tolerance():
    row = {"input": {"instances": [[1]]}, "prediction": [1], "content_type": "application/json", "tolerance": 0.01}

    (found,) = predictions.read(lines(row), URI)

    assert found.input == '{"instances": [[1]]}'
    assert (found.content_type, found.tolerance) == ("application/json", 0.01)


@pytest.mark.parametrize("count", [1, 49, 50, 51, 99, 100, 1000])
def test_at_most_fifty_rows_are_spread_evenly_over_the_file(count):
    found = predictions.read(lines(*({"input": str(n), "prediction": n} for n in range(count))), URI)

    chosen = [row.prediction for row in found]
    gaps = {later - earlier for earlier, later in pairwise(chosen)}
    assert len(chosen) == min(count, 50)
    assert chosen[0] == 0
    assert count - chosen[-1] <= max(gaps, default=0) + 1
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_empty_lines_are_no_rows_and_a_line_may_hold_any_unicode():
    content = b'\n{"input": "a\xe2\x80\xa8b", "prediction": 1}\r\n\n'

    assert [row.input for row in predictions.read(content, URI)] == ["a\u2028b"]


@pytest.mark.parametrize("content", [None, b"", b"\n \n"])
def test_refuses_a_file_without_rows(content):
    with pytest.raises(StageFailed, match=f"no evaluated rows in {URI}: let 'evaluate' write predictions.jsonl"):
        predictions.read(content, URI)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1,2 -> 3", f"line 2 of {URI} is not JSON"),
        (b'{"input": "1"', f"line 2 of {URI} is not JSON"),
        (b"\xff", f"line 2 of {URI} is not JSON"),
        (b"[1]", "line 2 of .* must be an object with 'input' and 'prediction', got "),
        (b'{"input": "1"}', "must be an object with 'input' and 'prediction'"),
        (b'{"prediction": 1}', "must be an object with 'input' and 'prediction'"),
        (b'{"input": "1", "prediction": 1, "content_type": 7}', "must have a text as 'content_type', got 7"),
        (b'{"input": "1", "prediction": 1, "tolerance": "1%"}', "must have a 'tolerance' .*, got \"1%\""),
        (b'{"input": "1", "prediction": 1, "tolerance": 1}', "at least 0 and less than 1, got 1"),
        (b'{"input": "1", "prediction": 1, "tolerance": NaN}', "got NaN"),
        (b'{"input": "1", "prediction": 1, "tolerance": true}', "got true"),
    ],
)
def test_refuses_a_malformed_row_by_its_line(line, message):
    good = lines({"input": "1", "prediction": 1})

    with pytest.raises(StageFailed, match=message):
        predictions.read(good + line + b"\n" + good, URI)


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [
        (11.032478107223099, "11.032478107223099\n"),
        (11.032478107223099, "11.0324781072"),
        (11.0, "11"),
        (3, "3.0"),
        (3.5, '{"predictions": [3.5]}'),
        ([3.5], "3.5"),
        ([[3.5, 4.5]], "3.5,4.5"),
        ([1.5, 2.5], "1.5\n2.5\n"),
        ([1.5, 2.5], '{"predictions": [[1.5], [2.5]]}'),
        ({"label": "old", "score": 0.9}, '{"score": 0.9000000001, "label": "old"}'),
        ({"label": "old", "score": 0.9}, '{"predictions": [{"score": 0.9, "label": "old"}]}'),
        ({"label": "old", "score": 0.9}, "old,0.9"),
        ([{"a": 1, "b": 2}], '[{"b": 2, "a": 1}]'),
        ("old", "old"),
        ("old", '"old"'),
        ("old, very", '"old, very"'),
        ("007", "007"),
        (True, "true"),
        (True, "True"),
        (None, "null"),
        ([1, None], "1,"),
        (float("nan"), "nan"),
        (float("nan"), '{"predictions": [NaN]}'),
        (float("inf"), "inf"),
        (0.0, "1e-12"),
        (2**70, str(2**70)),
    ],
)
def test_the_same_outputs_are_the_same_prediction_in_any_form(prediction, answer):
    assert answered(prediction, answer)


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [
        (11.03, "11.04"),
        (11.03, ""),
        (11.03, "11.03,11.03"),
        (11.03, "eleven"),
        (11.03, "nan"),
        (float("nan"), "11.03"),
        (float("inf"), "-inf"),
        ([1.5, 2.5], "2.5,1.5"),
        ([1.5, 2.5], "1.5"),
        ({"label": "old", "score": 0.9}, '{"score": 0.8, "label": "old"}'),
        ({"label": "old", "score": 0.9}, '{"score": 0.9, "label": "young"}'),
        ("old", "young"),
        (True, "false"),
        (None, "0"),
        (12345678901, "12345678902"),
        ([1.0, 1000.0], "1.0001,1000.0"),
        (1.0, "\ufffd"),
    ],
)
def test_refuses_another_prediction(prediction, answer):
    assert not answered(prediction, answer)


def test_an_answer_that_is_no_text_is_another_prediction():
    assert not Row(input="1", prediction=1).answered_by(b"\xff\x00")


def test_each_output_may_be_off_by_the_tolerance_of_its_row():
    assert answered([1.0, 1000.0], "1.009,1009", tolerance=0.01)
    assert not answered([1.0, 1000.0], "1.02,1000", tolerance=0.01)


@given(st.lists(st.floats(), min_size=1))
def test_what_json_and_csv_write_of_an_evaluated_row_is_the_same_prediction(outputs):
    assert answered(outputs, json.dumps({"predictions": outputs}))
    assert answered(outputs, ",".join(map(repr, outputs)))
    assert answered(outputs, "\n".join(map(repr, outputs)))
