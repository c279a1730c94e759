"""Approve the model of this execution and write what CloudFormation deploys."""

import json

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime import deploy
from cdk_ml_release.runtime.contract import StageFailed

from .fakes import AT_ONCE, ONE_LOOK, FakeCloudFormation, FakeSageMaker, Refused, played_by
from .samples import BUCKET, EXECUTION, MANIFEST, MANIFEST_KEY, RELEASE_SETTINGS

ARN = MANIFEST.model_package_arn
PARAMETERS = ["ReleaseName", "ModelPackageArn", "ModelRoleArn", "CaptureUri"]


def registry(approval="PendingManualApproval", status="Completed"):
    """A registry with the one version."""
    return FakeSageMaker(packages={ARN: {"ModelApprovalStatus": approval, "ModelPackageStatus": status}})


@pytest.fixture
def released(s3, tmp_path):
    """Deploy a manifest with a template of given parameters; returns exports, and files of the artifact."""

    def run(sagemaker=None, *, parameters=PARAMETERS, settings=RELEASE_SETTINGS, body=""):
        s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=MANIFEST.to_json().encode())
        template = {"Parameters": {name: {"Type": "String"} for name in parameters}, "Description": body}
        (tmp_path / "endpoint.template.json").write_text(json.dumps(template))
        actors = {"cloudformation": FakeCloudFormation([""]), "sagemaker": sagemaker or registry()}
        clients = {"s3": s3} | {service: played_by(service, actor) for service, actor in actors.items()}
        env = settings.to_environment() | {"ML_HOME": str(tmp_path), "ML_MANIFEST_KEY": MANIFEST_KEY}

        exports = deploy.deploy(env, clients.__getitem__, AT_ONCE)

        return exports, {path.name: json.loads(path.read_text()) for path in (tmp_path / "artifact").iterdir()}

    return run


def test_the_artifact_holds_the_template_and_its_parameters(released):
    exports, files = released()

    assert files["template.json"]["Parameters"].keys() == set(PARAMETERS)
    assert files["configuration.json"] == {
        "Parameters": {
            "ModelPackageArn": ARN,
            **RELEASE_SETTINGS.parameters,
            "ReleaseName": exports["RELEASE_NAME"],
        }
    }


def test_a_retry_gives_the_same_release_name_and_another_template_another_one(released):
    first, again, other = (released(body=body)[0]["RELEASE_NAME"] for body in ("", "", "other"))

    assert first == again
    assert first != other


@given(
    st.from_regex(r"[a-zA-Z0-9](-?[a-zA-Z0-9]){0,20}", fullmatch=True),
    st.uuids().map(str),
    st.text(),
    st.dictionaries(st.text(), st.text()),
)
def test_every_release_name_is_one_that_sagemaker_takes(endpoint, execution, template, parameters):
    name = deploy.release_name(endpoint, execution, template, parameters)

    assert len(name) <= 63
    assert name.replace("-", "").isalnum()
    assert name == name.lower()


def test_refuses_to_release_without_a_manifest(s3):
    with pytest.raises(
        StageFailed, match=f"no release manifest at s3://{BUCKET}/{MANIFEST_KEY}: the build must register"
    ):
        deploy.read_manifest(s3, BUCKET, MANIFEST_KEY)


def test_the_version_is_approved_in_the_name_of_the_execution(released):
    sagemaker = registry()

    released(sagemaker)

    package = sagemaker.packages[ARN]
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"] == f"Released to Abalone-production by execution {EXECUTION}"


def test_an_approved_version_is_not_approved_again(released):
    sagemaker = registry("Approved")

    released(sagemaker)

    assert "ApprovalDescription" not in sagemaker.packages[ARN]


def test_a_version_that_is_still_being_registered_is_waited_for(released):
    sagemaker = registry(status=["Pending", "InProgress", "Completed"])

    released(sagemaker)

    assert sagemaker.packages[ARN]["ModelApprovalStatus"] == "Approved"


@pytest.mark.parametrize(
    ("sagemaker", "message"),
    [
        (registry("Rejected"), f"the model version {ARN} was rejected: release another one, or approve it"),
        (registry(status="Failed"), f"the model version {ARN} is Failed: release another one"),
    ],
)
def test_refuses_a_version_that_cannot_be_deployed(released, sagemaker, message):
    with pytest.raises(StageFailed, match=message):
        released(sagemaker)

    assert sagemaker.packages[ARN]["ModelApprovalStatus"] != "Approved"


def clear(*before, after=("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", ""), pace=AT_ONCE):
    """Clear the way for a deployment to a stack that goes through these statuses; returns the deletions."""
    fake = FakeCloudFormation(list(before), list(after))
    deploy.clear_stack(played_by("cloudformation", fake), "stack", pace)
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
        deploy.clear_stack(played_by("cloudformation", Broken()), "stack", AT_ONCE)
