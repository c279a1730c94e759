"""One alarm of CloudWatch: the state that it is in, and what of it was told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .alarm_values import Watched
from .hours import now


@dataclass(frozen=True)
class Window:
    """What the alarms of an endpoint look at while it is updated, and from then on.

    Attributes:
        since: The moment of the rehearsal's monotonic clock from which on values count.
        passed: How much declared time they stand for, in seconds. An alarm goes off only once that is as long
            as all the periods that have to breach.
    """

    since: float = 0.0
    passed: float = math.inf


@dataclass
class Alarm:
    """An alarm and the state that it is in."""

    parameters: Mapping[str, Any]
    watched: Watched | None
    """None for a composite alarm, which watches alarms."""
    state: str = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    updated: datetime = field(default_factory=now)
    told: tuple[str, str, datetime] | None = None
    """The state that was told last, its reason and its time."""

    def __post_init__(self) -> None:
        """Begin with nothing to tell."""
        self.told = self.told or (self.state, self.reason, self.updated)

    def change(self, state: str, reason: str) -> None:
        """Go into a state."""
        if state != self.state:
            self.updated = now()
        self.state, self.reason = state, reason

    def keep(self, earlier: Alarm) -> None:
        """Stay in the state of an alarm that this one replaces."""
        self.state, self.reason, self.updated, self.told = earlier.state, earlier.reason, earlier.updated, earlier.told


@dataclass(frozen=True, kw_only=True)
class Change:
    """An alarm that is in another state than the one that was told last.

    Attributes:
        arn: The alarm's.
        parameters: Those with which it was put.
        endpoint: The endpoint among its dimensions; empty if there is none.
        before: State, reason and time as they were told last.
        after: State, reason and time of now.
    """

    arn: str
    parameters: Mapping[str, Any]
    endpoint: str
    before: tuple[str, str, datetime]
    after: tuple[str, str, datetime]

    @property
    def name(self) -> str:
        """The alarm's name."""
        name: str = self.parameters["AlarmName"]
        return name

    @property
    def state(self) -> str:
        """The state that it has gone into."""
        return self.after[0]
