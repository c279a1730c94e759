"""The evaluated rows as columns."""

import json

import pytest

from cdk_ml_release.runtime import sample
from cdk_ml_release.runtime.contract import StageFailed
from cdk_ml_release.runtime.schema import Schema

URI = "s3://bucket/predictions.jsonl"
SCHEMA = Schema(features={"sex": "category", "length": "number"}, prediction="age")


def lines(*rows):
    """The rows as the lines of a file."""
    return [json.dumps(row).encode() for row in rows]


def test_each_column_has_the_values_of_all_rows_in_their_order():
    rows = lines(
        {"input": "M,0.5", "prediction": 3.5, "content_type": "text/csv"},
        {"input": "F,", "prediction": [4.5]},
        {"input": {"instances": [["I", 1], ["M", 2]]}, "prediction": {"predictions": [5, 6]}},
        {"input": '{"length": 3, "sex": null}', "prediction": 7, "content_type": "application/json; charset=utf-8"},
    )

    assert sample.read(SCHEMA, [*rows, b"", b" "], URI) == {
        "sex": ["M", "F", "I", "M", None],
        "length": [0.5, None, 1, 2, 3],
        "age": [3.5, 4.5, 5, 6, 7],
    }


@pytest.mark.parametrize(
    ("content_type", "body", "encoding"),
    [
        ("text/csv; charset=utf-8", "[1]", "CSV"),
        ("application/jsonlines", "1", "JSON"),
        ("application/octet-stream", "M,1", "CSV"),
        ("application/octet-stream", '{"a": 1}', "JSON"),
        ("application/octet-stream", "[1, 2]\n[3, 4]", "JSON"),
        ("", "[1, 2", "CSV"),
        ("", "5", "CSV"),
        ("", "", "CSV"),
    ],
)
def test_a_body_without_a_telling_type_is_known_by_its_content(content_type, body, encoding):
    assert sample.encoding(content_type, body) == encoding


@pytest.mark.parametrize("content", [[], [b""], [b" ", b"\r"]])
def test_refuses_a_file_without_rows(content):
    with pytest.raises(StageFailed, match=f"no evaluated rows in {URI}: let 'evaluate' write predictions.jsonl"):
        sample.read(SCHEMA, content, URI)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"M,1", f"line 2 of {URI} is not JSON"),
        (b"[1]", f"line 2 of {URI} must be an object with 'input' and 'prediction'"),
        (b'{"input": "M,1"}', "must be an object with 'input' and 'prediction'"),
        (
            b'{"input": "M,1,2", "prediction": 1}',
            "line 2 .* does not fit the schema: row 1: has 3 columns instead of 2",
        ),
        (b'{"input": "1,M", "prediction": 1}', "row 1: column 'length' must be a number, got 'M'; mend the schema"),
        (b'{"input": "M,1", "prediction": "old"}', "row 1: column 'age' must be a number, got 'old'; mend the schema"),
        (b'{"input": "M,1", "prediction": [1, 2]}', "column 'age' must have 1 values"),
    ],
)
def test_refuses_when_a_row_is_not_what_the_schema_declares(line, message):
    with pytest.raises(StageFailed, match=message):
        sample.read(SCHEMA, [*lines({"input": "M,1", "prediction": 1}), line], URI)
