"""The endpoint's template as the constructs declare it, with what a release tells it, under real traffic."""

from __future__ import annotations

import json
import time

import pytest
from aws_cdk import Duration

from cdk_ml_release import AutoRollback, RealTime, Scaling, Serverless, Shadow, TrafficShift
from cdk_ml_release.endpoint_template import EndpointTemplate
from cdk_ml_release.rehearsal.command import cache_folder
from cdk_ml_release.rehearsal.stacks.stacks import StackFailed
from cdk_ml_release.runtime import aws, deploy, endpoint_stack
from cdk_ml_release.runtime.contract import StageFailed

from ..runtime.samples import MANIFEST
from .hall import ENDPOINT, VARIANT, open_hall

STACK = "hall-endpoint"
PACE = aws.Pace(first_seconds=0.05, limit_seconds=30.0)
SCALING = Scaling.on_invocations(minimum=2, maximum=4, per_instance_per_minute=600)
A_TENTH_FAILS = "status = 500 if number % 10 == 0 else 200"
SLOW = "__import__('time').sleep(0.3)"


@pytest.fixture
def hall(tmp_path):
    with open_hall(tmp_path, cache_folder()) as opened:
        yield opened


def declared(**options):
    """The template of an endpoint, with the defaults of a release."""
    hosting = options.pop("hosting", RealTime())
    serverless = isinstance(hosting, Serverless)
    defaults = {
        "endpoint_name": ENDPOINT,
        "hosting": hosting,
        "traffic": None if serverless else TrafficShift.default(hosting.instance_count),
        "auto_rollback": None if serverless else AutoRollback(),
        "scaling": None,
        "capture_percentage": 0,
        "encrypted": False,
        "subnets": 0,
        "network_isolation": False,
        "dashboard": True,
    }
    return EndpointTemplate(**(defaults | options)).render()


def release(hall, package, template):
    """Deploy a version as the pipeline does: Prepare, Shadow where there is one, Deploy."""
    cloudformation, text = hall.client("cloudformation"), json.dumps(template)
    stack = endpoint_stack.ready(cloudformation, STACK, PACE)
    endpoint_stack.check_change(stack, template)
    parameters = {"ModelPackageArn": package, "ModelRoleArn": hall.arn("model")}
    parameters["ReleaseName"] = deploy.release_name(ENDPOINT, MANIFEST.execution_id, text, parameters)
    stack = endpoint_stack.clear_scaling(cloudformation, stack, template, PACE)
    number = int(package.rpartition("/")[2])
    parameters |= endpoint_stack.release_parameters(stack, number, template["Parameters"])
    steps = [parameters]
    if "ShadowModelPackageArn" in template["Parameters"]:
        made = deploy.shadow(ENDPOINT, _manifest(package), stack, text, parameters)
        steps = [made["shadow"], made["configuration"]]
    for each in steps:
        hall.rehearsal.stacks.deploy(STACK, template, parameters=each, caller=None)


def _manifest(package):
    return type(MANIFEST)(**{**MANIFEST.__dict__, "model_package_arn": package})


def scaled_out(hall, count):
    """Let the endpoint grow to so many instances."""
    wanted = [{"VariantName": VARIANT, "DesiredInstanceCount": count}]
    sagemaker = hall.client("sagemaker")
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=ENDPOINT, DesiredWeightsAndCapacities=wanted)
    while sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] != "InService":
        time.sleep(0.05)


def instances(hall):
    (variant,) = hall.described()["ProductionVariants"]
    return variant["CurrentInstanceCount"]


def targets(hall):
    """What is registered to be scaled."""
    scaling = hall.client("application-autoscaling")
    return scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]


def test_a_good_version_comes_by_canary_and_is_taken_over_by_the_next(hall):
    template = declared()
    for name in ("v1", "v2", "v3"):
        release(hall, hall.version(name), template)

    assert hall.answers() == {"v3"}
    assert [each.outcome for each in hall.rehearsal.endpoints.releases] == ["Succeeded"] * 3
    (stream,) = hall.rehearsal.streams
    assert stream.failed == 0


@pytest.mark.parametrize(
    ("act", "limits", "alarm"),
    [
        (A_TENTH_FAILS, AutoRollback(), "FailedRequestsAlarm"),
        (SLOW, AutoRollback(max_p99_latency_ms=200), "SlowModelAlarm"),
    ],
    ids=["fails", "slow"],
)
def test_a_version_that_is_worse_is_taken_back_by_the_alarms_that_are_declared(hall, act, limits, alarm):
    template = declared(auto_rollback=limits)
    release(hall, hall.version("v1"), template)

    with pytest.raises(StackFailed, match=alarm):
        release(hall, hall.version("v2", act), template)

    assert hall.answers() == {"v1"}
    assert hall.last["outcome"] == "RolledBack"


def test_an_endpoint_keeps_what_it_has_grown_to_also_when_its_instances_change(hall):
    release(hall, hall.version("v1"), declared(scaling=SCALING))
    scaled_out(hall, 3)

    release(hall, hall.version("v2"), declared(scaling=SCALING))
    assert instances(hall) == 3

    release(hall, hall.version("v3"), declared(scaling=SCALING, hosting=RealTime(instance_type="ml.c5.xlarge")))
    assert instances(hall) == 3
    assert hall.answers() == {"v3"}
    assert [each["MaxCapacity"] for each in targets(hall)] == [4]


def test_scaling_that_is_no_longer_declared_goes(hall):
    release(hall, hall.version("v1"), declared(scaling=SCALING))

    release(hall, hall.version("v2"), declared())

    assert targets(hall) == []


def test_a_new_version_is_a_shadow_before_anybody_gets_its_answers(hall):
    template = declared(hosting=RealTime(shadow=Shadow(time=Duration.minutes(5))))
    release(hall, hall.version("v1"), template)

    release(hall, hall.version("v2"), template)

    created, shadowed, released = hall.rehearsal.endpoints.releases
    assert [each.outcome for each in (created, shadowed, released)] == ["Succeeded"] * 3
    assert shadowed.to_json()["to"] == created.to_json()["to"], "the version in service has stayed"
    assert hall.answers() == {"v2"}


def test_a_shadow_that_fails_ends_the_release_and_hurts_nobody(hall):
    template = declared(hosting=RealTime(shadow=Shadow(time=Duration.minutes(5))))
    release(hall, hall.version("v1"), template)

    with pytest.raises(StackFailed, match="ShadowFailedRequestsAlarm"):
        release(hall, hall.version("v2", A_TENTH_FAILS), template)

    (stream,) = hall.rehearsal.streams
    assert hall.answers() == {"v1"}
    assert stream.failed == 0


def test_a_serverless_endpoint_is_released_and_released_again(hall):
    template = declared(hosting=Serverless())

    for name in ("v1", "v2"):
        release(hall, hall.version(name), template)

    assert hall.answers() == {"v2"}


def test_instances_cannot_become_serverless(hall):
    release(hall, hall.version("v1"), declared())

    with pytest.raises(StageFailed, match="cannot become serverless: give the release another 'endpoint_name'"):
        release(hall, hall.version("v2"), declared(hosting=Serverless()))

    assert hall.answers() == {"v1"}
