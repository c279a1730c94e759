"""Resources as classes of CDK's, for those who look at an app's constructs: cdk-nag knows a bucket by its class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from aws_cdk import CfnResource, Token
from constructs import Construct

_CLASSES = {
    "AWS::CodeBuild::Project": "aws_codebuild.CfnProject",
    "AWS::ECR::Repository": "aws_ecr.CfnRepository",
    "AWS::IAM::Policy": "aws_iam.CfnPolicy",
    "AWS::IAM::Role": "aws_iam.CfnRole",
    "AWS::Lambda::Function": "aws_lambda.CfnFunction",
    "AWS::S3::Bucket": "aws_s3.CfnBucket",
    "AWS::S3::BucketPolicy": "aws_s3.CfnBucketPolicy",
    "AWS::StepFunctions::StateMachine": "aws_stepfunctions.CfnStateMachine",
}
_JSON = ("AssumeRolePolicyDocument", "PolicyDocument", "RepositoryPolicyText")
"""Properties that CDK's classes take as they are."""
_MAPS = ("DefinitionSubstitutions",)
"""Properties whose keys are not CDK's to spell."""


def typed_resource(scope: Construct, construct_id: str, kind: str, properties: Mapping[str, Any]) -> CfnResource:
    """The same resource, of the class that CDK has for it if cdk-nag has rules for that class."""
    if kind not in _CLASSES:
        return CfnResource(scope, construct_id, type=kind, properties=properties)
    module, name = _CLASSES[kind].split(".")
    made: CfnResource = getattr(import_module(f"aws_cdk.{module}"), name)(
        scope, construct_id, **{_snake(each): _value(each, value) for each, value in properties.items()}
    )
    return made


def change_typed(resource: CfnResource, name: str, value: Any) -> None:
    """Write a property of such a resource anew."""
    setattr(resource, _snake(name), _value(name, value))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _camel(name: str) -> str:
    head, *tail = _snake(name).split("_")
    return head + "".join(each.capitalize() for each in tail)


def _value(name: str, value: Any) -> Any:
    """A property's value as CDK's classes take it: references as tokens, keys in camel case."""
    if name in _JSON:
        return value
    if isinstance(value, dict):
        if next(iter(value), "").startswith(("Ref", "Fn::")):
            return Token.as_string(value)
        spelled = str if name in _MAPS else _camel
        return {spelled(each): _value(each, below) for each, below in value.items()}
    if isinstance(value, list):
        return [_value(name, each) for each in value]
    return value
