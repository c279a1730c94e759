"""Handler: what the engine of stacks asks of a resource type, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Physical:
    """What a handler answers for a resource that exists.

    Attributes:
        id: The value of ``Ref``. One physical resource keeps it for life.
        attributes: What ``Fn::GetAtt`` can ask for, by attribute name.
    """

    id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a handler is asked to bring about.

    Attributes:
        stack: The stack's name.
        logical_id: The resource's name in the template.
        properties: The resource's properties without any expression left; the handler's own copy.
        caller: Whoever deploys, as it was given to ``Stacks``.
    """

    stack: str
    logical_id: str
    properties: Mapping[str, Any]
    caller: Any


class ResourceRefused(Exception):
    """A resource that cannot be brought into the state asked for. The message is the reason, in one line.

    Attributes:
        physical: What exists in spite of the refusal, if anything; the rollback deletes or restores it.
    """

    def __init__(self, reason: str, physical: Physical | None = None) -> None:
        super().__init__(reason)
        self.physical = physical


class Handler(Protocol):
    """One resource type.

    A handler refuses by raising ``ResourceRefused`` or botocore's ``ClientError`` or ``ParamValidationError``. Any
    other exception is a bug: nothing is rolled back, and the exception reaches whoever deploys.
    """

    @property
    def replaced_by(self) -> frozenset[str]:
        """The properties whose change replaces the resource (CloudFormation's create-only ones)."""

    def create(self, request: Request) -> Physical:
        """Create the resource. One whose name is taken is refused.

        A refusal leaves nothing behind, or says so in ``ResourceRefused.physical``.
        """

    def update(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        """Bring ``physical`` from the properties ``old`` to those of ``request``, keeping its id.

        A refusal may leave any mixture of the two: the rollback calls this for the way back, with the refused
        properties as ``old``.
        """

    def delete(self, request: Request, physical: Physical) -> None:
        """Delete ``physical``. One that is gone already is no refusal."""
