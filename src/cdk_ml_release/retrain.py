"""Retrain: how an alarm of a monitor starts the next release, and what keeps it from starting too many."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration

from .jobs import check_whole_number, whole_seconds


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """Start the pipeline when drift or lost quality sets off an alarm.

    Never while an execution of the pipeline is in progress, and never twice for the same hour. Whoever comes too early
    waits, and starts if the alarm is still on by then.

    Attributes:
        cool_down: How long after a retraining that an alarm has started the next one may begin: 1 hour to 30 days.
            Default: one day.
        most_per_day: How many retrainings alarms may start within 24 hours.
    """

    cool_down: Duration | None = None
    most_per_day: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be a guard.

        Raises:
            ValueError: if the cool-down or the number is out of range.
        """
        check_whole_number("most_per_day", self.most_per_day, at_least=1, at_most=24)
        if self.cool_down_seconds < 3600:
            raise ValueError(
                f"'cool_down' must be at least an hour, got {self.cool_down_seconds} seconds; "
                "a retraining takes a while to show in what is monitored"
            )

    @property
    def cool_down_seconds(self) -> int:
        """The cool-down in seconds."""
        return whole_seconds("cool_down", self.cool_down, 24 * 3600, at_most=30 * 24 * 3600)
