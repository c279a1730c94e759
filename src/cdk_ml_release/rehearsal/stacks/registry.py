"""Registry: the stacks that exist in one account and Region, and what they share."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import Any

from .intrinsics import Scope, TemplateRefused
from .stack import Resource, Stack, StackEvent, StackFailed

_NAME = re.compile(r"[A-Za-z][-A-Za-z0-9]{0,127}")
_STACK_TYPE = "AWS::CloudFormation::Stack"
_PARTITIONS = (("cn-", "aws-cn", "amazonaws.com.cn"), ("us-gov-", "aws-us-gov", "amazonaws.com"))


class Registry:
    """The stacks that exist. Every method may be called from several threads."""

    def __init__(
        self,
        account: str,
        region: str,
        now: Callable[[], datetime],
        on_event: Callable[[StackEvent], None] | None,
    ) -> None:
        """Start without stacks.

        Args:
            account: The account's number.
            region: The Region's name.
            now: The time, for events.
            on_event: Told every event, in the thread that causes it.
        """
        self._account = account
        self._region = region
        self._now = now
        self._on_event = on_event
        known = (names for prefix, *names in _PARTITIONS if region.startswith(prefix))
        self._partition, self._suffix = next(known, ["aws", "amazonaws.com"])
        self._lock = RLock()
        self._stacks: dict[str, Stack] = {}
        self._claimed: set[str] = set()
        self._born = 0

    def __iter__(self) -> Iterator[Stack]:
        """Iterate over the stacks that exist now, in the order of their creation."""
        with self._lock:
            return iter(list(self._stacks.values()))

    def get(self, name: str) -> Stack | None:
        """Return the stack as it is now, or None."""
        with self._lock:
            return self._stacks.get(name)

    @contextmanager
    def claim(self, name: str) -> Iterator[None]:
        """Keep everyone else from changing the stack ``name``.

        Raises:
            StackFailed: if someone else is changing it.
        """
        with self._lock:
            if name in self._claimed:
                raise StackFailed(name, "is being changed already; wait until that is done")
            self._claimed.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._claimed.discard(name)

    def new(self, name: str) -> Stack:
        """Return a stack that does not exist yet.

        Raises:
            StackFailed: if ``name`` cannot be a stack's name.
        """
        if not _NAME.fullmatch(name):
            raise StackFailed(name, "must be named by 1 to 128 letters, digits and '-', a letter first; rename it")
        with self._lock:
            self._born += 1
            unique = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._account}/{self._region}/{name}/{self._born}")
        where = f"arn:{self._partition}:cloudformation:{self._region}:{self._account}"
        return Stack(name=name, id=f"{where}:stack/{name}/{unique}")

    def pseudo_parameters(self, stack: Stack) -> dict[str, Any]:
        """Return what ``Ref`` gives for every ``AWS::...`` name in ``stack``."""
        return {
            "AWS::AccountId": self._account,
            "AWS::NotificationARNs": [],
            "AWS::Partition": self._partition,
            "AWS::Region": self._region,
            "AWS::StackId": stack.id,
            "AWS::StackName": stack.name,
            "AWS::URLSuffix": self._suffix,
        }

    def move(self, stack: Stack, status: str, reason: str = "", **fields: Any) -> None:
        """Give ``stack``, as known or new, a status and other ``fields``, and tell the status."""
        with self._lock:
            known = self._stacks.get(stack.name, stack)
            self._stacks[stack.name] = replace(known, status=status, status_reason=reason, **fields)
        self.emit(stack.name, stack.name, _STACK_TYPE, status, reason)

    def emit(self, stack: str, logical_id: str, resource_type: str, status: str, reason: str) -> None:
        """Add an event to ``stack`` and tell it."""
        event = StackEvent(
            time=self._now(),
            stack=stack,
            logical_id=logical_id,
            resource_type=resource_type,
            status=status,
            reason=reason,
        )
        with self._lock:
            known = self._stacks[stack]
            self._stacks[stack] = replace(known, events=(*known.events, event))
        if self._on_event is not None:
            self._on_event(event)

    def forget(self, name: str) -> None:
        """Drop a stack that is deleted."""
        with self._lock:
            del self._stacks[name]

    def publish(self, stack: Stack, **answers: Any) -> None:
        """Give the fields ``answers`` of ``stack`` to those who ask.

        Raises:
            StackFailed: if its ``exports`` are taken, or leave another stack without what it imports.
        """
        with self._lock:
            self.check_exports(stack, answers["exports"])
            self._stacks[stack.name] = replace(self._stacks[stack.name], **answers)

    def check_exports(self, stack: Stack, exports: Mapping[str, str]) -> None:
        """Refuse ``exports`` as the new exports of ``stack``, where other stacks rule them out."""
        gone = {name for name, value in stack.exports.items() if exports.get(name) != value}
        for other in self:
            if other.name == stack.name:
                continue
            if taken := sorted(exports.keys() & other.exports.keys()):
                raise StackFailed(
                    stack.name,
                    f"export {taken[0]!r} must be unique, but stack {other.name!r} has it; rename it",
                )
            if used := sorted(gone & other.imports):
                raise StackFailed(
                    stack.name,
                    f"export {used[0]!r} must stay as it is, because stack {other.name!r} imports it; "
                    "deploy that stack without the import first",
                )

    def scope(self, parameters: Scope, resources: Mapping[str, Resource], imports: set[str]) -> Scope:
        """Return ``parameters`` with more to look at: resources and other stacks.

        Args:
            parameters: What a template's parameters give.
            resources: The stack's resources by logical id; looked at when an expression asks.
            imports: Receives the name of every export that is asked for.
        """

        def ref(name: str) -> Any:
            return resources[name].physical.id if name in resources else parameters.ref(name)

        def attribute(name: str, key: str) -> str:
            known = resources[name].physical.attributes
            if key not in known:
                raise TemplateRefused(
                    f"'Fn::GetAtt' of {name!r} must be one of {sorted(known)}, got {key!r}; "
                    f"{resources[name].type} has no other attribute that the rehearsal knows"
                )
            return known[key]

        def imported(name: str) -> str:
            imports.add(name)
            for stack in self:
                if name in stack.exports:
                    return stack.exports[name]
            raise TemplateRefused(f"'Fn::ImportValue' needs the export {name!r}, got none; deploy its stack first")

        return replace(parameters, ref=ref, attribute=attribute, imported=imported, output=self._output)

    def _output(self, stack: str, output: str, region: str | None) -> str:
        if region not in (None, self._region):
            raise TemplateRefused(
                f"'Fn::GetStackOutput' must stay in the Region {self._region!r}, got {region!r}; "
                "the rehearsal has one Region"
            )
        for known in self:
            if stack in (known.name, known.id) and output in known.outputs:
                return known.outputs[output]
        raise TemplateRefused(f"stack {stack!r} must have the output {output!r}, got none; deploy it first")
