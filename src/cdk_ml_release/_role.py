"""The roles that services of AWS assume."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from aws_cdk import CfnResource
from constructs import Construct

from ._permissions import Allow
from ._resource import Resource, with_tokens

if TYPE_CHECKING:
    from aws_cdk import aws_iam as iam


class OwnRole(Resource):
    """A role with a policy of its own, which is there before anything can use the role."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        trust: Mapping[str, Any],
        allows: Iterable[Allow],
        *,
        role_name: str | None = None,
        managed_policies: Sequence[str] = (),
    ) -> None:
        """Define the role.

        Args:
            scope: The construct that the role belongs to.
            construct_id: Unique among the children of ``scope``.
            trust: Who assumes it, and under what condition: a statement without its action.
            allows: What it may do.
            role_name: What it is called. Default: CloudFormation makes a name.
            managed_policies: The ARNs of policies that say what else it may do.
        """
        self._role_name = role_name
        trusts = {"Effect": "Allow", "Action": "sts:AssumeRole", **trust}
        policy = {"PolicyName": "Release", "PolicyDocument": policy_document(allows)}
        properties = {
            "RoleName": role_name,
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trusts]},
            "ManagedPolicyArns": list(managed_policies) or None,
            "Policies": [policy],
        }
        super().__init__(scope, construct_id, "AWS::IAM::Role", properties)

    def allow(self, allows: Iterable[Allow]) -> None:
        """Write its policy anew."""
        document = policy_document(allows)
        if self.waits or type(self.cfn) is CfnResource:
            self.override("Policies", [{"PolicyName": "Release", "PolicyDocument": document}])
            return
        from aws_cdk import aws_iam as iam

        policy = iam.CfnRole.PolicyProperty(policy_name="Release", policy_document=with_tokens(document))
        cast(iam.CfnRole, self.cfn).policies = [policy]

    @cached_property
    def construct(self) -> iam.IRole:
        """The role as a construct of CDK's, which can be granted more."""
        from aws_cdk import aws_iam as iam

        return iam.Role.from_role_name(self.cfn, "Role", self._role_name or self.token())


def service_role(
    scope: Construct,
    construct_id: str,
    service: str,
    allows: Iterable[Allow],
    *,
    own_account_only: bool = False,
    role_name: str | None = None,
    managed_policies: Sequence[str] = (),
) -> OwnRole:
    """A role of a service.

    Args:
        scope: The construct that the role belongs to.
        construct_id: Unique among the children of ``scope``.
        service: Who assumes it, such as ``codebuild.amazonaws.com``.
        allows: What it may do.
        own_account_only: Whether the service may assume it on behalf of this account only.
        role_name: What it is called. Default: CloudFormation makes a name.
        managed_policies: The ARNs of policies that say what else it may do.
    """
    only = {"Condition": {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}} if own_account_only else {}
    trust = {"Principal": {"Service": service}, **only}
    return OwnRole(scope, construct_id, trust, allows, role_name=role_name, managed_policies=managed_policies)


def policy_document(allows: Iterable[Allow]) -> dict[str, Any]:
    """A policy that allows these: what is allowed on several resources, or of one resource, is said once.

    CDK checks every statement of a template, which takes a good part of a synthesis.
    """
    by_resource = _merged(allows, lambda each: (tuple(each.actions), each.conditions))
    statements = _merged(by_resource, lambda each: (tuple(each.resources), each.conditions))
    return {"Version": "2012-10-17", "Statement": [each.to_json() for each in statements]}


def _merged(allows: Iterable[Allow], kind: Callable[[Allow], Any]) -> list[Allow]:
    """The same, with one statement for all of a kind."""
    found: dict[str, list[Allow]] = {}
    for each in allows:
        found.setdefault(json.dumps(kind(each)), []).append(each)
    return [
        replace(
            alike[0],
            actions=list(dict.fromkeys(action for each in alike for action in each.actions)),
            resources=list(dict.fromkeys(resource for each in alike for resource in each.resources)),
        )
        for alike in found.values()
    ]
