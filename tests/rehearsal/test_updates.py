"""A release that cannot hurt: what an update of an endpoint does to the requests that it serves meanwhile."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.rehearsal.command import cache_folder
from cdk_ml_release.rehearsal.stacks.stacks import StackFailed

from .hall import ENDPOINT, VARIANT, alarm, canary, open_hall

ERRORS = {"Errors": alarm("Invocation5XXErrors", 0.01)}


@pytest.fixture
def hall(tmp_path):
    with open_hall(tmp_path, cache_folder()) as opened:
        yield opened


@pytest.fixture
def quiet_hall(tmp_path):
    """Nobody sends requests but the test."""
    with open_hall(tmp_path, cache_folder(), requests_per_second=0) as opened:
        yield opened


def _versions(step):
    return set(step["requests"]["by_version"])


def _went_back(hall):
    """Version 1 answers everything, under the configuration of before."""
    release = hall.last
    hall.rehearsal.endpoints.releases[-1].step(0.0)
    time.sleep(0.3)

    assert (release["from"], release["to"], release["outcome"]) == ("v1", "v2", "RolledBack")
    assert hall.described()["EndpointStatus"] == "InService"
    assert hall.described()["FailureReason"] == release["reason"]
    assert hall.answers() == {"v1"}
    after = hall.last["steps"][-1]
    assert _versions(after) == {"v1"}
    assert after["requests"]["failed"] == 0
    assert release["reason"] in hall.notes[-1]


# --- the traffic ----------------------------------------------------------------------------------


def test_a_good_version_takes_over_without_a_failed_request(hall):
    hall.release(hall.version("v1"))

    hall.release(hall.version("v2"))

    time.sleep(0.3)
    release = hall.last
    assert (release["from"], release["to"], release["outcome"]) == ("v1", "v2", "Succeeded")
    assert release["policy"] == "canary 50 %, bake 10 min, old fleet kept 10 min"
    assert release["requests"]["failed"] == 0
    before, shifting, after = release["steps"]
    assert [before["share"], shifting["share"], after["share"]] == [0.0, 0.5, 1.0]
    assert _versions(before) <= {"v1"}
    assert _versions(shifting) == {"v1", "v2"}
    assert _versions(after) == {"v2"}
    assert hall.answers() == {"v2"}
    (stream,) = hall.rehearsal.streams
    assert (stream.failed, stream.total > 100) == (0, True)


def test_requests_move_in_equal_steps(hall):
    routing = {"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 34}}
    linear = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing | {"WaitIntervalInSeconds": 60}}}
    hall.release(hall.version("v1"), instances=3)

    hall.release(hall.version("v2"), instances=3, deployment=linear)

    assert [step["share"] for step in hall.last["steps"]] == [0.0, 0.3333, 0.6667, 1.0]
    assert hall.last["policy"] == "linear 33.3 %, bake 1 min"
    assert hall.last["requests"]["failed"] == 0


def test_a_rolling_update_never_has_more_than_one_batch_too_many(hall):
    batch = {"Type": "CAPACITY_PERCENT", "Value": 50}
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 60}}
    hall.release(hall.version("v1"))

    hall.release(hall.version("v2"), deployment=rolling)

    assert [step["share"] for step in hall.last["steps"]] == [0.0, 0.5, 1.0]
    assert hall.last["requests"]["failed"] == 0
    assert hall.answers() == {"v2"}


def test_without_a_policy_all_requests_move_at_once(hall):
    hall.release(hall.version("v1"))

    hall.release(hall.version("v2"), deployment={})

    assert [step["share"] for step in hall.last["steps"]] == [0.0, 1.0]
    assert hall.last["policy"] == "all at once"
    assert hall.last["requests"]["failed"] == 0


# --- what takes an update back --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "watching", "reason"),
    [
        (
            "status = 500 if number % 10 == 0 else 200",
            alarm("Invocation5XXErrors", 0.01),
            "alarm hall-Invocation5XXErrors went to ALARM with 50 % of the requests on the new fleet",
        ),
        ("time.sleep(0.4)", alarm("ModelLatency", 200_000, statistic="p99"), "p99 of ModelLatency is"),
        ("os._exit(3) if number == 5 else None", alarm("Invocation5XXErrors", 0.01), "hall-Invocation5XXErrors"),
    ],
    ids=["fails", "slow", "crashes"],
)
def test_a_bad_version_is_taken_back_by_an_alarm(hall, act, watching, reason):
    hall.release(hall.version("v1"), resources={"Watching": watching})

    with pytest.raises(StackFailed, match=reason) as failure:
        hall.release(hall.version("v2", act), resources={"Watching": watching})

    assert "UPDATE_ROLLBACK_COMPLETE" in str(failure.value)
    _went_back(hall)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("sys.exit('no model here')", "no model here"),
        ("time.sleep(60)", "did not pass its health check"),
    ],
    ids=["exits", "hangs"],
)
def test_a_version_that_never_gets_healthy_gets_no_request(tmp_path, start, reason):
    with open_hall(tmp_path, cache_folder(), startup_seconds=3.0) as hall:
        hall.release(hall.version("v1"))

        with pytest.raises(StackFailed, match=reason):
            hall.release(hall.version("v2", start=start))

        _went_back(hall)
        assert set(hall.last["requests"]["by_version"]) == {"v1"}


def test_a_composite_alarm_takes_an_update_back_too(hall):
    rule = {"Fn::Sub": 'ALARM("${Errors}") OR ALARM("${Slow}")'}
    alarms = {
        **ERRORS,
        "Slow": alarm("ModelLatency", 5_000_000, statistic="p99"),
        "Either": {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmName": "either", "AlarmRule": rule}},
    }
    hall.release(hall.version("v1"), resources=alarms)

    with pytest.raises(StackFailed, match=r"alarm either went to ALARM .*hall-Invocation5XXErrors is ALARM"):
        hall.release(hall.version("v2", "status = 500"), resources=alarms, deployment=canary(alarms=("either",)))

    _went_back(hall)


def test_an_endpoint_on_its_way_back_says_so(hall):
    hall.release(hall.version("v1"), resources=ERRORS)
    seen, done = [], threading.Event()

    def look():
        while not done.is_set():
            seen.append(hall.described()["EndpointStatus"])

    looking = threading.Thread(target=look)
    second = hall.version("v2", "time.sleep(0.5); status = 500")
    looking.start()
    with pytest.raises(StackFailed):
        hall.release(second, resources=ERRORS)
    done.set()
    looking.join()

    assert [status for status, _ in itertools.groupby(seen)] == ["InService", "Updating", "RollingBack", "InService"]


def test_an_alarm_after_the_last_shift_still_brings_the_old_fleet_back(hall):
    at_once = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {"TrafficRoutingConfiguration": at_once, "TerminationWaitInSeconds": 600}
    rollback = {"Alarms": [{"AlarmName": "hall-Invocation5XXErrors"}]}
    deployment = {"BlueGreenUpdatePolicy": policy, "AutoRollbackConfiguration": rollback}
    hall.release(hall.version("v1"), resources=ERRORS, deployment=deployment)

    with pytest.raises(StackFailed, match="with 100 % of the requests on the new fleet"):
        hall.release(hall.version("v2", "status = 503"), resources=ERRORS, deployment=deployment)

    _went_back(hall)


def test_a_rolling_update_that_is_taken_back_has_all_its_instances_again(hall):
    batch = {"Type": "INSTANCE_COUNT", "Value": 1}
    rolling = {
        "RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 60},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "hall-Invocation5XXErrors"}]},
    }
    hall.release(hall.version("v1"), resources=ERRORS, deployment=rolling)

    late = "status = 500 if number > 40 else 200"
    with pytest.raises(StackFailed, match="with 100 % of the requests"):
        hall.release(hall.version("v2", late), resources=ERRORS, deployment=rolling)

    assert hall.described()["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    _went_back(hall)


def test_a_bake_that_is_shorter_than_the_alarm_needs_lets_a_bad_version_through(hall):
    slow = {"Errors": alarm("Invocation5XXErrors", 0.01, EvaluationPeriods=45)}
    hall.release(hall.version("v1"), resources=slow)

    hall.release(hall.version("v2", "status = 500"), resources=slow)

    assert hall.last["outcome"] == "Succeeded"
    assert hall.client("cloudwatch").describe_alarms()["MetricAlarms"][0]["StateValue"] == "ALARM"


def test_refuses_an_update_whose_alarm_does_not_exist(quiet_hall):
    quiet_hall.release(quiet_hall.version("v1"))

    with pytest.raises(StackFailed, match=r"Could not find CloudWatch alarm\(s\): nobody"):
        quiet_hall.release(quiet_hall.version("v2"), deployment=canary(alarms=("nobody",)))

    assert quiet_hall.answers() == {"v1"}


def test_an_update_ends_at_once_if_its_alarm_is_in_alarm_before(quiet_hall):
    quiet_hall.release(quiet_hall.version("v1"), resources=ERRORS)
    quiet_hall.client("cloudwatch").set_alarm_state(
        AlarmName="hall-Invocation5XXErrors", StateValue="ALARM", StateReason="a drill"
    )

    with pytest.raises(StackFailed, match="was in ALARM before the update began: Set: a drill"):
        quiet_hall.release(quiet_hall.version("v2"), resources=ERRORS)

    assert quiet_hall.answers() == {"v1"}


def test_the_next_version_is_not_blamed_for_the_last_one(hall):
    both = {"Errors": alarm("Invocation5XXErrors", 0.01)}
    del both["Errors"]["Properties"]["Dimensions"][2]
    hall.release(hall.version("v1"), resources=both)
    with pytest.raises(StackFailed):
        hall.release(hall.version("v2", "status = 500"), resources=both)

    hall.release(hall.version("v3"), resources=both)

    assert (hall.last["from"], hall.last["to"], hall.last["outcome"]) == ("v1", "v3", "Succeeded")


# --- the other ways to host -----------------------------------------------------------------------


def test_a_shadow_answers_copies_that_nobody_gets(hall):
    second = hall.version("v2", "status = 500")
    shadow = {"VariantName": "Shadow", "ModelName": {"Fn::GetAtt": ["ShadowModel", "ModelName"]}}
    shadow |= {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large", "InitialVariantWeight": "0.5"}
    hall.release(
        hall.version("v1"),
        resources={"ShadowModel": hall.model(second)},
        config={"ShadowProductionVariants": [shadow]},
        variant={"InitialVariantWeight": "1"},
    )

    time.sleep(1.0)
    served, copied = (
        hall.rehearsal.endpoints.metrics.values(
            "AWS/SageMaker", "Invocation5XXErrors", {"EndpointName": ENDPOINT, "VariantName": name}, 0
        )
        for name in (VARIANT, "Shadow")
    )
    assert hall.answers() == {"v1"}
    assert set(copied) == {1.0}
    assert set(served) == {0.0}
    assert 0.2 < len(copied) / len(served) < 0.8


def test_refuses_a_second_shadow(quiet_hall):
    sagemaker, first = quiet_hall.client("sagemaker"), quiet_hall.version("v1")
    sagemaker.create_model(
        ModelName="m",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/model",
        PrimaryContainer={"ModelPackageName": first},
    )
    variants = [{"VariantName": name, "ModelName": "m", "InstanceType": "ml.m5.large"} for name in "abc"]

    with pytest.raises(ClientError, match="at most one shadow variant is allowed, got 2"):
        sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=variants[:1], ShadowProductionVariants=variants[1:]
        )


SERVERLESS = {
    "InstanceType": None,
    "InitialInstanceCount": None,
    "ServerlessConfig": {"MemorySizeInMB": "2048", "MaxConcurrency": "5"},
}


def test_a_serverless_variant_serves_without_instances(quiet_hall):
    quiet_hall.release(quiet_hall.version("v1"), variant=SERVERLESS, deployment={})

    quiet_hall.release(quiet_hall.version("v2"), variant=SERVERLESS, deployment={})

    assert quiet_hall.answers() == {"v2"}
    (described,) = quiet_hall.described()["ProductionVariants"]
    assert described["CurrentServerlessConfig"]["MemorySizeInMB"] == 2048


CAPTURE = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://bucket/capture",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}
VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
ODD = {"MemorySizeInMB": 1500, "MaxConcurrency": 5}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"config": {"DataCaptureConfig": CAPTURE}}, "DataCaptureConfig is not supported for serverless endpoints"),
        ({"config": {"VpcConfig": VPC}}, "VpcConfig is not supported for serverless endpoints"),
        ({"variant": SERVERLESS | {"ServerlessConfig": ODD}}, "in steps of 1024, got 1500"),
    ],
)
def test_refuses_what_serverless_hosting_does_not_have(quiet_hall, changed, reason):
    with pytest.raises(StackFailed, match=reason):
        quiet_hall.release(quiet_hall.version("v1"), deployment={}, **{"variant": SERVERLESS, **changed})


def test_refuses_to_make_instances_serverless(quiet_hall):
    quiet_hall.release(quiet_hall.version("v1"), instances=1)

    with pytest.raises(StackFailed, match="an endpoint on instances cannot be updated to a serverless one"):
        quiet_hall.release(quiet_hall.version("v2"), variant=SERVERLESS, deployment={})


def test_refuses_a_role_that_may_not_see_the_alarms(quiet_hall):
    quiet_hall.role("deployer", "sagemaker:*", "iam:PassRole", "cloudwatch:PutMetricAlarm")
    quiet_hall.release(quiet_hall.version("v1"), resources=ERRORS)

    with pytest.raises(StackFailed, match=r"deployer is not allowed cloudwatch:DescribeAlarms on .*:alarm:hall-Inv"):
        quiet_hall.release(quiet_hall.version("v2"), resources=ERRORS, caller=quiet_hall.arn("deployer"))
