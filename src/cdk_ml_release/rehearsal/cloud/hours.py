"""The hours of a rehearsal: the machine's time, and what was let pass beside it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

__all__ = ["begin_at_half_past", "moment", "moment_of", "now", "pass_until", "reset", "stamp", "timestamp"]


class _Ahead:
    """How far the rehearsal is ahead of the machine. There is one rehearsal in a process at a time, as with moto."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.lock = threading.Lock()


_AHEAD = _Ahead()


def now() -> datetime:
    """The rehearsal's time in UTC."""
    return datetime.now(UTC) + timedelta(seconds=_AHEAD.seconds)


def moment() -> float:
    """The rehearsal's monotonic clock, in seconds."""
    return time.monotonic() + _AHEAD.seconds


def moment_of(when: datetime) -> float:
    """A time on the rehearsal's monotonic clock."""
    return moment() - (now() - when).total_seconds()


def pass_until(when: datetime) -> None:
    """Let the rehearsal's time be ``when``, unless it is later already: it never goes back."""
    with _AHEAD.lock:
        _AHEAD.seconds += max(0.0, (when - now()).total_seconds())


def begin_at_half_past() -> None:
    """Go on to the next half past an hour: what is done at the beginning then lies within one hour, not across two."""
    at = now()
    this = at.replace(minute=30, second=0, microsecond=0)
    pass_until(this if at <= this else this + timedelta(hours=1))


def reset() -> None:
    """Begin another rehearsal, at the machine's time."""
    _AHEAD.seconds = 0.0


def timestamp(when: datetime) -> float:
    """A time as the JSON protocol writes it."""
    return when.timestamp()


def stamp(when: datetime) -> str:
    """A time as events and arguments spell it, such as ``2022-03-22T18:59:43Z``."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
