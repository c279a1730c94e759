"""How the options of a release go together: its defaults, and what cannot be combined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .auto_rollback import AutoRollback
from .hosting import Asynchronous, Hosting, Serverless
from .jobs import check_whole_number
from .scaling import Scaling
from .traffic import TrafficShift


@dataclass(frozen=True, kw_only=True)
class ReleasePlan:
    """The options of a release, none of them open.

    Attributes:
        traffic: How requests move; None for a serverless endpoint, which has no fleets.
        auto_rollback: What an update is taken back for; None where nothing can be taken back.
        capture_percentage: The share of requests and answers that is kept.
    """

    traffic: TrafficShift | None
    auto_rollback: AutoRollback | None
    capture_percentage: int


def release_plan(
    hosting: Hosting,
    *,
    traffic: TrafficShift | None,
    auto_rollback: AutoRollback | None,
    scaling: Scaling | None,
    capture_percentage: int | None,
    isolated: bool,
) -> ReleasePlan:
    """Fill in the defaults of a hosting, and refuse what it cannot do.

    Args:
        hosting: How the model is served.
        traffic: How requests move to a new version, if chosen.
        auto_rollback: What an update is taken back for, if chosen.
        scaling: How the number of instances follows the traffic, if at all.
        capture_percentage: The share of requests that is captured, if chosen.
        isolated: Whether there is a network of the user's own, or none at all.

    Raises:
        ValueError: if two options cannot be combined.
    """
    if capture_percentage is not None:
        check_whole_number("capture_percentage", capture_percentage, at_least=0, at_most=100)
    if isinstance(hosting, Serverless):
        _check_serverless(traffic, auto_rollback, scaling, capture_percentage, isolated)
        return ReleasePlan(traffic=None, auto_rollback=None, capture_percentage=0)
    asynchronous = isinstance(hosting, Asynchronous)
    if asynchronous and capture_percentage:
        raise _contradiction(
            "capture_percentage",
            capture_percentage,
            "asynchronous hosting, whose inputs and outputs are objects in S3 already",
        )
    if scaling is not None:
        scaling.check(lowest=hosting.lowest_capacity, instance_count=hosting.instance_count, metrics=hosting.metrics)
    # What is always there counts, for an update may come when the endpoint is scaled in; an update of none is one of
    # all at once.
    fewest = max(1, hosting.instance_count if scaling is None else scaling.fewest)
    if traffic is None:
        traffic = TrafficShift.default(fewest)
    traffic.check(fewest)
    limits = auto_rollback if auto_rollback is not None else AutoRollback()
    if asynchronous and auto_rollback is None:
        # A request may well take an hour.
        limits = replace(limits, max_p99_latency_ms=None)
    default_capture = 0 if asynchronous else 100
    return ReleasePlan(
        traffic=traffic,
        auto_rollback=limits,
        capture_percentage=default_capture if capture_percentage is None else capture_percentage,
    )


def _check_serverless(
    traffic: TrafficShift | None,
    auto_rollback: AutoRollback | None,
    scaling: Scaling | None,
    capture_percentage: int | None,
    isolated: bool,
) -> None:
    # Source: the SageMaker guide on serverless inference, its list of what it excludes.
    if capture_percentage:
        raise _contradiction("capture_percentage", capture_percentage, "serverless hosting, which captures nothing")
    if isolated:
        raise _contradiction(
            "vpc' or 'network_isolation", True, "serverless hosting, which runs in SageMaker's own network"
        )
    if scaling is not None:
        raise _contradiction(
            "scaling", scaling.metric, "serverless hosting, whose capacity comes with the requests: see max_concurrency"
        )
    if traffic is not None:
        raise _contradiction("traffic", traffic.description, "serverless hosting, which has no fleets to shift between")
    if auto_rollback is not None:
        raise _contradiction("auto_rollback", auto_rollback, "serverless hosting: SageMaker takes no such update back")


def _contradiction(argument: str, value: Any, hosting: str) -> ValueError:
    return ValueError(f"'{argument}' cannot be used with {hosting}, got {value!r}; leave it out or host in real time")
