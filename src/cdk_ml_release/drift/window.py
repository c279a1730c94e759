"""The hours that are compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..runtime.contract import StageFailed

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Window:
    """From ``start`` on, up to but not including ``end``, both in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def scheduled(cls, time: str, every_hours: int) -> Window:
        """The hours that ended with the last full hour before a schedule's time.

        Raises:
            StageFailed: if it is not a time.
        """
        end = moment(time).replace(minute=0, second=0, microsecond=0)
        return cls(start=end - timedelta(hours=every_hours), end=end)

    @classmethod
    def between(cls, start: str, end: str) -> Window:
        """The time between two times.

        Raises:
            StageFailed: if one of them is not a time, or the end is not after the start.
        """
        window = cls(start=moment(start), end=moment(end))
        if window.end <= window.start:
            raise StageFailed(f"the window must end after it starts, got {start} to {end}: give --start before --end")
        return window

    @property
    def label(self) -> str:
        """What the window's results are stored under."""
        return self.start.strftime("%Y-%m-%dT%H-%MZ")

    @property
    def hours(self) -> list[datetime]:
        """The full hours that the window touches."""
        hour, found = self.start.replace(minute=0, second=0, microsecond=0), []
        while hour < self.end:
            found.append(hour)
            hour += _HOUR
        return found

    @property
    def days(self) -> Iterator[str]:
        """The days that the window touches, as capture folders have them."""
        yield from dict.fromkeys(hour.strftime("%Y/%m/%d") for hour in self.hours)

    def reaching_back(self, days: int) -> Window:
        """This window, with as many days before it."""
        return Window(start=self.start - timedelta(days=days), end=self.end)

    def before(self, days: int) -> Window:
        """As many days before this window."""
        return Window(start=self.start - timedelta(days=days), end=self.start)

    def holds(self, time: datetime | None) -> bool:
        """Whether a time is in the window; one that is not known may be."""
        return time is None or self.start <= time < self.end

    def __str__(self) -> str:
        form = "%Y-%m-%d %H:%M"
        return f"{self.start.strftime(form)} to {self.end.strftime(form)} UTC"


def moment(text: str) -> datetime:
    """A time as ISO 8601 has it; without an offset it is UTC.

    Raises:
        StageFailed: if it is not one.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise StageFailed(f"'{text}' is not a time: write it like 2026-01-31T13:00:00Z") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def hour_of(name: str) -> datetime | None:
    """The hour in the name of a file that lies in ``.../yyyy/mm/dd/hh/``; None if it lies elsewhere."""
    try:
        year, month, day, hour = (int(part) for part in name.split("/")[-5:-1])
        return datetime(year, month, day, hour, tzinfo=UTC)
    except ValueError:
        return None
