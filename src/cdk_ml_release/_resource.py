"""Resources written as CloudFormation has them, which CDK includes construct by construct.

Every call into CDK's kernel is a round trip to another process, a construct of CDK's takes several, and its module is
loaded on both sides. A construct of this library writes its resources into one template instead, which CDK includes in
one call. They speak of each other by the names that CDK gives them, which :mod:`_place` knows without asking.

cdk-nag knows resources by the classes that CDK has for them: where it is loaded, CDK is let make these, and keeps the
references itself. So it does in a stack with names of its own.
"""

from __future__ import annotations

import atexit
import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache, cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from aws_cdk import CfnResource, RemovalPolicy, Stack, Token
from constructs import Construct, IConstruct

from ._place import Place, place_of
from ._reference import mark, reference, written

if TYPE_CHECKING:
    from aws_cdk.cloudformation_include import CfnInclude

_POLICIES = {
    RemovalPolicy.DESTROY: {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"},
    RemovalPolicy.RETAIN: {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"},
    RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE: {
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
    },
}


_fragments: WeakKeyDictionary[IConstruct, _Fragment] = WeakKeyDictionary()
# Never emptied: a text that speaks of a resource keeps nothing else of it.
_resources: list[Resource] = []


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
        self._id = construct_id
        self._declared: dict[str, Any] = {"Type": kind, "Properties": dict(properties)}
        if removal_policy is not None:
            self._declared |= _POLICIES[removal_policy]
        self._cfn: CfnResource | None = None
        self._number = len(_resources)
        self.ref = mark(self._number)
        _resources.append(self)
        self._fragment = _fragments.get(scope) or _fragments.setdefault(scope, _Fragment(scope))
        self._fragment.waiting[construct_id] = self

    def attribute(self, name: str) -> str:
        """What ``Fn::GetAtt`` gives, to be a part of texts that become properties of a resource."""
        return mark(self._number, name)

    @property
    def arn(self) -> str:
        """The attribute ``Arn``."""
        return self.attribute("Arn")

    def change(self, name: str, value: Any) -> None:
        """Write a property anew, of any type but those that CDK has classes of its own for."""
        if not self.waits and hasattr(self.cfn, _snake(name)):
            # Not as an override, which cdk-nag does not see.
            setattr(self.cfn, _snake(name), with_tokens(value))
        else:
            self.override(name, value)

    def override(self, name: str, value: Any) -> None:
        """Write a property anew, whatever its type; None leaves it out."""
        if self.waits:
            self._declared["Properties"][name] = value
        elif value is None:
            self.cfn.add_property_deletion_override(name)
        else:
            self.cfn.add_property_override(name, with_tokens(value))

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

    @property
    def logical_id(self) -> str:
        """What the template of its stack calls it."""
        return self._fragment.logical_id(self._id)

    @property
    def stack(self) -> Stack:
        """The stack that it is in."""
        return self._fragment.place.stack

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
        declared: dict[str, Any] = _written(self._declared, name)
        return declared


class _Fragment:
    """The part of a stack's template that belongs to one construct.

    Attributes:
        place: Where the construct is.
        waiting: The resources that are not included yet, by their names here.
    """

    def __init__(self, scope: Construct) -> None:
        self.place: Place = place_of(scope)
        self.waiting: dict[str, Resource] = {}
        self._scope = scope
        self._where: dict[str, CfnInclude] = {}

    def include(self) -> None:
        """Let CDK include what is waiting."""
        if not self.waiting:
            return
        included = self._include(typed=self._typed)
        if not self._typed and not self._is_named(included, next(iter(self.waiting))):
            _named_otherwise.add(self.place.stack)
            self._scope.node.try_remove_child(_DEFAULT)
            included = self._include(typed=True)
        self._where |= dict.fromkeys(self.waiting, included)
        self._scope = included
        self.waiting = {}

    @property
    def _typed(self) -> bool:
        return "cdk_nag" in sys.modules or self.place.stack in _named_otherwise

    def _include(self, *, typed: bool) -> CfnInclude:
        # Loaded on use: an app without this library's constructs does without it.
        from aws_cdk.cloudformation_include import CfnInclude

        name = self._in_typed_fragment if typed else self._in_stack
        resources = {each: resource.declaration(name) for each, resource in self.waiting.items()}
        file = _fragment_file()
        file.write_text(json.dumps({"Resources": resources}, ensure_ascii=False), encoding="utf-8")
        return CfnInclude(
            self._scope,
            _DEFAULT,
            template_file=str(file),
            preserve_logical_ids=False,
            dehydrated_resources=None if typed else list(resources),
        )

    def _is_named(self, included: CfnInclude, name: str) -> bool:
        """Whether the stack gives the names that CDK gives; a stack of others is asked once."""
        stack = self.place.stack
        if stack not in _named_as_usual and (
            _is_cdks(stack) or stack.get_logical_id(included.get_resource(name)) == self.logical_id(name)
        ):
            _named_as_usual.add(stack)
        return stack in _named_as_usual

    def logical_id(self, name: str) -> str:
        """What the template of the stack calls a resource."""
        if self.place.stack not in _named_otherwise:
            return self.place.logical_id(name)
        found: str = self.place.stack.resolve(self.included(name).logical_id)
        return found

    def included(self, name: str) -> CfnResource:
        """A resource that is included."""
        found: CfnResource = self._where[name].get_resource(name)
        return found

    def _in_typed_fragment(self, resource: Resource, attribute: str | None) -> str:
        if self.waiting.get(resource._id) is not resource:
            return resource.token(attribute)
        return reference(resource._id, attribute)

    def _in_stack(self, resource: Resource, attribute: str | None) -> str:
        return _in_stack(self.place.stack, resource, attribute)


def _is_cdks(stack: Stack) -> bool:
    """Whether it is of CDK's class, or of one in Python that names nothing itself."""
    kind = type(stack)
    return kind.__jsii_type__ == Stack.__jsii_type__ and kind._allocate_logical_id is Stack._allocate_logical_id  # type: ignore[attr-defined]


@cache
def _fragment_file() -> Path:
    """Where fragments are handed over, one after the other."""
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name, "fragment.json")


_DEFAULT = "Default"
"""A name that CDK leaves out of the names in a template: what comes late is called as if it had come early."""

_named_as_usual: WeakSet[Stack] = WeakSet()
_named_otherwise: WeakSet[Stack] = WeakSet()
_Naming = Callable[[Resource, str | None], str]


def _written(value: Any, name: _Naming) -> Any:
    return written(value, lambda number, attribute: name(_resources[number], attribute))


def _by_token(resource: Resource, attribute: str | None) -> str:
    return resource.token(attribute)


def _in_stack(stack: Stack, resource: Resource, attribute: str | None) -> str:
    if resource.stack is not stack:
        return resource.token(attribute)
    return reference(resource.logical_id, attribute)


def rendered(value: Any, stack: Stack) -> Any:
    """A property as the template of a stack has it at last.

    Args:
        value: Texts may hold what :class:`Resource` gives, ``${AWS::Region}`` and the like, and tokens of CDK's.
        stack: Whose template it is.
    """
    return _written(value, partial(_in_stack, stack))


def with_tokens(value: Any) -> Any:
    """A property for constructs of CDK's in any stack, with its references as tokens."""
    return _written(value, _by_token)


def token(text: str) -> str:
    """A text for them."""
    value = with_tokens(text)
    return value if isinstance(value, str) else Token.as_string(value)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
