"""The declared columns, and bodies read by them."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime.schema import Schema

ANIMAL = Schema(
    features={"sex": "category", "length": "number", "rings": "integer"}, prediction="age", label="true_age"
)
ONE = Schema(features={"length": "number"})

NUMBER = st.none() | st.floats(-1e6, 1e6, allow_nan=False)
WORD = st.none() | st.text("abcMF é,\"'", min_size=1, max_size=5).filter(lambda word: word.strip() == word)
RING = st.none() | st.integers(0, 99)
TABLE = st.lists(st.tuples(WORD, NUMBER, RING), min_size=1, max_size=5)


def written(rows, header=None):
    """Rows as Python's CSV writer has them."""
    text = io.StringIO()
    csv.writer(text).writerows([*([header] if header else []), *rows])
    return text.getvalue()


def values(rows):
    """The rows that fit, in order."""
    return list(rows.fitting.values())


def misfits(rows):
    """The others, in words."""
    return [str(misfit) for misfit in rows.misfits]


# --- the declaration


def test_a_schema_survives_the_trip_through_its_file_in_its_order():
    stored = Schema.from_json(ANIMAL.to_json())

    assert stored == ANIMAL
    assert list(stored.features) == ["sex", "length", "rings"]


def test_a_schema_keeps_nothing_that_a_caller_can_change():
    features = {"length": "number"}
    schema = Schema(features=features)

    features["rings"] = "integer"

    assert list(schema.features) == ["length"]
    with pytest.raises(TypeError):
        schema.features["rings"] = "integer"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": {}}, "'features' must name at least one column, got none; write"),
        ({"features": {"": "number"}}, "'features' must be named by 1 to 64 letters, .* got ''; CSV goes by position"),
        ({"features": {"a" * 65: "number"}}, "'features' must be named by 1 to 64 letters"),
        ({"features": {"a b": "number"}}, "got 'a b'"),
        ({"features": {"a=b": "number"}}, "got 'a=b'"),
        ({"features": {"größe": "number"}}, "got 'größe'"),
        ({"features": {3: "number"}}, "'features' must be named .* got 3"),
        (
            {"features": {"a": "text"}},
            r"features\['a'\] must be 'number', 'integer' or 'category', got 'text'; a truth",
        ),
        ({"features": {"a": "number"}, "prediction_type": "float"}, "'prediction_type' must be .* got 'float'"),
        ({"features": {"a": "number"}, "prediction": "a"}, "'prediction' must not be the name of a feature, got 'a'"),
        ({"features": {"a": "number"}, "label": "a"}, "'label' must not be the name of a feature, got 'a'"),
        ({"features": {"a": "number"}, "label": "prediction"}, "'label' must not be the name of the prediction"),
        ({"features": {"a": "number"}, "prediction": "a\n"}, "'prediction' must be named"),
    ],
)
def test_fails_when_a_name_or_a_type_is_not_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        Schema(**arguments)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"features": [{"name": "a"}], "prediction": {"name": "p", "type": "number"}, "label": "l"}',
        '{"features": [1], "prediction": {"name": "p", "type": "number"}, "label": "l"}',
        '{"features": [{"name": "a", "type": "number"}, {"name": "a", "type": "number"}], '
        '"prediction": {"name": "p", "type": "number"}, "label": "l"}',
    ],
)
def test_refuses_when_a_stored_schema_is_damaged(stored):
    with pytest.raises(ValueError):
        Schema.from_json(stored)


# --- requests


@given(TABLE)
def test_what_is_written_as_csv_is_read_again(table):
    rows = ANIMAL.read(written(table), "CSV")

    assert (values(rows), rows.misfits, rows.count) == (table, [], len(table))


@given(TABLE, st.permutations(["sex", "length", "rings"]))
def test_a_header_gives_the_order_of_the_columns(table, order):
    shuffled = [[row[list(ANIMAL.features).index(name)] for name in order] for row in table]

    rows = ANIMAL.read(written(shuffled, header=order), "CSV")

    assert (values(rows), rows.count) == (table, len(table))


@given(TABLE)
def test_every_form_of_json_is_the_same_table(table):
    lists = [list(row) for row in table]
    objects = [dict(zip(ANIMAL.features, row, strict=True)) for row in table]
    instances = [{"features": row} for row in lists]

    bodies = [json.dumps(each) for each in (lists, objects, {"instances": lists}, {"instances": instances})]
    bodies += ["\n".join(json.dumps(row) for row in rows) for rows in (lists, objects, instances)]

    assert [values(ANIMAL.read(body, "JSON")) for body in bodies] == [table] * len(bodies)


@pytest.mark.parametrize("body", ['{"length": 1.5, "rings": 3, "sex": "M"}', '["M", 1.5, 3]', '["M", "1.5", "3"]'])
def test_one_row_of_json_needs_no_list_around_it(body):
    assert values(ANIMAL.read(body, "JSON")) == [("M", 1.5, 3)]


@pytest.mark.parametrize("body", ["[1, 2]", "[[1], [2]]", '{"instances": [1, 2]}', "1\n2"])
def test_a_model_of_one_column_is_asked_with_plain_values(body):
    assert values(ONE.read(body, "JSON")) == [(1,), (2,)]


@given(st.text() | st.lists(st.text("M,1.5\n\"'{}[]:", max_size=20)).map("".join), st.sampled_from(["CSV", "JSON"]))
def test_every_row_of_any_text_either_fits_or_is_told(body, encoding):
    for schema in (ANIMAL, ONE):
        rows = schema.read(body, encoding)

        assert rows.count == len(rows.fitting) + len(rows.misfits) >= 1
        assert all(len(row) == len(schema.features) for row in rows.fitting.values())
        assert {misfit.row - 1 for misfit in rows.misfits} == set(range(rows.count)) - rows.fitting.keys()


@pytest.mark.parametrize(
    ("body", "encoding", "message"),
    [
        ("M,1.5,3,7", "CSV", "row 1: has 4 columns instead of 3: sex, length, rings"),
        ("M,1.5", "CSV", "row 1: has 2 columns instead of 3: sex, length, rings"),
        ("M,long,3", "CSV", "row 1: column 'length' must be a number, got 'long'"),
        ("1.5,M,3", "CSV", "row 1: column 'length' must be a number, got 'M'"),
        ("M,1.5,2.5", "CSV", "row 1: column 'rings' must be a whole number, got '2.5'"),
        ("", "CSV", "row 1: is missing: the body holds no row"),
        ("length,sex,rings", "CSV", "row 1: is missing: the body holds no row"),
        ("length,sex,rings\n1.5,M", "CSV", "row 1: has 2 columns instead of 3: sex, length, rings"),
        ("length,sex,rings\nM,1.5,3", "CSV", "row 1: column 'length' must be a number, got 'M'"),
        ('["M", 1.5]', "JSON", "row 1: has 2 columns instead of 3: sex, length, rings"),
        ('{"sex": "M", "length": 1.5}', "JSON", "row 1: column 'rings' is missing"),
        ('{"sex": "M"}', "JSON", "row 1: lacks the columns length, rings"),
        (
            '{"sex": "M", "length": 1, "rings": 3, "id": 7}',
            "JSON",
            "row 1: has columns that the schema does not know: id",
        ),
        ('{"sex": "M", "length": [1], "rings": 3}', "JSON", "row 1: column 'length' must be a number, got [1]"),
        ('"M"', "JSON", 'row 1: must be a list or an object of 3 columns, got "M"'),
        ("M,1.5,3", "JSON", "row 1: is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "JSON", "row 1: has 0 columns instead of 3: sex, length, rings"),
    ],
)
def test_a_row_that_does_not_fit_is_told_with_the_column_to_blame(body, encoding, message):
    rows = ANIMAL.read(body, encoding)

    assert (misfits(rows), rows.fitting) == ([message], {})


def test_a_misfit_leaves_the_other_rows_where_they_are():
    rows = ANIMAL.read("M,1.5,3\nF,2.5\nI,3.5,9\n", "CSV")

    assert rows.fitting == {0: ("M", 1.5, 3), 2: ("I", 3.5, 9)}
    assert misfits(rows) == ["row 2: has 2 columns instead of 3: sex, length, rings"]


def test_a_misfit_with_very_many_columns_is_told_in_few_words():
    wide = Schema(features={f"column_{number}": "number" for number in range(1000)})

    (told,) = misfits(wide.read('{"a": 1}', "JSON"))

    assert told == "row 1: lacks the columns column_0, column_1, column_2, column_3, column_4 and 995 more"


# --- answers


@given(st.lists(NUMBER.filter(lambda number: number is not None), min_size=1, max_size=5))
def test_every_form_of_an_answer_holds_the_same_predictions(ages):
    named = [{"age": age} for age in ages]
    bodies = [
        json.dumps(each)
        for each in (
            ages,
            {"predictions": ages},
            {"age": ages},
            [[age] for age in ages],
            [ages],
            {"predictions": [{"score": age} for age in ages]},
            [{"age": age, "spread": 1} for age in ages],
            {"predictions": [{"age": age, "spread": 1} for age in ages]},
        )
    ]
    bodies.append("\n".join(json.dumps(each) for each in named))

    found = [values(ANIMAL.read_output(body, "JSON", len(ages))) for body in bodies]
    found += [values(ANIMAL.read_output(text.join(map(repr, ages)), "CSV", len(ages))) for text in ("\n", ",")]
    found.append(values(ANIMAL.read_output("age,spread\n" + "".join(f"{age!r},1\n" for age in ages), "CSV", len(ages))))

    assert found == [[(age,) for age in ages]] * len(found)


def test_predictions_belong_to_the_rows_in_their_order():
    rows = ANIMAL.read_output("1.5\nold\n3.5", "CSV", 3)

    assert rows.fitting == {0: (1.5,), 2: (3.5,)}
    assert misfits(rows) == ["row 2: column 'age' must be a number, got 'old'"]


@pytest.mark.parametrize(
    ("body", "encoding", "message"),
    [
        ("1\n2\n3", "CSV", "column 'age' must have 2 values, one for each row of the request, got 3"),
        ("1", "CSV", "column 'age' must have 2 values, one for each row of the request, got 1"),
        ("[1]", "JSON", "column 'age' must have 2 values, one for each row of the request, got 1"),
        ("", "JSON", "column 'age' is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("", "CSV", "column 'age' must have 2 values, one for each row of the request, got 0"),
        ("[[1, 2], [3, 4]]", "JSON", "column 'age' must be one value or stand under that name, got [1, 2]"),
        ('[{"a": 1, "b": 2}, {}]', "JSON", "column 'age' must be one value or stand under that name, got {\"a\": 1"),
    ],
)
def test_refuses_to_guess_which_prediction_belongs_to_which_row(body, encoding, message):
    rows = ANIMAL.read_output(body, encoding, 2)

    assert rows.fitting == {}
    assert str(rows.misfits[0]).startswith(f"row 1: {message}")
    assert len(rows.misfits) == 2


@given(st.text() | st.lists(st.text('a1.5\n,"{}[]:', max_size=20)).map("".join), st.sampled_from(["CSV", "JSON"]))
def test_every_prediction_of_any_answer_either_fits_or_is_told(body, encoding):
    rows = ANIMAL.read_output(body, encoding, 3)

    assert len(rows.fitting) + len(rows.misfits) == rows.count == 3
