"""An endpoint in another account: what is asked there, what is asked at home, and with whose credentials."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from cdk_ml_release.runtime import aws, deploy, verify
from cdk_ml_release.runtime.contract import StageFailed

from .fakes import AT_ONCE, FakeSageMaker, Refused, played_by
from .samples import BUCKET, MANIFEST, MANIFEST_KEY, RELEASE_SETTINGS

HOME, THERE = "123456789012", "222222222222"
ROLE = f"arn:aws:iam::{THERE}:role/abalone-production-release"
SETTINGS = replace(RELEASE_SETTINGS, target_role=ROLE)
TEMPLATE = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})


class FakeSts:
    """Gives credentials that last so long, and counts how often."""

    def __init__(self, lasts=timedelta(hours=1)):
        self.lasts = lasts
        self.asked = []

    def assume_role(self, **request):
        self.asked.append(request)
        credentials = {
            "AccessKeyId": f"ASIA{len(self.asked):016}",
            "SecretAccessKey": "secret",
            "SessionToken": "token",
            "Expiration": datetime.now(UTC) + self.lasts,
        }
        return {"Credentials": credentials}


class LockedOut:
    def assume_role(self, **_):
        raise Refused("AccessDenied", "not authorized to perform: sts:AssumeRole")


def at_home(service):
    return boto3.client(service, region_name="eu-central-1")


def keys_of(client, call):
    """The access key that each request of a call is signed with."""
    found = []
    client.meta.events.register(
        "before-send.*", lambda request, **_: found.append(request.headers["Authorization"].decode())
    )
    call(client)
    return [each.partition("Credential=")[2].partition("/")[0] for each in found]


def test_without_a_role_the_clients_are_those_of_the_own_account():
    assert aws.clients_as("", at_home) is at_home


def test_whatever_is_asked_there_is_asked_as_the_role(s3):
    sts = FakeSts()

    there = aws.clients_as(ROLE, {"sts": played_by("sts", sts)}.__getitem__)

    assert keys_of(there("s3"), lambda client: client.list_buckets()) == ["ASIA0000000000000001"]
    assert keys_of(there("sqs"), lambda client: client.list_queues()) == ["ASIA0000000000000001"]
    assert sts.asked == [{"RoleArn": ROLE, "RoleSessionName": "ml-release"}]


def test_credentials_that_are_about_to_end_are_renewed_for_the_same_client(s3):
    sts = FakeSts(lasts=timedelta(minutes=5))
    client = aws.clients_as(ROLE, {"sts": played_by("sts", sts)}.__getitem__)("s3")

    first, second = keys_of(client, lambda client: [client.list_buckets() for _ in range(2)])

    assert first != second


def test_clients_there_retry_as_those_at_home_do():
    there = aws.clients_as(ROLE, {"sts": played_by("sts", FakeSts())}.__getitem__)

    assert there("sagemaker").meta.config.retries == aws.client("sagemaker").meta.config.retries


def test_refuses_when_the_other_account_does_not_let_the_build_in():
    there = aws.clients_as(ROLE, {"sts": played_by("sts", LockedOut())}.__getitem__)

    with pytest.raises(StageFailed, match=f"does not let this build in as {ROLE}: .*; deploy the stack of its roles"):
        there("s3").list_buckets()


@pytest.fixture
def released(s3):
    """A manifest at home, and a stack in the other account, as moto tells accounts apart."""
    s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=MANIFEST.to_json().encode())
    there = aws.clients_as(ROLE, at_home)
    there("cloudformation").create_stack(StackName=SETTINGS.stack_name, TemplateBody=TEMPLATE)
    return there


def test_prepare_looks_at_the_stack_there_and_approves_at_home(released, s3, tmp_path):
    template = {"Parameters": {"Updates": {"Type": "String"}}}
    (tmp_path / "endpoint.template.json").write_text(json.dumps(template))
    pending = {"ModelApprovalStatus": "PendingManualApproval", "ModelPackageStatus": "Completed"}
    registry = FakeSageMaker(packages={MANIFEST.model_package_arn: pending})
    clients = {"s3": s3, "sts": at_home("sts"), "sagemaker": played_by("sagemaker", registry)}
    env = SETTINGS.to_environment() | {"ML_HOME": str(tmp_path), "ML_MANIFEST_KEY": MANIFEST_KEY}

    deploy.deploy(env, clients.__getitem__, AT_ONCE)

    written = json.loads((tmp_path / "artifact" / "configuration.json").read_text())["Parameters"]
    assert written["Updates"] == "yes", "the stack is there, in the other account"
    assert registry.packages[MANIFEST.model_package_arn]["ModelApprovalStatus"] == "Approved"


def test_verify_refuses_and_deletes_what_is_there(released, s3):
    clients = {"s3": s3, "sts": at_home("sts")}
    env = SETTINGS.to_environment() | {"ML_MANIFEST_KEY": MANIFEST_KEY, "ML_RELEASE_NAME": "release"}

    with pytest.raises(StageFailed, match=r"there is no endpoint 'Abalone-production'.*; taken out of service"):
        verify.verify(env, clients.__getitem__, AT_ONCE)

    assert released("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"] == []
