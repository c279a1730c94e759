"""Resources written as the properties that CloudFormation reads.

Every call into CDK's kernel is a round trip to another process. A construct of CDK's takes several of them, loads its
module on both sides, and its tokens are searched for twice; a resource that is written out takes one call.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from aws_cdk import CfnResource, RemovalPolicy, Stack, Token
from constructs import Construct, IConstruct

_TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")
_MARK = re.compile(r"\$\{Resource(\d+)(?:\.(\w+))?\}")
_WHOLE = re.compile(r"\$\{([\w:]+)(?:\.(\w+))?\}")


class Verbatim(str):
    """A text in which ``${...}`` is no reference of the template."""


_stacks: WeakKeyDictionary[IConstruct, Stack] = WeakKeyDictionary()
_resources: list[Resource] = []


def stack_of(construct: IConstruct, scope: IConstruct | None = None) -> Stack:
    """The stack of a construct, asked for once.

    Args:
        construct: The construct.
        scope: What it belongs to, whose stack is likely to be known.
    """
    if isinstance(construct, Stack):
        return construct
    if construct not in _stacks:
        _stacks[construct] = Stack.of(construct) if scope is None else stack_of(scope)
    return _stacks[construct]


class Resource:
    """A resource, of which other resources may speak before CDK has named it, in its own stack and in others.

    Attributes:
        cfn: The resource as CDK knows it.
        stack: Its stack.
        ref: What ``Ref`` gives, to be a part of texts that become properties of a resource.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        kind: str,
        properties: Mapping[str, Any],
        *,
        removal_policy: RemovalPolicy | None = None,
    ) -> None:
        """Define the resource.

        Args:
            scope: The construct that it belongs to.
            construct_id: Unique among the children of ``scope``.
            kind: Its type in CloudFormation.
            properties: As CloudFormation spells them; those that are None are left out.
            removal_policy: What happens to it when it leaves the stack. Default: it is deleted.
        """
        self.stack = stack_of(scope)
        self.cfn = _define(scope, construct_id, kind, rendered(properties, self.stack))
        if removal_policy is not None:
            self.cfn.apply_removal_policy(removal_policy)
        self._mark = f"Resource{len(_resources)}"
        self.ref = f"${{{self._mark}}}"
        _resources.append(self)

    def attribute(self, name: str) -> str:
        """What ``Fn::GetAtt`` gives, to be a part of texts that become properties of a resource."""
        return f"${{{self._mark}.{name}}}"

    @property
    def arn(self) -> str:
        """The attribute ``Arn``."""
        return self.attribute("Arn")

    def change(self, name: str, value: Any) -> None:
        """Write a property anew."""
        value = rendered(value, self.stack)
        if type(self.cfn) is CfnResource:
            self.cfn.add_property_override(name, value)
        else:
            from ._typed import change_typed

            change_typed(self.cfn, name, value)

    @cached_property
    def logical_id(self) -> str:
        """What the template of its stack calls it."""
        return self.stack.get_logical_id(self.cfn)

    def token(self, attribute: str | None = None) -> str:
        """The same as a token of CDK's, which finds its way into other stacks."""
        return self.cfn.ref if attribute is None else Token.as_string(self.cfn.get_att(attribute))


def _define(scope: Construct, construct_id: str, kind: str, properties: Mapping[str, Any]) -> CfnResource:
    if "cdk_nag" in sys.modules:
        from ._typed import typed_resource

        return typed_resource(scope, construct_id, kind, properties)
    return CfnResource(scope, construct_id, type=kind, properties=properties)


def rendered(value: Any, stack: Stack | None) -> Any:
    """A property with its references as a stack's template writes them.

    Args:
        value: Texts may hold what :class:`Resource` gives, ``${AWS::Region}`` and the like, and tokens of CDK's.
        stack: Whose template it is for; None if that is not known.
    """
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, str):
        return _text(value, stack) if "${" in value else value
    if isinstance(value, Mapping):
        return {rendered(key, stack): rendered(each, stack) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [rendered(each, stack) for each in value]
    return value


def token(text: str) -> str:
    """A text for constructs of CDK's in any stack, with its references as tokens."""
    value = rendered(text, None)
    return value if isinstance(value, str) else Token.as_string(value)


def _text(text: str, stack: Stack | None) -> Any:
    text = _MARK.sub(lambda mark: _reference(_resources[int(mark[1])], mark[2], stack), text)
    if "${" not in _TOKEN.sub("", text):
        return text
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return {"Ref": whole[1]} if whole[2] is None else {"Fn::GetAtt": [whole[1], whole[2]]}
    values = {found: f"Token{number}" for number, found in enumerate(dict.fromkeys(_TOKEN.findall(text)))}
    text = _TOKEN.sub(lambda found: f"${{{values[found[0]]}}}", text)
    return {"Fn::Sub": [text, {name: found for found, name in values.items()}] if values else text}


def _reference(resource: Resource, attribute: str | None, stack: Stack | None) -> str:
    if resource.stack is not stack:
        return resource.token(attribute)
    return f"${{{resource.logical_id}}}" if attribute is None else f"${{{resource.logical_id}.{attribute}}}"
