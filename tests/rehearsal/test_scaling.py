"""Scaling: what a release must not undo, and what it cannot do while a variant is registered."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.rehearsal.command import cache_folder
from cdk_ml_release.rehearsal.stacks.stacks import StackFailed

from .hall import ENDPOINT, VARIANT, open_hall

COUNT = "sagemaker:variant:DesiredInstanceCount"
PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"endpoint/{ENDPOINT}/variant/{VARIANT}",
    "ScalableDimension": COUNT,
}
SCALED = {
    "Target": {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "DependsOn": "Endpoint",
        "Properties": {
            **PLACE,
            "MinCapacity": "1",
            "MaxCapacity": "4",
            "ScheduledActions": [{"ScheduledActionName": "night", "Schedule": "cron(0 22 * * ? *)"}],
        },
    },
    "Policy": {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": "invocations",
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": {"Ref": "Target"},
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": "70",
                "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            },
        },
    },
}


@pytest.fixture
def hall(tmp_path):
    with open_hall(tmp_path, cache_folder(), requests_per_second=0) as opened:
        yield opened


def _scale_out(hall, count):
    wanted = [{"VariantName": VARIANT, "DesiredInstanceCount": count}]
    hall.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=wanted
    )
    deadline = time.monotonic() + 20
    while hall.described()["EndpointStatus"] != "InService":
        assert time.monotonic() < deadline, "it does not scale"
        time.sleep(0.05)


def _instances(hall):
    return hall.described()["ProductionVariants"][0]["CurrentInstanceCount"]


def test_a_scaled_out_endpoint_keeps_its_capacity_through_a_release(hall):
    hall.release(hall.version("v1"), resources=SCALED)
    _scale_out(hall, 3)

    hall.release(hall.version("v2"), resources=SCALED, endpoint={"RetainAllVariantProperties": "true"})

    assert _instances(hall) == 3
    assert hall.answers() == {"v2"}


def test_without_retention_a_release_falls_back_to_the_declared_count(hall):
    hall.release(hall.version("v1"))
    _scale_out(hall, 3)

    hall.release(hall.version("v2"))

    assert _instances(hall) == 2


def test_refuses_another_instance_type_while_the_variant_is_registered(hall):
    hall.release(hall.version("v1"), resources=SCALED)

    with pytest.raises(StackFailed, match="must be deregistered as a scalable target"):
        hall.release(hall.version("v2"), resources=SCALED, variant={"InstanceType": "ml.c5.large"})

    assert hall.answers() == {"v1"}


def test_another_instance_type_is_no_matter_once_the_variant_is_deregistered(hall):
    hall.release(hall.version("v1"), resources=SCALED)
    hall.client("application-autoscaling").deregister_scalable_target(**PLACE)

    hall.release(hall.version("v2"), resources=SCALED, variant={"InstanceType": "ml.c5.large"})

    assert hall.answers() == {"v2"}


def test_scaling_is_described_as_it_was_declared_and_ends_with_its_stack(hall):
    scaling = hall.client("application-autoscaling")
    hall.release(hall.version("v1"), resources=SCALED)

    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    (action,) = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    hall.rehearsal.stacks.delete("hall", caller=None)

    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 70.0
    assert action["Schedule"] == "cron(0 22 * * ? *)"
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_refuses_to_scale_a_variant_that_does_not_exist(hall):
    with pytest.raises(ClientError, match=f"the endpoint '{ENDPOINT}' has no variant '{VARIANT}'"):
        hall.client("application-autoscaling").register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=2)
