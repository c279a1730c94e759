"""Probabilities, held against simulations and against tables of others."""

import random
from collections import Counter

import pytest

from cdk_ml_release.drift import chance


def test_equal_samples_are_as_likely_as_anything():
    assert chance.two_samples({"a": 50, "b": 50}, {"a": 500, "b": 500}) == pytest.approx(1)


def test_two_samples_are_tested_as_pearson_does():
    from scipy.stats import chi2_contingency

    one, other = {"a": 90, "b": 40, "c": 30}, {"a": 60, "b": 50, "c": 40}
    expected = chi2_contingency([list(one.values()), list(other.values())], correction=False).pvalue

    assert chance.two_samples(one, other) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 10}, {"a": 20}), ({"a": 100, "b": 1}, {"a": 100}), ({"a": 1}, {"b": 1}), ({"a": 2}, {"c": 1})],
)
def test_too_few_to_tell_is_no_difference(one, other):
    assert chance.two_samples(one, other) > 0.3


def test_rare_categories_are_tested_exactly():
    # Fisher's exact test of a table with two rows is the same test.
    assert chance.two_samples({"a": 3, "b": 0}, {"a": 0, "b": 3}) == pytest.approx(0.1, abs=0.02)


def test_a_rare_category_that_is_new_is_a_difference_however_large_the_baseline_is():
    assert chance.two_samples({"a": 6000, "b": 4000}, {"a": 114, "b": 76, "new": 10}) < 0.001


def test_identifiers_that_never_come_again_are_no_difference():
    one = {f"order {number}": 1 for number in range(5000)}
    other = {f"order {number}": 1 for number in range(5000, 8000)}

    assert chance.two_samples(one, other) > 0.05


def test_the_same_samples_have_the_same_probability():
    one, other = {"a": 50, "b": 3}, {"a": 40, "c": 4}

    assert chance.two_samples(one, other) == chance.two_samples(one, other)


def test_a_new_category_that_is_not_rare_is_a_difference():
    assert chance.two_samples({"a": 300, "b": 300}, {"a": 140, "b": 140, "new": 20}) < 0.001


@pytest.mark.parametrize("sizes", [(800, 100), (200, 2000), (30, 50)])
def test_the_test_of_two_samples_is_wrong_as_often_as_it_says(sizes):
    draw = random.Random(f"categories of {sizes}")
    weights = (40, 30, 20, 5, 3, 1, 0.5, 0.3, 0.2)

    def sample(size):
        return Counter(draw.choices("abcdefghi", weights, k=size))

    p_values = [chance.two_samples(sample(sizes[0]), sample(sizes[1])) for _ in range(2000)]

    for limit in (0.01, 0.05):
        share = sum(each < limit for each in p_values) / 2000
        assert share <= limit + 3 * (limit * (1 - limit) / 2000) ** 0.5


@pytest.mark.parametrize(
    ("outside", "values", "earlier", "probability"),
    [
        (0, 10, 10, 1.0),
        (1, 1, 1, 1.0),
        # Of ten values, each is as likely the smallest or the largest.
        (1, 1, 9, 0.2),
        # Of the six pairs that two of four values are, three leave nothing outside between them.
        (2, 2, 2, 0.5),
        (100, 100, 100_000, 0.0),
    ],
)
def test_how_many_values_are_outside_an_earlier_range_by_chance(outside, values, earlier, probability):
    assert chance.outside_range(outside, values, earlier) == pytest.approx(probability)


def test_values_outside_an_earlier_range_are_as_likely_as_a_simulation_says():
    draw = random.Random("range")
    outside = 0
    for _ in range(2000):
        earlier = [draw.random() for _ in range(50)]
        later = [draw.random() for _ in range(100)]
        outside += sum(not min(earlier) <= value <= max(earlier) for value in later) >= 10

    assert outside / 2000 == pytest.approx(chance.outside_range(10, 100, 50), abs=0.02)


def test_the_probability_of_values_outside_a_range_is_found_for_a_million_of_them():
    assert chance.outside_range(2000, 1_000_000, 1000) == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize(
    ("missing", "values", "share", "earlier", "likely"),
    [(50, 1000, 0.05, 800, True), (60, 1000, 0.05, 800, True), (120, 1000, 0.05, 800, False), (1, 100, 0.0, 10, True)],
)
def test_a_few_more_missing_values_are_chance_and_many_are_not(missing, values, share, earlier, likely):
    assert (chance.missing_more(missing, values, share, earlier) >= 0.001) is likely
