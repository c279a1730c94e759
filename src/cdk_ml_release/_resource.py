"""Resources written as CloudFormation has them, which CDK includes construct by construct.

Every call into CDK's kernel is a round trip to another process, and a construct of CDK's takes several. A construct of
this library writes its resources into one template instead, which CDK turns into constructs of its own in one call:
they have their classes, for escape hatches and for cdk-nag, and CDK keeps their references.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakKeyDictionary

from aws_cdk import CfnResource, RemovalPolicy, Stack, Token
from constructs import Construct, IConstruct

_TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")
_MARK = re.compile(r"\$\{Resource(\d+)(?:\.(\w+))?\}")
_WHOLE = re.compile(r"\$\{([\w:]+)(?:\.(\w+))?\}")
_POLICIES = {
    RemovalPolicy.DESTROY: {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"},
    RemovalPolicy.RETAIN: {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"},
    RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE: {
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
    },
}


class Verbatim(str):
    """A text in which ``${...}`` is no reference of the template."""


_stacks: WeakKeyDictionary[IConstruct, Stack] = WeakKeyDictionary()
_fragments: WeakKeyDictionary[IConstruct, _Fragment] = WeakKeyDictionary()
# Never emptied: a text that speaks of a resource keeps nothing else of it.
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


def include(scope: Construct) -> None:
    """Let CDK include the resources of a construct, which are waiting for it until then."""
    if scope in _fragments:
        _fragments[scope].include()


class Resource:
    """A resource, of which other resources may speak before CDK knows it, in its own stack and in others.

    Attributes:
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
        """Define the resource; it is in the stack from :func:`include` on.

        Args:
            scope: The construct that it belongs to.
            construct_id: Unique among the resources of ``scope``.
            kind: Its type in CloudFormation.
            properties: As CloudFormation spells them; those that are None are left out.
            removal_policy: What happens to it when it leaves the stack. Default: it is deleted.
        """
        self._scope = scope
        self._id = construct_id
        self._declared: dict[str, Any] = {"Type": kind, "Properties": dict(properties)}
        if removal_policy is not None:
            self._declared |= _POLICIES[removal_policy]
        self._cfn: CfnResource | None = None
        self._mark = f"Resource{len(_resources)}"
        self.ref = f"${{{self._mark}}}"
        _resources.append(self)
        self._fragment = _fragments.get(scope) or _fragments.setdefault(scope, _Fragment(scope))
        self._fragment.waiting[construct_id] = self

    def attribute(self, name: str) -> str:
        """What ``Fn::GetAtt`` gives, to be a part of texts that become properties of a resource."""
        return f"${{{self._mark}.{name}}}"

    @property
    def arn(self) -> str:
        """The attribute ``Arn``."""
        return self.attribute("Arn")

    def change(self, name: str, value: Any) -> None:
        """Write a property anew, of any type but those that CDK has classes of its own for."""
        if self.waits:
            self._declared["Properties"][name] = value
        else:
            # Not as an override, which those who look at an app's constructs do not see.
            setattr(self.cfn, _snake(name), with_tokens(value))

    def override(self, name: str, value: Any) -> None:
        """Write a property anew, whatever its type."""
        if self.waits:
            self._declared["Properties"][name] = value
        else:
            self.cfn.add_property_override(name, with_tokens(value))

    def needs(self, other: Resource) -> None:
        """Make it wait for another resource of the same construct at deployment."""
        if self.waits:
            self._declared.setdefault("DependsOn", []).append(other._id)
        else:
            self.cfn.add_dependency(other.cfn)

    @property
    def waits(self) -> bool:
        """Whether CDK has not included it yet."""
        return self._fragment.waiting.get(self._id) is self

    @property
    def cfn(self) -> CfnResource:
        """The resource as CDK knows it, which includes it if that has not been done."""
        if self._cfn is None:
            if self.waits:
                self._fragment.include()
            self._cfn = self._fragment.included(self._id)
        return self._cfn

    def become(self, cfn: CfnResource) -> None:
        """Let a construct of CDK's take its place, with the same name in the template."""
        cfn.override_logical_id(self.logical_id)
        self.remove()
        self._cfn = cfn

    def remove(self) -> None:
        """Take it out of the stack again."""
        scope = self.cfn.node.scope
        assert scope is not None, "only an app has none"
        scope.node.try_remove_child(self._id)

    @cached_property
    def logical_id(self) -> str:
        """What the template of its stack calls it."""
        found: str = stack_of(self._scope).resolve(self.cfn.logical_id)
        return found

    def token(self, attribute: str | None = None) -> str:
        """The same as a token of CDK's, which finds its way into other stacks."""
        if attribute not in self._tokens:
            # What is asked for most is an attribute of CDK's classes too, and takes one call instead of two.
            asked = {None: "ref", "Arn": "attr_arn"}.get(attribute, "")
            found = getattr(self.cfn, asked, None)
            self._tokens[attribute] = found if found else Token.as_string(self.cfn.get_att(str(attribute)))
        return self._tokens[attribute]

    @cached_property
    def _tokens(self) -> dict[str | None, str]:
        return {}

    def declaration(self, name: _Naming) -> dict[str, Any]:
        """The resource as its template has it."""
        declared: dict[str, Any] = _rendered(self._declared, name)
        return declared


class _Fragment:
    """The part of a stack's template that belongs to one construct.

    Attributes:
        waiting: The resources that are not included yet, by their names here.
    """

    def __init__(self, scope: Construct) -> None:
        self.waiting: dict[str, Resource] = {}
        self._scope = scope
        self._in_stack_itself = isinstance(scope, Stack)
        self._where: dict[str, Any] = {}

    def include(self) -> None:
        """Let CDK include what is waiting."""
        if not self.waiting:
            return
        # Loaded on use: an app without this library's constructs does without it.
        from aws_cdk.cloudformation_include import CfnInclude

        resources = {name: each.declaration(self._name) for name, each in self.waiting.items()}
        with TemporaryDirectory() as folder:
            file = Path(folder, "fragment.json")
            file.write_text(json.dumps({"Resources": resources}, ensure_ascii=False), encoding="utf-8")
            # CDK leaves 'Default' out of the names in the template: what comes late is called as if it had come early.
            name = "Resources" if isinstance(self._scope, Stack) else "Default"
            included = CfnInclude(
                self._scope, name, template_file=str(file), preserve_logical_ids=self._in_stack_itself
            )
        self._where |= dict.fromkeys(self.waiting, included)
        self._scope = included
        self.waiting = {}

    def included(self, name: str) -> CfnResource:
        """A resource that is included."""
        found: CfnResource = self._where[name].get_resource(name)
        return found

    def _name(self, resource: Resource, attribute: str | None) -> str:
        if self.waiting.get(resource._id) is not resource:
            return _by_token(resource, attribute)
        return _reference(resource._id, attribute)


_Naming = Callable[[Resource, str | None], str]


def _by_token(resource: Resource, attribute: str | None) -> str:
    return resource.token(attribute)


def _reference(name: str, attribute: str | None) -> str:
    return f"${{{name}}}" if attribute is None else f"${{{name}.{attribute}}}"


def rendered(value: Any, stack: Stack) -> Any:
    """A property as the template of a stack has it at last.

    Args:
        value: Texts may hold what :class:`Resource` gives, ``${AWS::Region}`` and the like, and tokens of CDK's.
        stack: Whose template it is.
    """

    def name(resource: Resource, attribute: str | None) -> str:
        if stack_of(resource.cfn) is not stack:
            return resource.token(attribute)
        return _reference(resource.logical_id, attribute)

    return _rendered(value, name)


def with_tokens(value: Any) -> Any:
    """A property for constructs of CDK's in any stack, with its references as tokens."""
    return _rendered(value, _by_token)


def token(text: str) -> str:
    """A text for them."""
    value = with_tokens(text)
    return value if isinstance(value, str) else Token.as_string(value)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _rendered(value: Any, name: _Naming) -> Any:
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, str):
        return _text(value, name) if "${" in value else value
    if isinstance(value, Mapping):
        return {_rendered(key, name): _rendered(each, name) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_rendered(each, name) for each in value]
    return value


def _text(text: str, name: _Naming) -> Any:
    text = _MARK.sub(lambda mark: name(_resources[int(mark[1])], mark[2]), text)
    if "${" not in _TOKEN.sub("", text):
        return text
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return {"Ref": whole[1]} if whole[2] is None else {"Fn::GetAtt": [whole[1], whole[2]]}
    names = {found: f"Token{number}" for number, found in enumerate(dict.fromkeys(_TOKEN.findall(text)))}
    text = _TOKEN.sub(lambda found: f"${{{names[found[0]]}}}", text)
    return {"Fn::Sub": [text, {names[found]: found for found in names}] if names else text}
