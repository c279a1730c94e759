"""TrafficShift: how requests move from the version in service to the next one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration

from .jobs import check_whole_number, whole_seconds

# Source: botocore's model of DeploymentConfig. What SageMaker needs besides the waits is a guess: two fleets take
# some minutes to start.
_LONGEST_WAIT = 3600
_SHORTEST_EXECUTION, _LONGEST_EXECUTION = 600, 28_800
_STARTING_SECONDS = 1800
_BAKE = 600


@dataclass(frozen=True, kw_only=True)
class TrafficShift:
    """A way to update an endpoint, with the old fleet at hand until the last wait is over.

    Made by :meth:`all_at_once`, :meth:`canary`, :meth:`linear` or :meth:`rolling`. During every wait, an alarm of the
    release takes all requests back to the old fleet.

    Attributes:
        description: The policy in words.
        needs_instances: How many instances the endpoint must have at least.
        blue_green: Whether a second fleet is started beside the old one, rather than one batch after another.
        policy: CloudFormation's ``BlueGreenUpdatePolicy`` or ``RollingUpdatePolicy``.
    """

    description: str
    needs_instances: int
    blue_green: bool
    policy: dict[str, Any]

    @classmethod
    def all_at_once(cls, *, bake_time: Duration | None = None) -> TrafficShift:
        """Move all requests when the new fleet is healthy, and keep the old one for a while.

        Args:
            bake_time: How long the old fleet stays at hand; an hour at most. Default: 10 minutes.

        Raises:
            ValueError: if the time is longer than SageMaker allows.
        """
        wait = _wait("bake_time", bake_time)
        return cls._blue_green(
            {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}, 0, wait, f"all at once, bake {_said(wait)}"
        )

    @classmethod
    def canary(cls, *, percent: int | None = None, bake_time: Duration | None = None) -> TrafficShift:
        """Move a part of the requests, wait, move the rest, and keep the old fleet for as long again.

        Args:
            percent: The part of the capacity that is the canary, from 1 to 50. Default: one instance.
            bake_time: How long each wait is; an hour at most. Default: 10 minutes.

        Raises:
            ValueError: if a number or the time is outside SageMaker's limits.
        """
        wait = _wait("bake_time", bake_time)
        if percent is None:
            size, said = {"Type": "INSTANCE_COUNT", "Value": 1}, "1 instance"
        else:
            check_whole_number("percent", percent, at_least=1, at_most=50)
            size, said = {"Type": "CAPACITY_PERCENT", "Value": percent}, f"{percent} %"
        routing = {"Type": "CANARY", "WaitIntervalInSeconds": wait, "CanarySize": size}
        return cls._blue_green(routing, wait, wait, f"canary {said}, bake {_said(wait)}")

    @classmethod
    def linear(cls, *, percent: int, interval: Duration | None = None) -> TrafficShift:
        """Move the requests in equal steps.

        Args:
            percent: The part of the capacity that each step moves, from 10 to 50.
            interval: How long each step, and the last wait, is; an hour at most. Default: 10 minutes.

        Raises:
            ValueError: if a number or the time is outside SageMaker's limits.
        """
        check_whole_number("percent", percent, at_least=10, at_most=50)
        wait = _wait("interval", interval)
        size = {"Type": "CAPACITY_PERCENT", "Value": percent}
        routing = {"Type": "LINEAR", "WaitIntervalInSeconds": wait, "LinearStepSize": size}
        steps = math.ceil(100 / percent) - 1
        return cls._blue_green(routing, steps * wait, wait, f"linear {percent} % every {_said(wait)}")

    @classmethod
    def rolling(cls, *, batch_percent: int, interval: Duration | None = None) -> TrafficShift:
        """Replace the instances batch by batch, which needs less capacity than a second fleet.

        Args:
            batch_percent: The part of the capacity that is replaced at a time, from 5 to 50.
            interval: How long SageMaker watches each batch; an hour at most. Default: 10 minutes.

        Raises:
            ValueError: if a number or the time is outside SageMaker's limits.
        """
        check_whole_number("batch_percent", batch_percent, at_least=5, at_most=50)
        wait = _wait("interval", interval)
        policy = {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": batch_percent},
            "WaitIntervalInSeconds": wait,
            "MaximumExecutionTimeoutInSeconds": _execution(math.ceil(100 / batch_percent) * wait),
        }
        said = f"rolling {batch_percent} % every {_said(wait)}"
        return cls(description=said, needs_instances=2, blue_green=False, policy={"RollingUpdatePolicy": policy})

    @classmethod
    def default(cls, instance_count: int) -> TrafficShift:
        """A canary of one instance where there are others, else all at once."""
        return cls.canary() if instance_count > 1 else cls.all_at_once()

    @classmethod
    def _blue_green(cls, routing: dict[str, Any], shifting: int, termination: int, said: str) -> TrafficShift:
        policy = {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": termination,
            "MaximumExecutionTimeoutInSeconds": _execution(shifting + termination),
        }
        needs = 1 if routing["Type"] == "ALL_AT_ONCE" else 2
        return cls(description=said, needs_instances=needs, blue_green=True, policy={"BlueGreenUpdatePolicy": policy})

    def check(self, instance_count: int) -> None:
        """Refuse a policy for which there are too few instances.

        Raises:
            ValueError: if the endpoint has fewer instances than the policy can divide.
        """
        if instance_count < self.needs_instances:
            raise ValueError(
                f"'traffic' ({self.description}) needs at least {self.needs_instances} instances to divide, got "
                f"{instance_count}; raise 'instance_count', or use TrafficShift.all_at_once()"
            )


def _wait(argument: str, chosen: Duration | None) -> int:
    return whole_seconds(argument, chosen, _BAKE, at_most=_LONGEST_WAIT)


def _execution(waits: int) -> int:
    """How long an update may take in all, in seconds."""
    if waits + _STARTING_SECONDS > _LONGEST_EXECUTION:
        raise ValueError(
            f"the waits of 'traffic' must be at most {_LONGEST_EXECUTION - _STARTING_SECONDS} seconds in sum, got "
            f"{waits}: SageMaker ends an update after 8 hours; use fewer steps or shorter waits"
        )
    return max(_SHORTEST_EXECUTION, waits + _STARTING_SECONDS)


def _said(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
