"""Deployment: an update policy of SageMaker, read: which share of the traffic moves when, and what stops it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .gateway import ApiError


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How an endpoint is updated.

    Attributes:
        counts: How many instances of the new fleet take part, shift by shift; the last one is all of them.
        wait_seconds: The declared wait between two shifts.
        bakes_last: Whether there is such a wait after the last shift, too.
        termination_seconds: The declared wait before the old fleet is stopped.
        rolling: Whether the old fleet gives up its instances shift by shift.
        alarms: The names of the alarms that take the update back.
        words: The policy in words.
    """

    counts: tuple[int, ...]
    wait_seconds: int = 0
    bakes_last: bool = False
    termination_seconds: int = 0
    rolling: bool = False
    alarms: tuple[str, ...] = ()
    words: str = "all at once"

    def share(self, count: int) -> float:
        """The share of requests that so many of the new instances get."""
        return count / self.counts[-1] if count else 1.0


def read_deployment(config: Mapping[str, Any], instances: int) -> Deployment:
    """Read ``DeploymentConfig`` for a new fleet of so many instances.

    Raises:
        ApiError: ``ValidationException``, where SageMaker would not take it.
    """
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise _invalid("only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be used")
    alarms = tuple(each["AlarmName"] for each in config.get("AutoRollbackConfiguration", {}).get("Alarms", ()))
    if not instances:
        # An endpoint that is scaled to zero has nothing to divide.
        return Deployment(counts=(0,), alarms=alarms)
    if rolling:
        return _rolling(rolling, instances, alarms)
    if blue_green:
        return _blue_green(blue_green, instances, alarms)
    return Deployment(counts=(instances,), alarms=alarms)


def check_change(old: Mapping[str, Any], new: Mapping[str, Any], config: Mapping[str, Any], *, scaled: bool) -> None:
    """Refuse what SageMaker does not change.

    Args:
        old: The variant in service.
        new: The variant that is wanted.
        config: ``DeploymentConfig``.
        scaled: Whether the old variant is registered as a scalable target.

    Raises:
        ApiError: ``ValidationException``.
    """
    if "ServerlessConfig" in new:
        if "ServerlessConfig" not in old:
            raise ApiError("ValidationException", "an endpoint on instances cannot be updated to a serverless one")
        routing = config.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
        if "RollingUpdatePolicy" in config or routing.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
            raise _invalid("serverless endpoints are updated all at once")
    before, after = old["VariantName"], new["VariantName"]
    if scaled and (before != after or old.get("InstanceType") != new.get("InstanceType")):
        raise ApiError(
            "ValidationException",
            f'The variant(s) "[{before}]" must be deregistered as a scalable target with AWS Auto Scaling before they '
            "can be removed or have their instance type updated.",
        )
    if before != after and config:
        raise _invalid(f"the variant must keep its name '{before}', got '{after}'")


def _blue_green(policy: Mapping[str, Any], instances: int, alarms: tuple[str, ...]) -> Deployment:
    routing = policy["TrafficRoutingConfiguration"]
    kind, wait = routing["Type"], _wait(routing, "WaitIntervalInSeconds")
    counts: tuple[int, ...] = (instances,)
    words = "all at once"
    if kind == "CANARY":
        first = _part(routing, "CanarySize", instances, 1, 50)
        counts, words = (first, instances), f"canary {_percent(first, instances)}"
    elif kind == "LINEAR":
        step = _part(routing, "LinearStepSize", instances, 10, 50)
        counts, words = _steps(step, instances), f"linear {_percent(step, instances)}"
    elif kind != "ALL_AT_ONCE":
        raise _invalid(f"'{kind}' is not a type of traffic routing: ALL_AT_ONCE, CANARY or LINEAR")
    termination = _wait(policy, "TerminationWaitInSeconds")
    # The API says "between incremental steps"; all at once has a single one, and its wait is the bake after it.
    waits = max(1, len(counts) - 1) * wait + termination
    _check_timeout(policy, waits)
    return Deployment(
        counts=counts,
        wait_seconds=wait,
        bakes_last=kind == "ALL_AT_ONCE",
        termination_seconds=termination,
        alarms=alarms,
        words=f"{words}{_bake(wait)}" + (f", old fleet kept {_time(termination)}" if termination else ""),
    )


def _rolling(policy: Mapping[str, Any], instances: int, alarms: tuple[str, ...]) -> Deployment:
    batch, wait = _part(policy, "MaximumBatchSize", instances, 5, 50), _wait(policy, "WaitIntervalInSeconds")
    counts = _steps(batch, instances)
    _check_timeout(policy, len(counts) * wait)
    words = f"rolling {_percent(batch, instances)}{_bake(wait)}"
    return Deployment(counts=counts, wait_seconds=wait, bakes_last=True, rolling=True, alarms=alarms, words=words)


def _part(policy: Mapping[str, Any], name: str, instances: int, lowest: int, highest: int) -> int:
    """How many instances a size stands for: whole ones, at least one."""
    if name not in policy:
        raise _invalid(f"{name} is missing")
    size = policy[name]
    value = int(size["Value"])
    percent = value if size["Type"] == "CAPACITY_PERCENT" else 100 * value / instances
    if value < 1 or percent > highest or (size["Type"] == "CAPACITY_PERCENT" and percent < lowest):
        raise _invalid(
            f"{name} must be {lowest} to {highest} % of the capacity ({instances} instances), "
            f"got {value} {size['Type']}"
        )
    if instances < 2:
        raise _invalid(f"{name} needs a fleet that can be divided, got 1 instance")
    return max(1, instances * value // 100) if size["Type"] == "CAPACITY_PERCENT" else value


def _steps(step: int, instances: int) -> tuple[int, ...]:
    return (*range(step, instances, step), instances)


def _wait(policy: Mapping[str, Any], name: str) -> int:
    seconds = int(policy.get(name, 0))
    if not 0 <= seconds <= 3600:
        raise _invalid(f"{name} must be 0 to 3600, got {seconds}")
    return seconds


def _check_timeout(policy: Mapping[str, Any], waits: int) -> None:
    if "MaximumExecutionTimeoutInSeconds" not in policy:
        return
    longest = int(policy["MaximumExecutionTimeoutInSeconds"])
    if not 600 <= longest <= 28_800:
        raise _invalid(f"MaximumExecutionTimeoutInSeconds must be 600 to 28800, got {longest}")
    if longest <= waits:
        raise _invalid(f"MaximumExecutionTimeoutInSeconds ({longest}) must be larger than all waits ({waits})")


def _invalid(why: str) -> ApiError:
    return ApiError("ValidationException", f"DeploymentConfig: {why}")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %"


def _bake(seconds: int) -> str:
    return f", bake {_time(seconds)}" if seconds else ""


def _time(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
