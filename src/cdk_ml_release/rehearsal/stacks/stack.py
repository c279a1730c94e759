"""Stack: what can be known of one stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .handler import Physical


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource of a stack, as last applied.

    Attributes:
        status: CloudFormation's, such as ``CREATE_COMPLETE``.
        depends_on: The logical ids that it was created after.
    """

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    physical: Physical
    status: str
    depends_on: tuple[str, ...]
    deletion_policy: str
    replace_policy: str


@dataclass(frozen=True, kw_only=True)
class StackEvent:
    """Something that happened to a stack (``logical_id`` is its name then) or to one of its resources."""

    time: datetime
    stack: str
    logical_id: str
    resource_type: str
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack at one moment.

    Attributes:
        id: Its ARN.
        status: CloudFormation's, such as ``UPDATE_ROLLBACK_COMPLETE``. ``CREATE_FAILED`` and
            ``UPDATE_FAILED`` say that something else than a refusal interrupted the operation.
        template: Of the last successful deployment, like ``parameters`` (their texts), ``tags`` and the rest.
        exports: The values of its outputs by export name.
        imports: The export names of other stacks that it uses.
        resources: What it holds by logical id, each after everything it depends on; as of the last operation
            that ended.
        leftovers: What exists beside that since a rollback failed; deleted with the stack.
    """

    name: str
    id: str
    status: str = "REVIEW_IN_PROGRESS"
    status_reason: str = ""
    template: Mapping[str, Any] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    exports: Mapping[str, str] = field(default_factory=dict)
    imports: frozenset[str] = frozenset()
    resources: Mapping[str, Resource] = field(default_factory=dict, repr=False)
    leftovers: tuple[Resource, ...] = field(default=(), repr=False)
    events: tuple[StackEvent, ...] = field(default=(), repr=False)


class StackFailed(Exception):
    """A stack that could not be brought into the state asked for. The message is one line.

    Attributes:
        stack: The stack's name.
        reason: Why, in one line.
        logical_id: The resource it failed at, or None.
        resource_type: The type of that resource, or None.
    """

    def __init__(
        self,
        stack: str,
        reason: str,
        *,
        logical_id: str | None = None,
        resource_type: str | None = None,
        outcome: str = "",
    ) -> None:
        self.stack = stack
        self.reason = " ".join(reason.split())
        self.logical_id = logical_id
        self.resource_type = resource_type
        culprit = f"{logical_id!r} ({resource_type}): " if logical_id else ""
        super().__init__(f"stack {stack!r}: {culprit}{self.reason}{outcome and '; ' + outcome}")
