"""Which test a column gets, what it finds, and how often it is wrong."""

import random

import numpy as np
import pandas as pd
import pytest

from cdk_ml_release.drift import drift_test, report
from cdk_ml_release.drift.comparison import compare
from cdk_ml_release.drift.drift_test import Judge
from cdk_ml_release.runtime.monitor_settings import MonitorSettings
from cdk_ml_release.runtime.schema import Schema

from .samples import table

SCHEMA = Schema(features={"sex": "category", "length": "number", "weight": "number", "rings": "integer"})
SETTINGS = MonitorSettings(endpoint_name="abalone", bucket="artifacts")
JUDGE = Judge(settings=SETTINGS, thresholds={})


def rows(count, seed, shift=0.0):
    """Rows of one distribution, the length moved by as many standard deviations."""
    chance = random.Random(seed)
    return [
        (
            chance.choices("MFIX", (50, 30, 19, 1))[0],
            chance.gauss(shift, 1),
            chance.lognormvariate(0, 0.5),
            chance.randint(1, 20),
            chance.gauss(10, 3),
        )
        for _ in range(count)
    ]


def compared(current, reference, judge=JUDGE, schema=SCHEMA):
    """What comes of a window."""
    return compare(table(schema, current), table(schema, reference), schema.prediction, judge)


def numbers(count):
    """A column of numbers."""
    return pd.Series(np.random.default_rng(0).normal(size=count))


def letters(count, of="MFI"):
    """A column of categories."""
    return pd.Series(np.random.default_rng(0).choice(list(of), count), dtype="object")


@pytest.mark.parametrize(
    ("reference", "current", "method"),
    [
        (800, 100, "ks"),
        (800, 1000, "ks"),
        # The smaller sample decides what a test can see.
        (800, 100_000, "ks"),
        (2000, 2000, "ks"),
        (2001, 2001, "wasserstein"),
        (5000, 100_000, "wasserstein"),
    ],
)
def test_a_number_is_tested_as_long_as_not_every_difference_is_significant(reference, current, method):
    assert JUDGE.choose("length", "number", numbers(reference), numbers(current))[0] == method


@pytest.mark.parametrize(
    ("categories", "size", "method"),
    [
        ("MFI", 1000, "chisquare_two_samples"),
        ("MFI", 3000, "jensenshannon"),
        # With many categories a distance needs more rows, before chance alone stays below its limit.
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop", 3000, "chisquare_two_samples"),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop", 6000, "jensenshannon"),
    ],
)
def test_a_category_is_tested_as_long_as_chance_reaches_the_distance(categories, size, method):
    assert JUDGE.choose("sex", "category", letters(size, categories), letters(size, categories))[0] == method


def test_a_column_with_a_limit_of_its_own_is_measured_by_distance_whatever_its_size():
    judge = Judge(settings=SETTINGS, thresholds={"length": 0.5, "sex": 0.2})

    assert judge.choose("length", "number", numbers(200), numbers(200)) == ("wasserstein", 0.5)
    assert judge.choose("sex", "category", letters(200), letters(200)) == ("jensenshannon", 0.2)


def test_a_column_of_very_small_numbers_is_measured_without_units():
    small = numbers(5000) / 1e6

    method, limit = JUDGE.choose("length", "number", small, small + 1e-6)

    assert method == "jensenshannon"
    assert drift_test.score(method, limit, "number", small, small + 1e-6).drifted


def test_a_column_without_values_is_not_compared():
    nothing = pd.Series([np.nan, np.nan])

    assert JUDGE.choose("length", "number", numbers(10), nothing) is None
    assert JUDGE.choose("length", "number", nothing, numbers(10)) is None


def test_missing_values_are_no_drift():
    reference, current = numbers(500), numbers(500)
    current[::2] = np.nan

    assert not drift_test.score("ks", 0.01, "number", reference, current).drifted


@pytest.mark.parametrize(
    ("method", "kind", "reference", "current", "drifted"),
    [
        ("ks", "number", numbers(500), numbers(500) + 0.01, False),
        ("ks", "number", numbers(500), numbers(500) + 0.5, True),
        ("wasserstein", "number", numbers(5000), numbers(5000) + 0.05, False),
        ("wasserstein", "number", numbers(5000), numbers(5000) + 0.15, True),
        ("chisquare_two_samples", "category", letters(500), letters(500), False),
        ("chisquare_two_samples", "category", letters(500), letters(500, "MMFI"), True),
        ("jensenshannon", "category", letters(5000), letters(5000), False),
        ("jensenshannon", "category", letters(5000), letters(5000, "MMMFI"), True),
        ("jensenshannon", "category", letters(5000), letters(5000, "MMMFFFIIIX"), True),
    ],
)
def test_a_shift_is_found_and_what_is_no_shift_is_not(method, kind, reference, current, drifted):
    limit = 0.01 if method in ("ks", "chisquare_two_samples") else 0.1

    found = drift_test.score(method, limit, kind, reference, current)

    assert found.drifted is drifted
    assert (found.score < limit) is (drifted if limit == 0.01 else not drifted)


@pytest.mark.parametrize("sizes", [(300, 800), (2500, 2500)])
def test_the_report_shows_the_scores_that_were_judged(sizes):
    current, reference = rows(sizes[0], "current", shift=0.5), rows(sizes[1], "reference")
    found = compared(current, reference)

    shown = report.snapshot(found, SCHEMA).dict()["metrics"]

    judged = {"prediction": found.prediction, **found.features}
    assert {each["config"]["column"]: float(each["value"]) for each in shown} == pytest.approx(
        {name: drift.score for name, drift in judged.items()}
    )
    assert {each["config"]["column"]: each["config"]["method"] for each in shown} == {
        name: drift.method for name, drift in judged.items()
    }


def alarms(sizes, *, of_one_baseline):
    """How many of 200 windows like their baseline have more drifted features than the limit, how many predictions."""
    shares, predictions = 0, 0
    for number in range(200):
        baseline = "baseline" if of_one_baseline else f"baseline {number}"
        found = compared(rows(sizes[1], f"window {number}"), rows(sizes[0], baseline))
        shares += found.drift_share > SETTINGS.drift_share
        predictions += found.prediction.drifted
    return shares, predictions


@pytest.mark.parametrize(
    ("sizes", "of_one_baseline"), [((400, 200), False), ((400, 200), True), ((300, 2000), False), ((100, 100), False)]
)
def test_windows_like_the_training_data_set_off_no_more_alarms_than_the_limits_promise(sizes, of_one_baseline):
    shares, predictions = alarms(sizes, of_one_baseline=of_one_baseline)

    # More than 30 % of four features are at least two. By Markov's inequality that happens, however the features
    # hang together, in at most 4 * 0.01 / 2 of the windows; a single column drifts in at most 0.01 of them.
    assert shares <= 200 * 4 * SETTINGS.alpha / 2
    # For a share of 0.01, more than 7 of 200 have a probability of 0.001.
    assert predictions <= 7
