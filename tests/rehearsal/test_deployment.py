"""Update policies, read; and what they stand for in numbers."""

from __future__ import annotations

import pytest

from cdk_ml_release.rehearsal.cloud.clock import Clock, Seen
from cdk_ml_release.rehearsal.cloud.deployment import read_deployment
from cdk_ml_release.rehearsal.cloud.gateway import ApiError


def _blue_green(kind, size=None, wait=300, termination=0, **more):
    name = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(kind)
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **({name: size} if size else {})}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": termination, **more}
    return {"BlueGreenUpdatePolicy": policy}


def _percent(value):
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def _count(value):
    return {"Type": "INSTANCE_COUNT", "Value": value}


def _rolling(size, wait=60):
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait}}


@pytest.mark.parametrize(
    ("config", "instances", "shares", "words"),
    [
        ({}, 1, [1.0], "all at once"),
        (_blue_green("CANARY", _count(1)), 0, [1.0], "all at once"),
        (_blue_green("ALL_AT_ONCE", wait=0, termination=90), 1, [1.0], "all at once, old fleet kept 90 s"),
        (_blue_green("CANARY", _percent(50)), 2, [0.5, 1.0], "canary 50 %, bake 5 min"),
        (_blue_green("CANARY", _count(1)), 4, [0.25, 1.0], "canary 25 %, bake 5 min"),
        # Whole instances, at least one and never more than asked.
        (_blue_green("CANARY", _percent(10)), 2, [0.5, 1.0], "canary 50 %, bake 5 min"),
        (_blue_green("CANARY", _percent(50)), 5, [0.4, 1.0], "canary 40 %, bake 5 min"),
        (_blue_green("LINEAR", _percent(30)), 10, [0.3, 0.6, 0.9, 1.0], "linear 30 %, bake 5 min"),
        (_rolling(_percent(50)), 4, [0.5, 1.0], "rolling 50 %, bake 1 min"),
        (_rolling(_count(1)), 3, [1 / 3, 2 / 3, 1.0], "rolling 33.3 %, bake 1 min"),
    ],
)
def test_a_policy_is_shares_and_words(config, instances, shares, words):
    deployment = read_deployment(config, instances)

    assert [deployment.share(count) for count in deployment.counts] == pytest.approx(shares)
    assert deployment.words == words


@pytest.mark.parametrize(
    ("config", "instances", "reason"),
    [
        (_blue_green("CANARY", _percent(60)), 4, "CanarySize must be 1 to 50 % of the capacity"),
        (_blue_green("CANARY", _count(3)), 4, "CanarySize must be 1 to 50 %"),
        (_blue_green("CANARY", _percent(50)), 1, "needs a fleet that can be divided, got 1 instance"),
        (_blue_green("CANARY"), 2, "CanarySize is missing"),
        (_blue_green("LINEAR", _percent(5)), 4, "LinearStepSize must be 10 to 50 %"),
        (_blue_green("SIDEWAYS"), 2, "'SIDEWAYS' is not a type of traffic routing"),
        (_blue_green("CANARY", _percent(50), wait=3601), 2, "WaitIntervalInSeconds must be 0 to 3600, got 3601"),
        (_blue_green("ALL_AT_ONCE", MaximumExecutionTimeoutInSeconds=60), 2, "must be 600 to 28800, got 60"),
        (_rolling(_percent(60)), 4, "MaximumBatchSize must be 5 to 50 %"),
        (_blue_green("ALL_AT_ONCE") | _rolling(_percent(50)), 4, "only one of"),
        (
            _blue_green("CANARY", _percent(50), termination=300, MaximumExecutionTimeoutInSeconds=600),
            2,
            r"MaximumExecutionTimeoutInSeconds \(600\) must be larger than all waits \(600\)",
        ),
    ],
)
def test_refuses_what_sagemaker_refuses(config, instances, reason):
    with pytest.raises(ApiError, match=reason) as refusal:
        read_deployment(config, instances)

    assert refusal.value.code == "ValidationException"


# --- the clock ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("declared", "seconds"), [(0, 0), (30, 0.5), (300, 1.0), (3600, 8.0)])
def test_a_declared_wait_is_compressed_and_bounded(declared, seconds):
    assert Clock().seconds(declared) == seconds


def test_a_wait_ends_when_its_time_is_over_and_enough_was_seen():
    answered = iter(range(1000))
    clock = Clock(minute_seconds=0.1, shortest_seconds=0.1, longest_seconds=5, requests=5)

    moments = list(clock.wait(60, lambda: Seen(100, next(answered))))

    assert moments[-1].telling
    assert moments[-1].passed == 60
    assert not moments[0].telling


def test_a_wait_without_traffic_waits_for_nobody():
    clock = Clock(minute_seconds=0.1, shortest_seconds=0.1, longest_seconds=60, requests=5)

    moments = list(clock.wait(60, lambda: Seen(0, 0)))

    assert len(moments) < 10


def test_a_wait_of_nothing_is_one_look():
    (moment,) = Clock().wait(0, lambda: Seen(3, 0))

    assert (moment.passed, moment.telling) == (0, True)
