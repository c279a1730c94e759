"""Schedule expressions: when ``at``, ``rate`` and ``cron`` are due."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["Expression", "ExpressionError", "read_expression"]

_FORM = re.compile(r"(?P<kind>at|rate|cron)\((?P<inner>.*)\)")
_RATE = re.compile(r"(?P<count>[1-9]\d*) (?P<unit>minute|hour|day)s?")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    *(("minutes", 0, 59), ("hours", 0, 23), ("day-of-month", 1, 31), ("month", 1, 12)),
    *(("day-of-week", 1, 7), ("year", 1970, 2199)),
)
_FARTHEST_DAYS = 366 * 5


class ExpressionError(Exception):
    """An expression that cannot be read, in one line."""


class Expression(Protocol):
    """When a schedule is due."""

    def next_after(self, after: datetime, began: datetime) -> datetime | None:
        """The first time at which it is due after another; None if it never is again.

        Args:
            after: In UTC.
            began: When the schedule was created, or the start that it was given.
        """


@dataclass(frozen=True)
class _At:
    when: datetime

    def next_after(self, after: datetime, began: datetime) -> datetime | None:
        return self.when if self.when > after else None


@dataclass(frozen=True)
class _Rate:
    every: timedelta

    def next_after(self, after: datetime, began: datetime) -> datetime | None:
        # "If you don't provide a start date, the schedule starts invoking the target immediately."
        return began if after < began else began + ((after - began) // self.every + 1) * self.every


@dataclass(frozen=True)
class _Cron:
    fields: tuple[frozenset[int], ...]
    zone: tzinfo

    def next_after(self, after: datetime, began: datetime) -> datetime | None:
        earliest = max(after, began - timedelta(microseconds=1))
        first = earliest.astimezone(self.zone).date()
        days = (first + timedelta(days=number) for number in range(_FARTHEST_DAYS))
        times = (when for day in days if self._falls_on(day) for when in self._times(day))
        return next((when for when in times if when > earliest), None)

    def _falls_on(self, day: date) -> bool:
        _, _, of_month, months, of_week, years = self.fields
        weekday = day.isoweekday() % 7 + 1
        return day.day in of_month and day.month in months and weekday in of_week and day.year in years

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in sorted(self.fields[1]):
            for minute in sorted(self.fields[0]):
                yield datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone).astimezone(UTC)


def read_expression(text: str, zone: str = "UTC") -> Expression:
    """Read an expression.

    Args:
        text: Such as ``cron(0 * ? * * *)``, ``rate(1 hour)`` or ``at(2022-11-20T13:00:00)``.
        zone: The time zone in which ``at`` and ``cron`` are meant.

    Raises:
        ExpressionError: naming what cannot be read.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ExpressionError(f"the schedule '{text}' must be at(...), rate(...) or cron(...)")
    try:
        place: tzinfo = UTC if zone == "UTC" else ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ExpressionError(f"there is no time zone '{zone}'") from None
    inner = found["inner"].strip()
    if found["kind"] == "at":
        return _at(text, inner, place)
    return _rate(text, inner) if found["kind"] == "rate" else _cron(text, inner, place)


def _at(text: str, inner: str, zone: tzinfo) -> Expression:
    try:
        return _At(datetime.strptime(inner, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).astimezone(UTC))
    except ValueError:
        raise ExpressionError(f"the schedule '{text}' must be at(yyyy-mm-ddThh:mm:ss)") from None


def _rate(text: str, inner: str) -> Expression:
    found = _RATE.fullmatch(inner)
    if found is None:
        raise ExpressionError(f"the schedule '{text}' must be rate(<number> minutes, hours or days)")
    return _Rate(timedelta(**{f"{found['unit']}s": int(found["count"])}))


def _cron(text: str, inner: str, zone: tzinfo) -> Expression:
    given = inner.upper().split()
    if len(given) != len(_FIELDS):
        raise ExpressionError(f"the schedule '{text}' must have six fields, from minutes to year, got {len(given)}")
    if (given[2] == "?") == (given[4] == "?"):
        raise ExpressionError(f"the schedule '{text}' must have a '?' as day-of-month or day-of-week, and only one")
    fields = (_field(value, *field) for value, field in zip(given, _FIELDS, strict=True))
    return _Cron(tuple(fields), zone)


def _field(text: str, name: str, least: int, most: int) -> frozenset[int]:
    if text in ("*", "?"):
        return frozenset(range(least, most + 1))
    return frozenset(number for item in text.split(",") for number in _item(item, name, least, most))


def _item(item: str, name: str, least: int, most: int) -> range:
    start, slash, step = item.partition("/")
    low, dash, high = start.partition("-")
    try:
        first = least if low == "*" else _number(low, name)
        last = _number(high, name) if dash else (most if slash or low == "*" else first)
        every = int(step) if slash else 1
    except ValueError:
        raise ExpressionError(f"the rehearsal does not know '{item}' as the {name} of a cron expression") from None
    if not (least <= first <= last <= most and every >= 1):
        raise ExpressionError(f"'{item}' is not within {least}-{most}, which is the {name} of a cron expression")
    return range(first, last + 1, every)


def _number(text: str, name: str) -> int:
    names = {"month": _MONTHS, "day-of-week": _DAYS}.get(name, ())
    return names.index(text) + 1 if text in names else int(text)
