"""The axis of time that the pictures share: seconds since the rehearsal began, as percent of its width."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
_MOST_TICKS = 6


@dataclass(frozen=True)
class Axis:
    """From 0 to a last second."""

    seconds: float

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Axis:
        """The axis on which everything of a report has its place."""
        ends = [each["at"] + each["seconds"] for each in content["executions"]]
        ends += [each["at"] + second["at"] + 1 for each in content["releases"] for second in each["seconds"]]
        ends += [each["seconds"] for each in content["log"]]
        return cls(max(ends, default=1.0) or 1.0)

    def percent(self, second: float) -> float:
        """Where a second is."""
        return round(min(max(100 * second / self.seconds, 0.0), 100.0), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """A few round places and their labels."""
        step = next((each for each in _STEPS if self.seconds / each <= _MOST_TICKS), _STEPS[-1])
        return [(self.percent(step * each), clock(step * each)) for each in range(math.floor(self.seconds / step) + 1)]


def clock(second: float) -> str:
    """A second of the rehearsal as a clock shows it, such as ``1:05``."""
    minutes, rest = divmod(int(second), 60)
    return f"{minutes}:{rest:02}"
