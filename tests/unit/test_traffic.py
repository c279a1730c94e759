"""TrafficShift: how requests move to a new version."""

import pytest
from aws_cdk import Duration

from cdk_ml_release import TrafficShift


def policy(shift):
    """The policy, and what of it routes the traffic."""
    (made,) = shift.policy.values()
    return made, made.get("TrafficRoutingConfiguration")


def test_all_at_once_keeps_the_old_fleet_for_ten_minutes():
    made, routing = policy(TrafficShift.all_at_once())

    assert routing["Type"] == "ALL_AT_ONCE"
    assert made["TerminationWaitInSeconds"] == 600


def test_a_canary_is_one_instance_unless_a_share_is_asked_for():
    assert policy(TrafficShift.canary())[1]["CanarySize"] == {"Type": "INSTANCE_COUNT", "Value": 1}
    assert policy(TrafficShift.canary(percent=25))[1]["CanarySize"] == {"Type": "CAPACITY_PERCENT", "Value": 25}


def test_a_canary_bakes_before_and_after_the_rest_follows():
    made, routing = policy(TrafficShift.canary(bake_time=Duration.minutes(20)))

    assert (routing["WaitIntervalInSeconds"], made["TerminationWaitInSeconds"]) == (1200, 1200)


def test_linear_moves_in_equal_steps():
    made, routing = policy(TrafficShift.linear(percent=20, interval=Duration.minutes(5)))

    assert routing["LinearStepSize"] == {"Type": "CAPACITY_PERCENT", "Value": 20}
    assert (routing["WaitIntervalInSeconds"], made["TerminationWaitInSeconds"]) == (300, 300)


def test_rolling_replaces_batches():
    (made,) = TrafficShift.rolling(batch_percent=25, interval=Duration.minutes(5)).policy.values()

    assert made["MaximumBatchSize"] == {"Type": "CAPACITY_PERCENT", "Value": 25}
    assert made["WaitIntervalInSeconds"] == 300


@pytest.mark.parametrize(
    ("shift", "waits"),
    [
        (TrafficShift.all_at_once(), 600),
        (TrafficShift.canary(bake_time=Duration.hours(1)), 7200),
        (TrafficShift.linear(percent=10, interval=Duration.minutes(30)), 18_000),
        (TrafficShift.rolling(batch_percent=5, interval=Duration.minutes(20)), 24_000),
    ],
    ids=lambda value: getattr(value, "description", None),
)
def test_an_update_has_time_for_its_waits_and_more(shift, waits):
    limit = policy(shift)[0]["MaximumExecutionTimeoutInSeconds"]

    assert waits < limit <= 28_800


def test_where_there_are_others_a_canary_goes_first():
    assert TrafficShift.default(3).description == "canary 1 instance, bake 10 min"
    assert TrafficShift.default(1).description == "all at once, bake 10 min"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrafficShift.canary(percent=60), "'percent' must be a whole number from 1 to 50, got 60"),
        (lambda: TrafficShift.linear(percent=5), "'percent' must be a whole number from 10 to 50, got 5"),
        (lambda: TrafficShift.rolling(batch_percent=51), "'batch_percent' must be a whole number from 5 to 50, got 51"),
        (
            lambda: TrafficShift.canary(bake_time=Duration.hours(2)),
            "'bake_time' must be from 1 to 3600 seconds, got 7200",
        ),
        (
            lambda: TrafficShift.linear(percent=10, interval=Duration.hours(1)),
            "the waits of 'traffic' must be at most 27000 seconds in sum, got 36000: SageMaker ends an update",
        ),
    ],
)
def test_refuses_what_sagemaker_would_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shift", [TrafficShift.canary(), TrafficShift.linear(percent=50)])
def test_refuses_to_divide_one_instance(shift):
    with pytest.raises(ValueError, match="needs at least 2 instances to divide, got 1; raise 'instance_count', or use"):
        shift.check(1)
