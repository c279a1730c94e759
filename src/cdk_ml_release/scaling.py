"""Scaling: how many instances an endpoint has, as its traffic asks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from .jobs import check_whole_number

_EXPRESSION = re.compile(r"(cron|rate|at)\(.+\)")
_METRICS = {
    # Source: botocore, application-autoscaling, MetricType.
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}


@dataclass(frozen=True, kw_only=True)
class ScheduledCapacity:
    """Limits that hold from a time on.

    Attributes:
        schedule: ``cron(...)``, ``rate(...)`` or ``at(...)``, as Application Auto Scaling reads it.
        minimum: The fewest instances from then on.
        maximum: The most instances from then on.
        timezone: An IANA name such as ``Europe/Berlin``.
    """

    schedule: str
    minimum: int
    maximum: int
    timezone: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How the number of instances follows the traffic; made by :meth:`on_invocations` or :meth:`on_concurrency`.

    A release keeps the number that the endpoint has grown to.

    Attributes:
        minimum: The fewest instances.
        maximum: The most instances.
        metric: What is kept at ``target``.
        target: Requests per instance: in a minute, or at one time.
        schedules: Limits that hold from certain times on.
    """

    minimum: int
    maximum: int
    metric: Literal["invocations", "concurrency", "backlog"]
    target: float
    schedules: tuple[ScheduledCapacity, ...] = ()

    def __post_init__(self) -> None:
        """Refuse limits that contradict each other.

        Raises:
            ValueError: if a number is out of range, or the maximum is below the minimum.
        """
        _check_limits(self.minimum, self.maximum)
        right = isinstance(self.target, int | float) and not isinstance(self.target, bool)
        if not right or not 0 < self.target < float("inf"):
            raise ValueError(
                f"the target of 'scaling' must be a number above 0 that is known at synthesis, got {self.target!r}; "
                "give the requests that one instance bears"
            )

    @classmethod
    def on_invocations(cls, *, minimum: int, maximum: int, per_instance_per_minute: float) -> Scaling:
        """Keep the requests per instance and minute near a number that one instance bears well.

        Raises:
            ValueError: if a number is out of range.
        """
        return cls(minimum=minimum, maximum=maximum, metric="invocations", target=per_instance_per_minute)

    @classmethod
    def on_concurrency(cls, *, minimum: int, maximum: int, per_instance: float) -> Scaling:
        """Keep the requests that an instance answers at one time near a number; reacts within seconds.

        Raises:
            ValueError: if a number is out of range.
        """
        return cls(minimum=minimum, maximum=maximum, metric="concurrency", target=per_instance)

    @classmethod
    def on_backlog(cls, *, maximum: int, per_instance: float, minimum: int = 0) -> Scaling:
        """Keep the waiting requests of an asynchronous endpoint near a number per instance; none when idle.

        Raises:
            ValueError: if a number is out of range.
        """
        return cls(minimum=minimum, maximum=maximum, metric="backlog", target=per_instance)

    def at(self, schedule: str, *, minimum: int, maximum: int, timezone: str = "UTC") -> Scaling:
        """The same, with other limits from a time on.

        Args:
            schedule: ``cron(...)``, ``rate(...)`` or ``at(...)``.
            minimum: The fewest instances from then on.
            maximum: The most instances from then on.
            timezone: An IANA name such as ``Europe/Berlin``.

        Raises:
            ValueError: if the expression cannot be one, or a number is out of range.
        """
        if not _EXPRESSION.fullmatch(schedule):
            raise ValueError(
                f"'schedule' must be cron(...), rate(...) or at(...), got {schedule!r}; "
                "for every morning at six use 'cron(0 6 * * ? *)'"
            )
        _check_limits(minimum, maximum)
        added = ScheduledCapacity(schedule=schedule, minimum=minimum, maximum=maximum, timezone=timezone)
        return replace(self, schedules=(*self.schedules, added))

    @property
    def fewest(self) -> int:
        """The fewest instances that there may be at any time."""
        return min(self.minimum, *(each.minimum for each in self.schedules)) if self.schedules else self.minimum

    def check(self, *, lowest: int, instance_count: int, metrics: Sequence[str]) -> None:
        """Refuse what the hosting cannot do.

        Raises:
            ValueError: if the metric or the minimum does not fit, or the endpoint would start outside the limits.
        """
        if self.metric not in metrics:
            raise ValueError(
                f"'scaling' on {self.metric} cannot be used with this hosting, which knows {' and '.join(metrics)}; "
                "use another of Scaling's methods"
            )
        if self.fewest < lowest:
            raise ValueError(
                f"'minimum' of 'scaling' must be at least {lowest}, got {self.fewest}; only an asynchronous endpoint "
                "can do without instances"
            )
        if not self.minimum <= instance_count <= self.maximum:
            raise ValueError(
                f"'instance_count' ({instance_count}) must be within the limits of 'scaling', {self.minimum} to "
                f"{self.maximum}; change the one or the other"
            )

    def target_tracking(self, endpoint_name: str) -> dict[str, Any]:
        """The configuration of the policy that follows the metric."""
        if self.metric == "backlog":
            # Source: the SageMaker guide on scaling an asynchronous endpoint.
            watched: dict[str, Any] = {
                "CustomizedMetricSpecification": {
                    "Namespace": "AWS/SageMaker",
                    "MetricName": "ApproximateBacklogSizePerInstance",
                    "Dimensions": [{"Name": "EndpointName", "Value": endpoint_name}],
                    "Statistic": "Average",
                }
            }
        else:
            watched = {"PredefinedMetricSpecification": {"PredefinedMetricType": _METRICS[self.metric]}}
        return {"TargetValue": self.target, **watched}


def _check_limits(minimum: int, maximum: int) -> None:
    check_whole_number("minimum", minimum, at_least=0)
    check_whole_number("maximum", maximum, at_least=1)
    if maximum < minimum:
        raise ValueError(f"'maximum' must not be below 'minimum' ({minimum}), got {maximum}; exchange them")
