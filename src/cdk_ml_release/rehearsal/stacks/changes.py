"""Changes: what a deployment does to the resources of one stack, and how it takes that back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from .handler import Handler, Physical, Request, ResourceRefused
from .stack import Resource
from .template import Declaration

_Result = TypeVar("_Result")
_NOTHING = Physical(id="")
_RETAINED = {"Retain", "RetainExceptOnCreate"}
_MISSING = object()


class Changes:
    """The changes of one operation on one stack: applied one by one, then cleaned up or rolled back.

    Attributes:
        resources: What the stack holds at this moment, by logical id.
        leftovers: What exists beside that since a rollback failed.
    """

    def __init__(
        self,
        *,
        stack: str,
        resources: Mapping[str, Resource],
        leftovers: Sequence[Resource] = (),
        handlers: Mapping[str, Handler],
        caller: object,
        emit: Callable[[str, str, str, str], None],
    ) -> None:
        """Start from what the stack holds.

        Args:
            stack: The stack's name.
            resources: What it holds, each after everything it depends on.
            leftovers: What an earlier operation left beside that.
            handlers: One per resource type; has all types.
            caller: Handed to the handlers.
            emit: Told what happens: logical id, type, status, reason.
        """
        self.resources = dict(resources)
        self.leftovers = list(leftovers)
        self._before = dict(resources)
        self._touched: list[str] = []
        self._stack = stack
        self._handlers = handlers
        self._caller = caller
        self._emit = emit

    def apply(self, declared: Declaration, properties: Mapping[str, Any]) -> None:
        """Create, update or replace one resource, or leave it if its properties are as last applied.

        Raises:
            ResourceRefused: if the handler refuses; then call ``roll_back``.
        """
        name = declared.logical_id
        old = self._before.get(name)
        wanted = Resource(
            logical_id=name,
            type=declared.type,
            properties=copy.deepcopy(properties),
            physical=old.physical if old else _NOTHING,
            status=old.status if old else "",
            depends_on=declared.depends_on,
            deletion_policy=declared.deletion_policy,
            replace_policy=declared.replace_policy,
        )
        handler = self._handlers[declared.type]
        if old is None:
            self._change(wanted, "CREATE", lambda: handler.create(self._request(wanted)))
        elif not (changed := _changed(old.properties, wanted.properties)):
            self.resources[name] = wanted
        elif changed & handler.replaced_by:
            self._change(wanted, "UPDATE", lambda: self._replace(wanted, old))
        else:
            self._change(wanted, "UPDATE", lambda: self._update(wanted, old), refused=old.physical)

    def refuse(self, declared: Declaration, reason: str) -> None:
        """Tell that a resource was not tried, because its properties have no value."""
        verb = "UPDATE" if declared.logical_id in self._before else "CREATE"
        self._emit(declared.logical_id, declared.type, f"{verb}_FAILED", reason)

    def clean_up(self, order: Iterable[str]) -> None:
        """Delete what was replaced or is no longer declared. A refusal is an event, nothing more.

        Args:
            order: The logical ids that stay, each after everything it depends on.
        """
        doomed = []
        kept = {name: self.resources[name] for name in order}
        for name, old in self._before.items():
            if name not in kept:
                doomed.append((old, old.deletion_policy in _RETAINED))
            elif kept[name].physical.id != old.physical.id:
                doomed.append((old, kept[name].replace_policy == "Retain"))
        self._discard(doomed)
        self.resources = kept

    def roll_back(self) -> list[str]:
        """Undo every change: restore what was updated, then delete what was created.

        Returns:
            Why it could not be undone, empty if it was.
        """
        restored, created, reasons = dict(self._before), [], []
        for name in self._touched:
            now, before = self.resources[name], self._before.get(name)
            if before is None:
                # CloudFormation keeps what says Retain even if its own creation is rolled back.
                created.append((now, now.deletion_policy == "Retain"))
            elif now.physical.id != before.physical.id:
                created.append((now, False))
            else:
                try:
                    restored[name] = self._restored(before, now)
                except ResourceRefused as refusal:
                    restored[name] = now
                    reasons.append(f"{name!r} ({now.type}) {refusal}")
        self.resources = restored
        if reasons:
            # Whatever could not be restored may still use them.
            self.leftovers += [resource for resource, _ in created]
            return reasons
        undeleted = self._discard(created)
        if self._before:
            return []
        self.resources = {resource.logical_id: resource for resource, _ in undeleted}
        return _reasons(undeleted)

    def delete_all(self) -> list[str]:
        """Delete everything that the stack holds, save what says Retain.

        Returns:
            Why something could not be deleted, empty if all was.
        """
        doomed = [(resource, resource.deletion_policy in _RETAINED) for resource in self.resources.values()]
        undeleted = self._discard([*doomed, *((leftover, False) for leftover in self.leftovers)])
        failed = {_key(resource): replace(resource, status="DELETE_FAILED") for resource, _ in undeleted}
        held = [failed[_key(resource)] for resource in self.resources.values() if _key(resource) in failed]
        self.resources = {resource.logical_id: resource for resource in held}
        self.leftovers = [leftover for leftover in self.leftovers if _key(leftover) in failed]
        return _reasons(undeleted)

    def left(self) -> dict[str, Any]:
        """Return what exists now, as the fields ``resources`` and ``leftovers`` of a stack."""
        now = self.resources
        replaced = [old for name, old in self._before.items() if name in now and _key(now[name]) != _key(old)]
        return {"resources": now, "leftovers": (*self.leftovers, *replaced)}

    def _change(
        self, wanted: Resource, verb: str, act: Callable[[], Physical], refused: Physical | None = None
    ) -> None:
        try:
            physical = self._attempt(wanted, verb, act)
        except ResourceRefused as refusal:
            if existing := refusal.physical or refused:
                self._keep(replace(wanted, physical=existing, status=f"{verb}_FAILED"))
            raise
        self._keep(replace(wanted, physical=physical, status=f"{verb}_COMPLETE"))

    def _keep(self, resource: Resource) -> None:
        self.resources[resource.logical_id] = resource
        self._touched.append(resource.logical_id)

    def _update(self, wanted: Resource, old: Resource) -> Physical:
        handler = self._handlers[wanted.type]
        physical = handler.update(self._request(wanted), old.physical, copy.deepcopy(old.properties))
        if physical.id != old.physical.id:
            raise RuntimeError(
                f"the handler of {wanted.type!r} must keep the id in an update, got {physical.id!r} for "
                f"{old.physical.id!r}; list the changed property in 'replaced_by'"
            )
        return physical

    def _replace(self, wanted: Resource, old: Resource) -> Physical:
        physical = self._handlers[wanted.type].create(self._request(wanted))
        if physical.id == old.physical.id:
            raise ResourceRefused(f"must be replaced but keeps its name {physical.id!r}; rename it")
        return physical

    def _restored(self, before: Resource, now: Resource) -> Resource:
        physical = self._attempt(before, "UPDATE", lambda: self._update(before, now))
        return replace(before, physical=physical, status="UPDATE_COMPLETE")

    def _discard(self, doomed: Sequence[tuple[Resource, bool]]) -> list[tuple[Resource, str]]:
        """Delete what is not retained, dependents first; return what could not be deleted, and why."""
        waiting = list(doomed)
        undeleted: list[tuple[Resource, str]] = []
        while waiting:
            resource, retained = waiting.pop(_last_unneeded([resource for resource, _ in waiting]))
            users = [other.logical_id for other, _ in undeleted if resource.logical_id in other.depends_on]
            if retained:
                self._emit(resource.logical_id, resource.type, "DELETE_SKIPPED", "")
            elif users:
                reason = f"is still needed by {users[0]!r}"
                self._emit(resource.logical_id, resource.type, "DELETE_FAILED", reason)
                undeleted.append((resource, reason))
            else:
                try:
                    self._attempt(resource, "DELETE", partial(self._delete, resource))
                except ResourceRefused as refusal:
                    undeleted.append((resource, str(refusal)))
        return undeleted

    def _delete(self, resource: Resource) -> None:
        self._handlers[resource.type].delete(self._request(resource), resource.physical)

    def _attempt(self, resource: Resource, verb: str, act: Callable[[], _Result]) -> _Result:
        name, type_ = resource.logical_id, resource.type
        self._emit(name, type_, f"{verb}_IN_PROGRESS", "")
        try:
            result = act()
        except (ResourceRefused, ClientError, ParamValidationError) as refusal:
            reason = " ".join(str(refusal).split())
            self._emit(name, type_, f"{verb}_FAILED", reason)
            if isinstance(refusal, ResourceRefused):
                raise
            raise ResourceRefused(reason) from refusal
        self._emit(name, type_, f"{verb}_COMPLETE", "")
        return result

    def _request(self, resource: Resource) -> Request:
        return Request(
            stack=self._stack,
            logical_id=resource.logical_id,
            properties=copy.deepcopy(resource.properties),
            caller=self._caller,
        )


def _key(resource: Resource) -> tuple[str, str]:
    return resource.logical_id, resource.physical.id


def _reasons(undeleted: Sequence[tuple[Resource, str]]) -> list[str]:
    return [f"{resource.logical_id!r} ({resource.type}) {reason}" for resource, reason in undeleted]


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    return {key for key in old.keys() | new.keys() if old.get(key, _MISSING) != new.get(key, _MISSING)}


def _last_unneeded(resources: Sequence[Resource]) -> int:
    """Return the index of the last resource that no other one needs."""
    for index in reversed(range(len(resources))):
        if not any(resources[index].logical_id in other.depends_on for other in resources):
            return index
    # Leftovers of two template versions may need each other: begin anywhere.
    return len(resources) - 1
