"""The rehearsal's clock: how long a declared wait takes, and when enough was seen in it to judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Moment:
    """A moment within a declared wait.

    Attributes:
        passed: How much of the wait is over, in declared seconds.
        telling: Whether what was seen so far is enough to judge by. The last moment always is.
    """

    passed: float
    telling: bool


@dataclass(frozen=True)
class Seen:
    """How many requests arrived since a wait began, and how many of them the new fleet answered."""

    arrived: int
    by_new_fleet: int


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Declared waits, compressed.

    Attributes:
        minute_seconds: How long a declared minute takes.
        shortest_seconds: How long a declared wait takes at least.
        longest_seconds: How long it takes at most, waiting for requests included.
        requests: So many requests the new fleet has to answer before its traffic is judged, and before a wait
            ends in which there is traffic; unless the longest time is over first.
    """

    minute_seconds: float = 0.2
    shortest_seconds: float = 0.5
    longest_seconds: float = 8.0
    requests: int = 20

    def seconds(self, declared: float) -> float:
        """How long a declared wait takes, in seconds."""
        if not declared:
            return 0.0
        return min(max(declared / 60 * self.minute_seconds, self.shortest_seconds), self.longest_seconds)

    def wait(self, declared: float, seen: Callable[[], Seen]) -> Iterator[Moment]:
        """Let a declared wait pass, moment by moment; a wait of 0 has one moment."""
        started, seconds = time.monotonic(), self.seconds(declared)
        while True:
            waited = time.monotonic() - started
            so_far = seen()
            enough = so_far.by_new_fleet >= self.requests
            if waited >= seconds and (enough or not so_far.arrived or waited >= self.longest_seconds or not declared):
                yield Moment(declared, telling=True)
                return
            yield Moment(min(waited / seconds, 1.0) * declared if seconds else declared, telling=enough)
            time.sleep(_LOOK_SECONDS)
