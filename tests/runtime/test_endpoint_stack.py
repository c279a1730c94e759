"""The CloudFormation stack of an endpoint, made ready for an update and told what only a release knows."""

import json

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.runtime import endpoint_stack
from cdk_ml_release.runtime.contract import StageFailed
from cdk_ml_release.runtime.endpoint_stack import EndpointStack

from .fakes import AT_ONCE, ONE_LOOK, FakeCloudFormation, Refused, played_by

SCALED = {"ReleaseName": "x", "Updates": "yes", "Scaled": "yes"}


def clear(*before, after=("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", ""), pace=AT_ONCE):
    """Clear the way for a deployment to a stack that goes through these statuses; returns the deletions."""
    fake = FakeCloudFormation(list(before), list(after))
    endpoint_stack.ready(played_by("cloudformation", fake), "stack", pace)
    return fake.deleted


@pytest.mark.parametrize("status", ["", "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_stack_that_can_be_deployed_to_is_left_alone(status):
    assert clear(status) == []


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"])
def test_a_stack_whose_creation_failed_is_deleted_once(status):
    assert clear(status) == ["stack"]


def test_a_deletion_that_takes_a_moment_to_show_is_not_asked_for_again():
    assert clear("ROLLBACK_COMPLETE", after=("ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS", "")) == ["stack"]


@pytest.mark.parametrize("busy", ["DELETE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"])
def test_a_stack_that_is_changing_is_waited_for(busy):
    assert clear(busy, busy, "UPDATE_COMPLETE") == []


def test_a_creation_that_fails_while_it_is_waited_for_is_deleted():
    assert clear("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE") == ["stack"]


def test_refuses_a_stack_that_cannot_be_deleted():
    with pytest.raises(StageFailed, match="the stack 'stack' cannot be deleted: delete it by hand, then retry"):
        clear("ROLLBACK_COMPLETE", after=("DELETE_IN_PROGRESS", "DELETE_FAILED"))


def test_refuses_a_stack_whose_roll_back_failed():
    with pytest.raises(StageFailed, match="is UPDATE_ROLLBACK_FAILED: continue its roll-back in CloudFormation"):
        clear("UPDATE_ROLLBACK_FAILED")


def test_refuses_to_wait_for_ever():
    with pytest.raises(StageFailed, match="the stack 'stack' is still DELETE_IN_PROGRESS after 0 minutes"):
        clear("DELETE_IN_PROGRESS", pace=ONE_LOOK)


def test_another_validation_error_does_not_mean_that_there_is_no_stack():
    class Broken:
        def describe_stacks(self, **_):
            raise Refused("ValidationError", "1 validation error detected")

    with pytest.raises(ClientError, match="1 validation error"):
        endpoint_stack.ready(played_by("cloudformation", Broken()), "stack", AT_ONCE)


def on(capacity):
    """A template whose endpoint is on such instances."""
    return {"Outputs": {"Capacity": {"Value": capacity}}}


def unscaled(fake, template):
    """Take scaling away where a release of the template needs it; returns the stack after that."""
    client = played_by("cloudformation", fake)
    return endpoint_stack.clear_scaling(client, endpoint_stack.ready(client, "stack", AT_ONCE), template, AT_ONCE)


def test_scaling_is_taken_away_before_the_instance_type_changes_and_all_else_is_kept():
    fake = FakeCloudFormation(["UPDATE_COMPLETE"], parameters=SCALED, outputs={"Capacity": "ml.m5.large"})

    stack = unscaled(fake, on("ml.c5.xlarge"))

    assert stack.parameters == {**SCALED, "Scaled": "no"}
    assert len(fake.updates) == 1


def test_scaling_stays_while_the_instances_stay():
    fake = FakeCloudFormation(["UPDATE_COMPLETE"], parameters=SCALED, outputs={"Capacity": "ml.m5.large"})

    assert unscaled(fake, on("ml.m5.large")).parameters == SCALED
    assert fake.updates == []


def test_an_endpoint_without_scaling_may_change_its_instances_at_once():
    fake = FakeCloudFormation(["UPDATE_COMPLETE"], parameters={"ReleaseName": "x"}, outputs={"Capacity": "ml.m5.large"})

    unscaled(fake, on("ml.c5.xlarge"))

    assert fake.updates == []


def test_refuses_to_go_on_when_scaling_cannot_be_taken_away():
    class Stuck(FakeCloudFormation):
        def update_stack(self, **_):
            return {}

    fake = Stuck(["UPDATE_ROLLBACK_COMPLETE"], parameters=SCALED, outputs={"Capacity": "ml.m5.large"})

    with pytest.raises(StageFailed, match="the scaling of the stack 'stack' cannot be taken away, it is UPDATE_ROLL"):
        unscaled(fake, on("ml.c5.xlarge"))


def test_refuses_to_make_instances_serverless():
    stack = EndpointStack(name="stack", status="UPDATE_COMPLETE", outputs={"Capacity": "ml.m5.large"})

    with pytest.raises(
        StageFailed, match=r"is on ml\.m5\.large and cannot become serverless: give the release another"
    ):
        endpoint_stack.check_change(stack, on("serverless"))


@pytest.mark.parametrize(("before", "after"), [("serverless", "ml.m5.large"), ("ml.m5.large", "ml.c5.large")])
def test_other_changes_of_hosting_are_left_to_sagemaker(before, after):
    endpoint_stack.check_change(EndpointStack(name="stack", outputs={"Capacity": before}), on(after))
    endpoint_stack.check_change(EndpointStack(name="stack"), on(after))


def told(stack, version, declared=("Updates", "Scaled", "Versions")):
    return endpoint_stack.release_parameters(stack, version, dict.fromkeys(declared))


def test_a_first_release_creates_and_a_later_one_updates():
    assert told(EndpointStack(name="stack"), 1)["Updates"] == "no"
    assert told(EndpointStack(name="stack", status="UPDATE_COMPLETE"), 2)["Updates"] == "yes"


def test_the_stack_is_told_what_its_template_asks_for_and_no_more():
    assert told(EndpointStack(name="stack"), 1, ["ReleaseName"]) == {}


def test_the_dashboard_learns_when_which_version_came():
    stack = EndpointStack(name="stack")
    for version in (1, 2, 2, 1):
        stack = EndpointStack(name="stack", status="UPDATE_COMPLETE", parameters=told(stack, version))

    labels = [each["label"] for each in json.loads(stack.parameters["Versions"])]
    assert labels == ["version 1", "version 2", "version 1"]


def test_the_dashboard_forgets_what_no_parameter_could_hold():
    stack = EndpointStack(name="stack")
    for version in range(1, 200):
        stack = EndpointStack(name="stack", status="UPDATE_COMPLETE", parameters=told(stack, version))

    # Source: CloudFormation's quotas, the size of a parameter's value.
    assert len(stack.parameters["Versions"]) <= 4096
    assert json.loads(stack.parameters["Versions"])[-1]["label"] == "version 199"
