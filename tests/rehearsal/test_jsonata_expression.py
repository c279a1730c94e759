"""JSONata as Step Functions has it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdk_ml_release.rehearsal.cloud import hours
from cdk_ml_release.rehearsal.cloud.automation.jsonata_expression import QueryError, evaluate

STATES = {"input": {"name": "storm", "none": None, "waves": [{"m": 1}, {"m": 5}]}}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("plain", "plain"),
        ({"a": ["{% $states.input.name %}", 7]}, {"a": ["storm", 7]}),
        ("{% $states.input.waves[m > 3].m %}", 5),
        ("{% $count($states.input.waves[m > 9]) %}", 0),
        ("{% $height + 1 %}", 3),
        ("{% $states.input.none %}", None),
        ("{% {'a': null, 'b': [1, 2]} %}", {"a": None, "b": [1, 2]}),
        ("{% $exists($states.input.sea) %}", False),
        ("{% $hash('a', 'MD5') %}", "0cc175b9c0f1b6a831c399e269772661"),
        ("{% $parse('{\"a\": [null, 1]}').a[1] %}", 1),
        ("{% $partition([1, 2, 3], 2) %}", [[1, 2], [3]]),
        ("{% $range(0, 10, 5) %}", [0, 5, 10]),
        ("{% $random(3) = $random(3) %}", True),
        ("{% $length($uuid()) %}", 36),
        ("{% $toMillis('2026-11-28T05:00:00.123Z') %}", 1795842000123),
    ],
)
def test_an_expression_has_its_value(value, found):
    assert evaluate(value, STATES, {"height": 2.0}) == found


def test_now_is_the_rehearsals_time():
    before = evaluate("{% [$millis(), $toMillis($now())] %}", {}, {})
    hours.pass_until(hours.now() + timedelta(hours=1))
    try:
        after = evaluate("{% [$millis(), $toMillis($now())] %}", {}, {})
    finally:
        hours.reset()

    assert all(3_600_000 <= late - early < 3_630_000 for early, late in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("{% $states.input.sea %}", r"'{% \$states.input.sea %}' returned nothing \(undefined\)"),
        ("{% name %}", "returned nothing"),
        ("{% $count( %}", "cannot be read"),
        ("{% $unheard() %}", "fails"),
        ("{% $eval('1') %}", r"has no \$eval"),
        ("{% $parse('{') %}", "fails"),
        ("{% $sum %}", "gives a function"),
        ("{% $hash('a', 'ROT13') %}", "fails"),
    ],
)
def test_refuses_what_has_no_value(expression, reason):
    with pytest.raises(QueryError, match=reason):
        evaluate(expression, STATES, {})
