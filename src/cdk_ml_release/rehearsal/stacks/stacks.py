"""Stacks: CloudFormation's promises, kept on a laptop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from .changes import Changes
from .handler import Handler, Physical, Request, ResourceRefused
from .intrinsics import Scope, text
from .registry import Registry
from .stack import Resource, Stack, StackEvent, StackFailed
from .template import BoundTemplate, Template, TemplateRefused

__all__ = [
    "Handler",
    "Physical",
    "Request",
    "Resource",
    "ResourceRefused",
    "Stack",
    "StackEvent",
    "StackFailed",
    "Stacks",
]

BUILT_IN = frozenset({"AWS::CDK::Metadata", "AWS::CloudFormation::WaitConditionHandle"})
"""The types that need no handler: they do nothing."""

_UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


class Stacks:
    """The stacks of one account and Region.

    Different stacks may be deployed from different threads at the same time.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        account: str,
        region: str,
        ssm_lookup: Callable[[str], str],
        now: Callable[[], datetime],
        on_event: Callable[[StackEvent], None] | None = None,
    ) -> None:
        """Start without stacks.

        Args:
            handlers: One per resource type; any other type in a template is refused.
            account: The account's number.
            region: The Region's name.
            ssm_lookup: The value of an SSM parameter by name, or ``name:version``. Raises ``LookupError`` or
                botocore's ``ClientError`` if there is none.
            now: The time, for events.
            on_event: Told every event as it happens, in the thread that deploys.
        """
        inert: dict[str, Handler] = {name: _Inert() for name in BUILT_IN}
        self._handlers = {**inert, **handlers}
        self._ssm_lookup = ssm_lookup
        self._registry = Registry(account, region, now, on_event)

    def __iter__(self) -> Iterator[Stack]:
        """Iterate over the stacks that exist now, in the order of their creation."""
        return iter(self._registry)

    def get(self, name: str) -> Stack | None:
        """Return the stack as it is now, or None if it does not exist or was deleted."""
        return self._registry.get(name)

    def deploy(
        self,
        name: str,
        template: Mapping[str, Any],
        *,
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        caller: object,
        replace_failed: bool = False,
    ) -> Stack:
        """Create the stack, or update it to the template. Without a difference nothing happens.

        Args:
            name: The stack's name.
            template: The template as JSON gives it.
            parameters: Values by name. An update keeps the values of those that are not given.
            tags: Kept with the stack, not handed to its resources. Default: those it has.
            caller: Handed to the handlers: whoever deploys.
            replace_failed: Whether to delete a stack in a failed state first, instead of refusing it.

        Returns:
            The stack, in ``CREATE_COMPLETE`` or ``UPDATE_COMPLETE``, or as it was if nothing differs.

        Raises:
            StackFailed: after the rollback; or at once, with nothing touched, if the template, a parameter, a
                resource type or the stack's state rules the deployment out.
        """
        with self._registry.claim(name):
            found = self.get(name)
            current = found if found and found.status in _UPDATABLE else None
            if found and not current and not replace_failed:
                raise StackFailed(name, f"is in {found.status} and cannot be updated; delete it first")
            stack = current or self._registry.new(name)
            bound = self._bind(stack, template, parameters or {})
            if current and tags in (None, current.tags) and self._is_current(current, bound):
                return current
            if found and not current:
                self._delete(found, caller)
            asked = {
                "template": copy.deepcopy(dict(template)),
                "parameters": bound.parameters,
                "tags": stack.tags if tags is None else dict(tags),
            }
            return self._perform(stack, bound, asked, caller, "UPDATE" if current else "CREATE")

    def delete(self, name: str, *, caller: object) -> None:
        """Delete the stack and what it holds, save what says Retain. A stack that does not exist is no error.

        Args:
            name: The stack's name.
            caller: Handed to the handlers: whoever deletes.

        Raises:
            StackFailed: if another stack imports from it, or if a resource could not be deleted.
        """
        with self._registry.claim(name):
            if stack := self.get(name):
                self._delete(stack, caller)

    def _bind(self, stack: Stack, template: Mapping[str, Any], parameters: Mapping[str, str]) -> BoundTemplate:
        try:
            bound = Template(template).bind(
                parameters=parameters,
                previous=stack.parameters,
                pseudo=self._registry.pseudo_parameters(stack),
                ssm=self._ssm,
            )
        except TemplateRefused as refusal:
            raise StackFailed(stack.name, str(refusal)) from refusal
        declared = bound.resources.values()
        if unknown := [item for item in declared if item.type not in self._handlers]:
            names = ", ".join(f"{item.logical_id!r} ({item.type})" for item in unknown)
            raise StackFailed(stack.name, f"the rehearsal does not know the resource type of {names}; replace them")
        for item in declared:
            held = stack.resources.get(item.logical_id)
            if held and held.type != item.type:
                reason = f"must keep its type, got {item.type!r}; give the new resource another logical id"
                raise StackFailed(stack.name, reason, logical_id=item.logical_id, resource_type=held.type)
        return bound

    def _ssm(self, name: str) -> str:
        try:
            return self._ssm_lookup(name)
        except ClientError as error:
            raise TemplateRefused(f"the SSM parameter {name!r} cannot be read: {error}") from error

    def _is_current(self, stack: Stack, bound: BoundTemplate) -> bool:
        if bound.resources.keys() != stack.resources.keys():
            return False
        scope = self._registry.scope(bound.scope, stack.resources, set())
        try:
            return _answers(bound, scope) == (stack.outputs, stack.exports) and all(
                _properties(bound, name, scope) == stack.resources[name].properties for name in bound.resources
            )
        except TemplateRefused:
            return False  # the update will say so, and roll back

    def _perform(
        self, stack: Stack, bound: BoundTemplate, asked: Mapping[str, Any], caller: object, verb: str
    ) -> Stack:
        changes = self._changes(stack, caller)
        self._registry.move(stack, f"{verb}_IN_PROGRESS")
        with self._interruptible(stack, changes, verb):
            try:
                self._apply(stack, bound, asked, changes)
            except StackFailed as failure:
                raise self._rolled_back(stack, failure, changes, verb) from failure.__cause__
            if verb == "UPDATE":
                self._registry.move(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            changes.clean_up(bound.resources)
            self._registry.move(stack, f"{verb}_COMPLETE", resources=changes.resources)
        return self._registry.get(stack.name) or stack

    def _apply(self, stack: Stack, bound: BoundTemplate, asked: Mapping[str, Any], changes: Changes) -> None:
        imports: set[str] = set()
        scope = self._registry.scope(bound.scope, changes.resources, imports)
        for name, declared in bound.resources.items():
            try:
                changes.apply(declared, _properties(bound, name, scope))
            except (TemplateRefused, ResourceRefused) as refusal:
                if isinstance(refusal, TemplateRefused):
                    changes.refuse(declared, str(refusal))
                reason, type_ = str(refusal), declared.type
                raise StackFailed(stack.name, reason, logical_id=name, resource_type=type_) from refusal
        try:
            outputs, exports = _answers(bound, scope)
        except TemplateRefused as refusal:
            raise StackFailed(stack.name, str(refusal)) from refusal
        self._registry.publish(stack, **asked, outputs=outputs, exports=exports, imports=frozenset(imports))

    def _rolled_back(self, stack: Stack, failure: StackFailed, changes: Changes, verb: str) -> StackFailed:
        rollback = "ROLLBACK" if verb == "CREATE" else "UPDATE_ROLLBACK"
        self._registry.move(stack, f"{rollback}_IN_PROGRESS", failure.reason)
        reasons = "; ".join(changes.roll_back())
        status = f"{rollback}_FAILED" if reasons else f"{rollback}_COMPLETE"
        self._registry.move(stack, status, reasons or failure.reason, **changes.left())
        return StackFailed(
            stack.name,
            failure.reason,
            logical_id=failure.logical_id,
            resource_type=failure.resource_type,
            outcome=f"the stack is in {status}" + (f" because {reasons}" if reasons else ""),
        )

    def _delete(self, stack: Stack, caller: object) -> None:
        self._registry.check_exports(stack, {})
        changes = self._changes(stack, caller)
        self._registry.move(stack, "DELETE_IN_PROGRESS")
        with self._interruptible(stack, changes, "DELETE"):
            reasons = "; ".join(changes.delete_all())
            if reasons:
                self._registry.move(stack, "DELETE_FAILED", reasons, **changes.left())
                raise StackFailed(stack.name, f"cannot be deleted: {reasons}")
            self._registry.move(stack, "DELETE_COMPLETE", **changes.left())
        self._registry.forget(stack.name)

    def _changes(self, stack: Stack, caller: object) -> Changes:
        return Changes(
            stack=stack.name,
            resources=stack.resources,
            leftovers=stack.leftovers,
            handlers=self._handlers,
            caller=caller,
            emit=partial(self._registry.emit, stack.name),
        )

    @contextmanager
    def _interruptible(self, stack: Stack, changes: Changes, verb: str) -> Iterator[None]:
        """Leave a stack that a bug, or Ctrl-C, interrupts in a state from which it can be deleted."""
        try:
            yield
        except StackFailed:
            raise
        except BaseException as bug:
            self._registry.move(stack, f"{verb}_FAILED", f"interrupted by {bug!r}", **changes.left())
            raise


class _Inert:
    """A resource that is nothing but an entry in its stack."""

    replaced_by: frozenset[str] = frozenset()

    def create(self, request: Request) -> Physical:
        return Physical(id=f"{request.stack}-{request.logical_id}")

    def update(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        return physical

    def delete(self, request: Request, physical: Physical) -> None:
        pass


def _properties(bound: BoundTemplate, name: str, scope: Scope) -> dict[str, Any]:
    return bound.resolve(bound.resources[name].properties, scope) or {}


def _answers(bound: BoundTemplate, scope: Scope) -> tuple[dict[str, str], dict[str, str]]:
    outputs: dict[str, str] = {}
    exports: dict[str, str] = {}
    for output in bound.outputs:
        where = f"output {output.name!r}"
        outputs[output.name] = text(bound.resolve(output.value, scope), where)
        if output.export is not None:
            exports[text(bound.resolve(output.export, scope), where)] = outputs[output.name]
    return outputs, exports
