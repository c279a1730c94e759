"""Approve the model of this execution and write what CloudFormation deploys."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime import deploy
from cdk_ml_release.runtime.contract import StageFailed

from .fakes import AT_ONCE, FakeCloudFormation, FakeSageMaker, played_by
from .samples import BUCKET, EXECUTION, MANIFEST, MANIFEST_KEY, RELEASE_SETTINGS

ARN = MANIFEST.model_package_arn
PARAMETERS = ["ReleaseName", "ModelPackageArn", "ModelRoleArn", "CaptureUri"]


def registry(approval="PendingManualApproval", status="Completed"):
    """A registry with the one version."""
    return FakeSageMaker(packages={ARN: {"ModelApprovalStatus": approval, "ModelPackageStatus": status}})


@pytest.fixture
def released(s3, tmp_path):
    """Deploy a manifest with a template of given parameters; returns exports, and files of the artifact."""

    def run(sagemaker=None, *, parameters=PARAMETERS, settings=RELEASE_SETTINGS, body="", stack=None):
        s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=MANIFEST.to_json().encode())
        template = {"Parameters": {name: {"Type": "String"} for name in parameters}, "Description": body}
        (tmp_path / "endpoint.template.json").write_text(json.dumps(template))
        cloudformation = FakeCloudFormation(["UPDATE_COMPLETE" if stack else ""], parameters=stack or {})
        actors = {"cloudformation": cloudformation, "sagemaker": sagemaker or registry()}
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
            "CaptureUri": f"s3://{BUCKET}/capture/{MANIFEST.execution_id}",
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


SERVING = f"{ARN.rpartition('/')[0]}/7"
SHADOWED = [*PARAMETERS, "ShadowReleaseName", "ShadowModelPackageArn"]


def test_a_new_version_is_first_the_shadow_of_the_one_in_service(released):
    captured = f"s3://{BUCKET}/capture/the-run-of-version-7"

    _, files = released(parameters=SHADOWED, stack={"ModelPackageArn": SERVING, "CaptureUri": captured})

    first, then = (files[name]["Parameters"] for name in ("shadow.json", "configuration.json"))
    assert (first["ModelPackageArn"], first["ShadowModelPackageArn"]) == (SERVING, ARN)
    assert (then["ModelPackageArn"], then["ShadowModelPackageArn"]) == (ARN, "")
    assert len({first["ReleaseName"], first["ShadowReleaseName"], then["ReleaseName"]}) == 3
    assert first["CaptureUri"] == captured, "who answers while the other is the shadow is the version in service"


@pytest.mark.parametrize("stack", [None, {"ModelPackageArn": ARN}], ids=["a first release", "the same version"])
def test_without_another_version_in_service_there_is_no_shadow(released, stack):
    _, files = released(parameters=SHADOWED, stack=stack)

    assert files["shadow.json"] == files["configuration.json"]
    assert files["shadow.json"]["Parameters"]["ShadowModelPackageArn"] == ""


def test_no_shadow_is_written_where_none_is_declared(released):
    assert "shadow.json" not in released(stack={"ModelPackageArn": SERVING, "CaptureUri": "s3://b/capture/7"})[1]
