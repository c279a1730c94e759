"""The CloudFormation stack of an endpoint: made ready for an update, and told what only a release knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from . import aws
from .contract import StageFailed

_MOST_VERSIONS = 10
_SERVERLESS = "serverless"


@dataclass(frozen=True, kw_only=True)
class EndpointStack:
    """A stack as it is; with no status if there is none."""

    name: str
    status: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


def ready(cloudformation: Any, stack_name: str, pace: aws.Pace) -> EndpointStack:
    """Leave the stack as one that CloudFormation can create or update.

    A stack whose first creation failed never served and cannot be updated: it is deleted. One that something else
    is changing is waited for.

    Raises:
        StageFailed: if the stack needs a person.
    """
    asked = False
    for _ in pace:
        stack = _describe(cloudformation, stack_name)
        status = stack.status
        if status == "UPDATE_ROLLBACK_FAILED":
            raise StageFailed(
                f"the stack '{stack_name}' is {status}: continue its roll-back in CloudFormation, then retry the stage"
            )
        if status == "DELETE_FAILED" and asked:
            raise StageFailed(f"the stack '{stack_name}' cannot be deleted: delete it by hand, then retry the stage")
        if status in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            # Asked once: a deletion may take a moment to show, and its failure is not asked for again.
            if not asked:
                print(f"deleting the stack {stack_name}, whose creation failed before")
                cloudformation.delete_stack(StackName=stack_name)
                asked = True
        elif not status.endswith("_IN_PROGRESS"):
            return stack
    raise StageFailed(
        f"the stack '{stack_name}' is still {status} after {pace.limit_seconds / 60:g} minutes: wait for its end or "
        "delete it, then retry the stage"
    )


def check_change(stack: EndpointStack, template: Mapping[str, Any]) -> None:
    """Refuse a change of hosting that SageMaker refuses an endpoint.

    Raises:
        StageFailed: if an endpoint on instances is to become serverless. The other way is possible, once.
    """
    before, after = stack.outputs.get("Capacity", _SERVERLESS), _capacity(template)
    if before != _SERVERLESS and after == _SERVERLESS:
        raise StageFailed(
            f"the endpoint of the stack '{stack.name}' is on {before} and cannot become serverless: give the release "
            "another 'endpoint_name'"
        )


def clear_scaling(
    cloudformation: Any, stack: EndpointStack, template: Mapping[str, Any], pace: aws.Pace
) -> EndpointStack:
    """Take the endpoint's scaling away where it would make the update fail; the update puts it back.

    SageMaker refuses to change the instance type of a variant that is registered as a scalable target, and
    CloudFormation removes resources only after it has updated the others: so it is an update of its own.

    Returns:
        The stack, whose endpoint keeps the number of instances that it has.

    Raises:
        StageFailed: if the scaling cannot be taken away.
    """
    if stack.parameters.get("Scaled") != "yes" or stack.outputs.get("Capacity") == _capacity(template):
        return stack
    print(f"taking the scaling from {stack.outputs.get('Capacity')} away before it becomes {_capacity(template)}")
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in stack.parameters if name != "Scaled"]
    cloudformation.update_stack(
        StackName=stack.name,
        UsePreviousTemplate=True,
        Parameters=[*kept, {"ParameterKey": "Scaled", "ParameterValue": "no"}],
    )
    cleared = ready(cloudformation, stack.name, pace)
    if cleared.parameters.get("Scaled") == "yes":
        raise StageFailed(
            f"the scaling of the stack '{stack.name}' cannot be taken away, it is {cleared.status}: see the stack's "
            "events, then retry the stage"
        )
    return cleared


def release_parameters(stack: EndpointStack, version: int, declared: Mapping[str, Any]) -> dict[str, str]:
    """What the stack must be told of this release: as far as its template asks.

    Args:
        stack: The stack before the release.
        version: The number of the model version that is released.
        declared: The template's parameters.
    """
    known = {
        "Updates": "yes" if stack.status else "no",
        "Scaled": "yes",
        "Versions": _versions(stack.parameters.get("Versions", "[]"), version),
    }
    return {name: value for name, value in known.items() if name in declared}


def _versions(before: str, version: int) -> str:
    """The dashboard's annotations: when which version came, the last ones only."""
    versions: list[dict[str, str]] = json.loads(before)
    label = f"version {version}"
    if not versions or versions[-1]["label"] != label:
        versions.append({"label": label, "value": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")})
    return json.dumps(versions[-_MOST_VERSIONS:])


def _capacity(template: Mapping[str, Any]) -> str:
    capacity: str = template.get("Outputs", {}).get("Capacity", {}).get("Value", "")
    return capacity


def _describe(cloudformation: Any, stack_name: str) -> EndpointStack:
    try:
        stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    except ClientError as error:
        # The code alone also stands for a malformed request (from experience; the model names no error).
        if aws.code(error) == "ValidationError" and "does not exist" in aws.message(error):
            return EndpointStack(name=stack_name)
        raise
    return EndpointStack(
        name=stack_name,
        status=stack["StackStatus"],
        parameters={each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", ())},
        outputs={each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())},
    )
