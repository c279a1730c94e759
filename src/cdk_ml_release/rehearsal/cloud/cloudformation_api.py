"""CloudFormation's API, as far as the runtime asks: look at a stack, update it, delete it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from ..stacks.stacks import Stack, StackFailed, Stacks
from .calls import Call
from .gateway import ApiError, Service

_ANSWERED = ("DescribeStacks", "GetTemplate", "UpdateStack", "DeleteStack")
OPERATIONS = frozenset(("cloudformation", operation) for operation in _ANSWERED)


def services(stacks: Stacks, deployed_with: Mapping[str, Any]) -> dict[tuple[str, str], Service]:
    """The operations that the rehearsal answers.

    Args:
        stacks: The rehearsed stacks.
        deployed_with: Stack name to whoever created it: CloudFormation deletes with the same rights.
    """

    def describe(call: Call) -> Mapping[str, Any]:
        name = _name(call)
        stack = stacks.get(name)
        if stack is None or stack.status == "DELETE_COMPLETE":
            raise ApiError("ValidationError", f"Stack with id {name} does not exist")
        return _answer("DescribeStacks", f"<Stacks><member>{_described(stack)}</member></Stacks>")

    def update(call: Call) -> Mapping[str, Any]:
        # Done before the answer, too; a failure shows in the stack's status, as CloudFormation's would.
        name, stack = _name(call), stacks.get(_name(call))
        if stack is None:
            raise ApiError("ValidationError", f"Stack [{name}] does not exist")
        template = stack.template
        if call.parameters.get("UsePreviousTemplate") != "true":
            template = json.loads(call.parameters["TemplateBody"])
        given = call.parameters.get("Parameters", ())
        wanted = {each["ParameterKey"]: each["ParameterValue"] for each in given if "ParameterValue" in each}
        if template == stack.template and wanted.items() <= stack.parameters.items():
            raise ApiError("ValidationError", "No updates are to be performed.")
        with contextlib.suppress(StackFailed):
            stacks.deploy(name, template, parameters=wanted, caller=deployed_with.get(name))
        return _answer("UpdateStack", f"<StackId>{escape(stack.id)}</StackId>")

    def template_of(call: Call) -> Mapping[str, Any]:
        stack = stacks.get(_name(call))
        if stack is None:
            raise ApiError("ValidationError", f"Stack with id {_name(call)} does not exist")
        return _answer("GetTemplate", f"<TemplateBody>{escape(json.dumps(stack.template))}</TemplateBody>")

    def delete(call: Call) -> Mapping[str, Any]:
        # Done before the answer, where CloudFormation only begins: nothing here takes long.
        name = _name(call)
        try:
            stacks.delete(name, caller=deployed_with.get(name))
        except StackFailed as failure:
            raise ApiError("ValidationError", str(failure)) from None
        return _answer("DeleteStack", "")

    answers = {"DescribeStacks": describe, "GetTemplate": template_of, "UpdateStack": update, "DeleteStack": delete}
    return {("cloudformation", operation): service for operation, service in answers.items()}


def _name(call: Call) -> str:
    name: str = call.parameters.get("StackName", "")
    if not name:
        raise ApiError("ValidationError", "the rehearsal describes one stack at a time: give its StackName")
    return name.split("/")[1] if name.startswith("arn:") else name


def _described(stack: Stack) -> str:
    outputs = "".join(
        f"<member><OutputKey>{escape(key)}</OutputKey><OutputValue>{escape(value)}</OutputValue></member>"
        for key, value in stack.outputs.items()
    )
    parameters = "".join(
        f"<member><ParameterKey>{escape(key)}</ParameterKey><ParameterValue>{escape(value)}</ParameterValue></member>"
        for key, value in stack.parameters.items()
    )
    created = stack.events[0].time.isoformat()
    return (
        f"<StackName>{escape(stack.name)}</StackName><StackId>{escape(stack.id)}</StackId>"
        f"<StackStatus>{stack.status}</StackStatus><CreationTime>{created}</CreationTime>"
        f"<StackStatusReason>{escape(stack.status_reason)}</StackStatusReason><Outputs>{outputs}</Outputs>"
        f"<Parameters>{parameters}</Parameters>"
    )


def _answer(operation: str, result: str) -> dict[str, Any]:
    body = (
        f'<{operation}Response xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">'
        f"<{operation}Result>{result}</{operation}Result></{operation}Response>"
    )
    return {"_status": 200, "_type": "text/xml", "_body": body.encode(), "_headers": {}}
