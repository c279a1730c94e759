"""Single values of a row."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime import cells
from cdk_ml_release.runtime.cells import Unfit

FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100)


@given(FINITE)
def test_a_number_is_the_same_in_csv_and_in_json(number):
    assert cells.read("number", repr(number)) == cells.read("number", number) == number


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_may_be_written_with_a_point(number):
    assert cells.read("integer", f"{number}.0") == cells.read("integer", number) == number


@pytest.mark.parametrize("kind", cells.COLUMN_TYPES)
@pytest.mark.parametrize("missing", [None, "", math.nan])
def test_nothing_is_a_missing_value_of_every_type(kind, missing):
    assert cells.read(kind, missing) is None


@pytest.mark.parametrize("kind", ["number", "integer"])
@pytest.mark.parametrize("text", ["nan", "NaN"])
def test_nan_in_csv_is_a_missing_number(kind, text):
    assert cells.read(kind, text) is None


@pytest.mark.parametrize(
    ("written", "category"),
    [("M", "M"), (2, "2"), (2.0, "2"), (2.5, "2.5"), ("2", "2"), (True, "true"), ("True", "true"), ("False", "false")],
)
def test_a_category_is_the_same_whatever_a_client_writes_it_as(written, category):
    assert cells.read("category", written) == category


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("number", "old", "must be a number, got 'old'"),
        ("number", "1_000", "must be a number, got '1_000'"),
        ("number", "inf", "must be a number, got 'inf'"),
        ("number", 1e101, r"must be a number, got 1e\+101"),
        ("number", 10**400, "must be a number, got 1000"),
        ("number", True, "must be a number, got true"),
        ("number", [1], r"must be a number, got \[1\]"),
        ("integer", "2.5", "must be a whole number, got '2.5'"),
        ("integer", "two", "must be a whole number, got 'two'"),
        ("category", {"sex": "M"}, 'must be a text, a number or a truth value, got {"sex": "M"}'),
    ],
)
def test_refuses_when_a_value_is_of_another_type(kind, given, message):
    with pytest.raises(Unfit, match=message):
        cells.read(kind, given)


def test_a_long_value_is_quoted_in_part():
    with pytest.raises(Unfit) as refusal:
        cells.read("number", "x" * 1000)

    assert len(str(refusal.value)) < 100
