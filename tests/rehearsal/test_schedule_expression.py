"""Schedule expressions: when they are due, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdk_ml_release.rehearsal.cloud.automation.schedule_expression import ExpressionError, read_expression

# A Saturday.
NOW = datetime(2026, 11, 28, 4, 50, 10, tzinfo=UTC)
CREATED = NOW - timedelta(hours=1)


def due(expression, zone="UTC", count=1, after=NOW):
    found = []
    for _ in range(count):
        after = read_expression(expression, zone).next_after(after, CREATED)
        found.append(after.strftime("%d %H:%M") if after else None)
        if after is None:
            break
    return found


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("cron(20 * * * ? *)", ["28 05:20", "28 06:20"]),
        ("cron(0/20 * * * ? *)", ["28 05:00", "28 05:20", "28 05:40"]),
        ("cron(20 0/6 * * ? *)", ["28 06:20", "28 12:20"]),
        ("cron(5,50 4-5 * * ? *)", ["28 05:05", "28 05:50", "29 04:05"]),
        ("cron(0 12 ? * MON-FRI *)", ["30 12:00", "01 12:00"]),
        ("cron(0 12 ? * 1 *)", ["29 12:00", "06 12:00"]),
        ("cron(0 0 29 FEB ? *)", ["29 00:00"]),
        ("cron(0 0 1 1 ? 2020)", [None]),
        ("rate(1 hour)", ["28 05:50", "28 06:50"]),
        ("rate(90 minutes)", ["28 05:20", "28 06:50"]),
        ("at(2026-11-28T05:00:00)", ["28 05:00", None]),
        ("at(2026-11-28T04:00:00)", [None]),
    ],
)
def test_an_expression_is_due_at_its_times(expression, times):

    assert due(expression, count=len(times)) == times


def test_a_rate_is_due_at_once_when_its_schedule_begins():
    before = CREATED - timedelta(seconds=1)

    assert due("rate(1 day)", after=before, count=2) == ["28 03:50", "29 03:50"]


def test_a_time_is_meant_in_its_zone():
    assert due("cron(0 9 * * ? *)", zone="Europe/Berlin") == ["28 08:00"]
    assert due("at(2026-11-28T09:00:00)", zone="Asia/Tokyo") == [None]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("hourly", r"must be at\(...\), rate\(...\) or cron\(...\)"),
        ("rate(0 hours)", "must be rate"),
        ("rate(1 week)", "must be rate"),
        ("at(tomorrow)", "must be at"),
        ("cron(0 * * * ?)", "six fields, from minutes to year, got 5"),
        ("cron(0 * * * * *)", "must have a '\\?' as day-of-month or day-of-week, and only one"),
        ("cron(60 * * * ? *)", "'60' is not within 0-59, which is the minutes"),
        ("cron(0 0 L * ? *)", "does not know 'L' as the day-of-month"),
        ("cron(0 0 ? * 2#1 *)", "does not know '2#1' as the day-of-week"),
    ],
)
def test_refuses_what_is_no_expression(expression, reason):
    with pytest.raises(ExpressionError, match=reason):
        read_expression(expression)


def test_refuses_a_time_zone_that_is_nowhere():
    with pytest.raises(ExpressionError, match="no time zone 'Mars/Olympus'"):
        read_expression("rate(1 hour)", "Mars/Olympus")
