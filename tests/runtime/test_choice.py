"""What an execution releases: the model that it has built, or a registered version."""

from dataclasses import replace

import pytest

from cdk_ml_release.runtime.choice import choose
from cdk_ml_release.runtime.contract import Gate, StageFailed, endpoint_record_key

from .fakes import FakeSageMaker, played_by
from .samples import BUCKET, EXECUTION, MANIFEST, MANIFEST_KEY, SETTINGS

GATE = Gate(metric="rmse", comparison="at_most", limit=2.5)
LATER = "9d1e6c1e-9a57-4e6e-8a3b-5f1d2c3b4a59"
FIRST = f"{SETTINGS.versions_arn}/1"


class Account:
    """A registry with one version, whose run has left its manifest."""

    def __init__(self, s3):
        self.s3 = s3
        properties = {"execution": EXECUTION}
        package = {"ModelPackageStatus": "Completed", "ModelApprovalStatus": "Approved"}
        self.sagemaker = FakeSageMaker(packages={FIRST: package | {"CustomerMetadataProperties": properties}})
        s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=MANIFEST.to_json().encode())

    def serve(self, manifest, endpoint="production"):
        self.s3.put_object(Bucket=BUCKET, Key=endpoint_record_key(endpoint), Body=manifest.to_json().encode())

    def choose(self, version, execution=LATER):
        clients = {"s3": self.s3, "sagemaker": played_by("sagemaker", self.sagemaker)}
        settings = replace(SETTINGS, gates=(GATE,)).to_environment()
        env = settings | {"ML_EXECUTION_ID": execution, "ML_MODEL_VERSION": version}
        return choose(env, clients.__getitem__)


@pytest.fixture
def account(s3):
    return Account(s3)


def test_an_execution_that_built_a_model_releases_it(account):
    chosen = account.choose("new", EXECUTION)

    assert chosen == {
        "DATA_VERSION": MANIFEST.data_version,
        "MODEL_DATA": MANIFEST.model_data,
        "MANIFEST_KEY": MANIFEST_KEY,
        "EVALUATION_KEY": f"runs/{EXECUTION}/evaluation/evaluation.json",
        "SUMMARY": "abalone from commit c0ffee: rmse 2 (gate: at most 2.5); no model in service yet",
    }


@pytest.mark.parametrize("version", ["1", FIRST], ids=["number", "arn"])
def test_a_version_is_found_through_the_execution_that_registered_it(account, version):
    chosen = account.choose(version)

    assert chosen["MANIFEST_KEY"] == MANIFEST_KEY
    assert chosen["SUMMARY"].startswith("release version 1 of abalone from commit c0ffee: rmse 2 ")


def test_going_back_is_called_so_and_compared_with_what_is_in_service(account):
    account.serve(replace(MANIFEST, model_package_arn=f"{SETTINGS.versions_arn}/2", metrics={"rmse": 1.75}))

    chosen = account.choose("1")

    assert chosen["SUMMARY"] == (
        "roll back to version 1 of abalone from commit c0ffee: "
        "rmse 2 (gate: at most 2.5; in service at production: 1.75, change +0.25)"
    )


def test_a_version_may_be_older_than_the_gate(account):
    old = replace(MANIFEST, metrics={"mae": 1.0})
    account.s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=old.to_json().encode())

    assert "its evaluation has none of the gated metrics" in account.choose("1")["SUMMARY"]


def test_refuses_to_release_what_this_execution_has_not_built(account):
    with pytest.raises(StageFailed, match=f"no release manifest at s3://{BUCKET}/runs/{LATER}/release.json"):
        account.choose("new")


@pytest.mark.parametrize(
    "version",
    ["", "latest", "0", "-1", "1.0", "1 ", "arn:aws:sagemaker:eu-central-1:111122223333:model-package/oyster/1"],
)
def test_refuses_what_is_no_version_of_this_model(account, version):
    with pytest.raises(StageFailed, match="must be 'new' or the number of a version of 'abalone', got '") as caught:
        account.choose(version)

    assert f"got '{version}'" in str(caught.value)


def test_refuses_a_version_that_does_not_exist(account):
    with pytest.raises(StageFailed, match="'abalone' has no version 7: 'ml-release versions --model abalone' lists"):
        account.choose("7")


def test_refuses_a_version_that_a_person_has_rejected(account):
    account.sagemaker.packages[FIRST]["ModelApprovalStatus"] = "Rejected"

    with pytest.raises(StageFailed, match="model-package/abalone/1 was rejected: release another one"):
        account.choose("1")


def test_refuses_a_version_that_no_build_has_registered(account):
    del account.sagemaker.packages[FIRST]["CustomerMetadataProperties"]

    with pytest.raises(StageFailed, match="abalone/1 was registered by no build of this library: release another one"):
        account.choose("1")


def test_refuses_a_version_whose_run_is_gone(account):
    account.s3.delete_object(Bucket=BUCKET, Key=MANIFEST_KEY)

    with pytest.raises(StageFailed, match=f"no release manifest at s3://{BUCKET}/{MANIFEST_KEY}"):
        account.choose("1")


def test_refuses_a_version_that_names_the_run_of_another(account):
    account.sagemaker.packages[f"{SETTINGS.versions_arn}/2"] = account.sagemaker.packages[FIRST]

    with pytest.raises(StageFailed, match=f"abalone/2 names execution {EXECUTION}, which registered .*abalone/1"):
        account.choose("2")
