"""The baseline's files, in Model Monitor's layout."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime import baseline
from cdk_ml_release.runtime.contract import RunFolder, StageFailed
from cdk_ml_release.runtime.schema import Schema

from .samples import BUCKET, EXECUTION

SCHEMA = Schema(features={"sex": "category", "length": "number", "rings": "integer"}, prediction="age")
COLUMNS = {
    "sex": ["M", "F", "M", None],
    "length": [0.0, 1.0, 2.0, 10.0],
    "rings": [-3.0, 4.0, None, None],
    "age": [1.5, 2.5, 3.5, 4.5],
}
FOLDER = RunFolder(bucket=BUCKET, execution_id=EXECUTION)


def features(document):
    """What a file says of each feature."""
    return {feature["name"]: feature for feature in document["features"]}


def of_numbers(numbers):
    """The statistics of one column of numbers."""
    columns = {"length": list(numbers), "prediction": [0.0] * len(numbers)}
    found = baseline.statistics(Schema(features={"length": "number"}), columns)
    return features(found)["length"]["numerical_statistics"]


def test_the_statistics_tell_of_each_feature_and_of_the_prediction():
    found = baseline.statistics(SCHEMA, COLUMNS)

    assert (found["version"], found["dataset"]) == (0.0, {"item_count": 4})
    assert [(each["name"], each["inferred_type"]) for each in found["features"]] == [
        ("sex", "String"),
        ("length", "Fractional"),
        ("rings", "Integral"),
        ("age", "Fractional"),
    ]
    length = features(found)["length"]["numerical_statistics"]
    assert length["common"] == {"num_present": 4, "num_missing": 0}
    assert {name: length[name] for name in ("mean", "sum", "min", "max")} == {
        "mean": 3.25,
        "sum": 13.0,
        "min": 0.0,
        "max": 10.0,
    }
    assert length["std_dev"] == pytest.approx(3.961, abs=1e-3)
    assert [bucket["count"] for bucket in length["distribution"]["kll"]["buckets"]] == [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]
    assert features(found)["sex"]["string_statistics"] == {
        "common": {"num_present": 3, "num_missing": 1},
        "distinct_count": 2,
        "distribution": {"categorical": {"buckets": [{"value": "M", "count": 2}, {"value": "F", "count": 1}]}},
    }


def test_the_constraints_ask_for_what_the_statistics_have():
    asked = features(baseline.constraints(baseline.statistics(SCHEMA, COLUMNS)))

    assert asked["sex"] == {
        "name": "sex",
        "inferred_type": "String",
        "completeness": 0.75,
        "string_constraints": {"domains": ["F", "M"]},
    }
    assert asked["length"] == {
        "name": "length",
        "inferred_type": "Fractional",
        "completeness": 1.0,
        "num_constraints": {"is_non_negative": True},
    }
    assert asked["rings"]["num_constraints"] == {"is_non_negative": False}
    assert asked["rings"]["completeness"] == 0.5


def test_a_category_of_very_many_values_has_no_domain():
    columns = {"id": [str(number) for number in range(101)], "prediction": [1.0] * 101}
    found = baseline.statistics(Schema(features={"id": "category"}), columns)

    assert "string_constraints" not in features(baseline.constraints(found))["id"]


def test_a_column_without_any_value_asks_for_nothing():
    columns = {"length": [None, None], "prediction": [1.0, 2.0]}
    asked = features(baseline.constraints(baseline.statistics(Schema(features={"length": "number"}), columns)))

    assert (asked["length"]["completeness"], asked["length"]["num_constraints"]) == (0.0, {"is_non_negative": False})


@given(st.lists(st.floats(-1e100, 1e100, allow_nan=False), min_size=1, max_size=60))
def test_ten_buckets_hold_every_value_within_their_bounds(numbers):
    buckets = of_numbers(numbers)["distribution"]["kll"]["buckets"]

    assert len(buckets) == 10
    assert sum(bucket["count"] for bucket in buckets) == len(numbers)
    assert (buckets[0]["lower_bound"], buckets[-1]["upper_bound"]) == (min(numbers), max(numbers))
    assert all(one["upper_bound"] == next_["lower_bound"] for one, next_ in pairwise(buckets))


@pytest.mark.parametrize("count", [1, 2048, 2049, 5000, 100_000])
def test_the_sketch_stands_for_every_value_and_keeps_the_quantiles(count):
    levels = of_numbers([float(number) for number in range(count)])["distribution"]["kll"]["sketch"]["data"]

    weighted = sorted((value, 2**level) for level, values in enumerate(levels) for value in values)
    assert sum(weight for _, weight in weighted) == count
    assert sum(len(level) for level in levels) <= 2048 + len(levels)
    below = sum(weight for value, weight in weighted if value < count / 2)
    assert below == pytest.approx(count / 2, abs=1 + count / 1000)


def test_a_baseline_is_stored_beside_the_rows_that_it_is_made_of(s3):
    rows = [{"input": f"M,{number}.5,{number}", "prediction": number} for number in range(5)]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    s3.put_object(Bucket=BUCKET, Key=f"runs/{EXECUTION}/evaluation/predictions.jsonl", Body=content)

    baseline.write(s3, FOLDER, SCHEMA)

    def stored(name):
        return s3.get_object(Bucket=BUCKET, Key=f"runs/{EXECUTION}/baseline/{name}")["Body"].read()

    assert baseline.read_schema(stored("schema.json"), "uri") == SCHEMA
    statistics = json.loads(stored("statistics.json"))
    assert statistics["dataset"]["item_count"] == 5
    assert json.loads(stored("constraints.json")) == baseline.constraints(statistics)


def test_refuses_when_there_are_no_evaluated_rows_and_stores_nothing(s3):
    with pytest.raises(StageFailed, match="no evaluated rows in s3://abalone-artifacts/runs/"):
        baseline.write(s3, FOLDER, SCHEMA)

    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_refuses_when_the_schema_is_not_that_of_the_evaluated_rows_and_stores_nothing(s3):
    key = f"runs/{EXECUTION}/evaluation/predictions.jsonl"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b'{"input": "1.5,M,3", "prediction": 7}\n')

    with pytest.raises(StageFailed, match="does not fit the schema: row 1: column 'length' must be a number"):
        baseline.write(s3, FOLDER, SCHEMA)

    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the baseline has no uri: declare a schema on the repo and build the model again"),
        (b"{", "uri is damaged: .*; build the model again"),
        (b"\xff", "uri is damaged"),
        (b'{"features": []}', "uri is damaged: a schema must have features, a prediction and a label"),
    ],
)
def test_refuses_when_a_stored_schema_is_missing_or_damaged(content, message):
    with pytest.raises(StageFailed, match=message):
        baseline.read_schema(content, "uri")
