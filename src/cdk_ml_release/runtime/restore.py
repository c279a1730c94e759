"""Put an endpoint back on the release that it served before.

CodePipeline rolls a stage back within the current structure of its pipeline only: right after a change of the
pipeline it has nothing to go back to. So the check that finds a release wrong takes it back itself, through the
stack, which CloudFormation updates with the role that it was deployed with.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from . import aws, endpoint_stack
from .contract import StageFailed
from .in_service import Record

# CloudFormation's limit of a template that is part of the request (botocore: TemplateBody).
_LONGEST_TEMPLATE = 51_200


def deployed(cloudformation: Any, stack_name: str) -> tuple[str, dict[str, str]]:
    """The template and the parameters that a stack has now: what it takes to come back to them."""
    body = cloudformation.get_template(StackName=stack_name)["TemplateBody"]
    # botocore reads a template that is JSON.
    template = json.dumps(body if isinstance(body, dict) else json.loads(body))
    (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    return template, {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", ())}


def restore(cloudformation: Any, stack_name: str, record: Record, pace: aws.Pace) -> None:
    """Update the stack to what it was when ``record`` was written, and wait for the end of it.

    Raises:
        StageFailed: if that is not possible.
    """
    if not record.template or len(record.template) > _LONGEST_TEMPLATE:
        raise StageFailed("its record does not tell how it was deployed")
    stack = endpoint_stack.ready(cloudformation, stack_name, pace)
    template = json.loads(record.template)
    stack = endpoint_stack.clear_scaling(cloudformation, stack, template, pace)
    told = endpoint_stack.release_parameters(stack, record.manifest.version, template["Parameters"])
    try:
        cloudformation.update_stack(
            StackName=stack_name,
            TemplateBody=record.template,
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in (dict(record.parameters) | told).items()
            ],
        )
    except ClientError as error:
        # From experience: the model names no error for an update that would change nothing.
        if "No updates are to be performed" in aws.message(error):
            return
        raise StageFailed(aws.message(error)) from None
    stack = endpoint_stack.ready(cloudformation, stack_name, pace)
    if stack.status != "UPDATE_COMPLETE":
        raise StageFailed(f"the stack '{stack_name}' is {stack.status}: its events tell why")
