"""AutoRollback: what SageMaker takes an update of an endpoint back for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_cloudwatch as cloudwatch

# Source: botocore, AutoRollbackConfig: 1 to 10 alarms, two of which are the library's own.
_MOST_ALARMS = 10


@dataclass(frozen=True, kw_only=True)
class AutoRollback:
    """Alarms on the new fleet: when one goes off during an update, the old fleet answers everything again.

    Attributes:
        max_5xx_percent: The share of requests that may fail with a 5xx, in percent of those of one minute; None for
            no such alarm.
        max_p99_latency_ms: The 99th percentile of the time that the container takes to answer, in milliseconds,
            over one minute; None for no such alarm.
        alarms: Alarms of your own, at most eight, in the account and region of the endpoint.
    """

    max_5xx_percent: float | None = 1.0
    max_p99_latency_ms: float | None = 1000.0
    alarms: Sequence[cloudwatch.IAlarm] = ()

    def __post_init__(self) -> None:
        """Refuse limits that no alarm could have.

        Raises:
            ValueError: if a limit is not a number in range, or there are more alarms than SageMaker allows.
        """
        _check_limit("max_5xx_percent", self.max_5xx_percent, at_most=100)
        _check_limit("max_p99_latency_ms", self.max_p99_latency_ms, at_most=None)
        count = len(self.alarms) + (self.max_5xx_percent is not None) + (self.max_p99_latency_ms is not None)
        if count > _MOST_ALARMS:
            raise ValueError(
                f"'alarms' must leave room within SageMaker's {_MOST_ALARMS} alarms, got {count} in all; combine some "
                "of them in a composite alarm"
            )


def _check_limit(argument: str, value: float | None, *, at_most: float | None) -> None:
    if value is None:
        return
    right = isinstance(value, int | float) and not isinstance(value, bool)
    # CDK writes what only the deployment knows as a number below all others.
    if not right or not 0 < value < float("inf") or (at_most is not None and value > at_most):
        rule = f"above 0 and at most {at_most:g}" if at_most is not None else "above 0"
        raise ValueError(
            f"'{argument}' must be a number {rule} known at synthesis, got {value!r}; use None for no such alarm"
        )
