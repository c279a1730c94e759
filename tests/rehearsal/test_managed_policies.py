"""A managed policy holds for the roles that it names, as its stack has it at the time."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.rehearsal.cloud.account import Account
from cdk_ml_release.rehearsal.cloud.gateway import Gateway
from cdk_ml_release.rehearsal.cloud.resources import handlers
from cdk_ml_release.rehearsal.stacks.stacks import Stacks

ROLES = ("reader", "stranger")


def document(action: str, **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **more}]}


class Office:
    """Two roles, and one policy that a test writes."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._stacks = Stacks(
            handlers(gateway, Account()),
            account=gateway.account,
            region=gateway.region,
            ssm_lookup=str,
            now=lambda: "2026-11-28T00:00:00Z",
        )

    def deploy(
        self, action: str | None, *roles: str, attached_by: str | None = None, policy: str | None = None
    ) -> None:
        """Deploy the policy, or, without an action, none of one's own."""
        trust = document("sts:AssumeRole", Principal={"Service": "codebuild.amazonaws.com"})
        resources: dict[str, Any] = {
            name: {"Type": "AWS::IAM::Role", "Properties": {"RoleName": name, "AssumeRolePolicyDocument": trust}}
            for name in ROLES
        }
        if action is not None:
            may = {"PolicyDocument": document(action, Resource="*"), "Roles": list(roles)}
            resources["Policy"] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": may}
        if attached_by is not None:
            resources[attached_by]["Properties"]["ManagedPolicyArns"] = [policy or {"Ref": "Policy"}]
        self._stacks.deploy("office", {"Resources": resources}, caller=None)

    def may_list(self, role: str) -> bool:
        """Whether a role may list the buckets."""
        s3 = self._gateway.client("s3", f"arn:aws:iam::{self._gateway.account}:role/{role}")
        try:
            s3.list_buckets()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"
            return False
        return True


@pytest.fixture
def office():
    gateway = Gateway("eu-central-1")
    try:
        yield Office(gateway)
    finally:
        gateway.close()


def test_it_holds_for_the_roles_that_it_names(office):
    office.deploy("s3:ListAllMyBuckets", "reader")

    assert [office.may_list(role) for role in ROLES] == [True, False]


def test_it_holds_for_the_roles_that_name_it(office):
    office.deploy("s3:ListAllMyBuckets", "reader", attached_by="stranger")

    assert [office.may_list(role) for role in ROLES] == [True, True]


@pytest.mark.parametrize(
    ("action", "roles", "may"),
    [
        ("s3:GetObject", ["reader"], [False, False]),
        ("s3:ListAllMyBuckets", ["reader", "stranger"], [True, True]),
        ("s3:ListAllMyBuckets", ["stranger"], [False, True]),
        (None, [], [False, False]),
    ],
)
def test_a_change_of_it_holds_at_once(office, action, roles, may):
    office.deploy("s3:ListAllMyBuckets", "reader")
    assert office.may_list("reader")

    office.deploy(action, *roles)

    assert [office.may_list(role) for role in ROLES] == may


def test_it_no_longer_holds_for_a_role_that_no_longer_names_it(office):
    office.deploy("s3:ListAllMyBuckets", "reader", attached_by="stranger")

    office.deploy("s3:ListAllMyBuckets", "reader")

    assert [office.may_list(role) for role in ROLES] == [True, False]


def test_a_policy_of_aws_is_taken_from_a_role_again(office):
    office.deploy(None, attached_by="stranger", policy="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    assert office.may_list("stranger")

    office.deploy(None)

    assert not office.may_list("stranger")
