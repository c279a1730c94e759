"""Call checks: what IAM would be asked about one request, and the words to say it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .policy import ANY_RESOURCE

__all__ = ["CallError", "Check", "Request", "dig"]


class CallError(ValueError):
    """A request that cannot be read. The message names what could not."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question to IAM: may the caller do ``action`` on ``resource``, with these condition keys.

    Attributes:
        action: Such as ``"s3:GetObject"``.
        resource: An ARN; ``"*"`` for an action that has no resources; ``policy.ANY_RESOURCE`` where the
            request does not tell, or nobody wrote down, which resource IAM would look at.
        context: The condition keys that the request decides: a text each, or for a key with several values,
            which only ``aws:TagKeys`` is, a tuple of texts.
    """

    action: str
    resource: str
    context: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request whose service and operation are known, on its way to its checks."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    account: str
    region: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def arn(self, resource: str, *, service: str = "", region: str | None = None, account: str | None = None) -> str:
        """Return the ARN of a resource of this service, Region and account, or of those given."""
        # Partitions by Region prefix (source: AWS general reference, ARNs).
        partition = {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(self.region.rpartition("-")[0].rpartition("-")[0])
        place = self.region if region is None else region
        owner = self.account if account is None else account
        return f"arn:{partition or 'aws'}:{service or self.service}:{place}:{owner}:{resource}"

    def text(self, name: str) -> str:
        """Return a parameter that is text, or an empty text."""
        return next(dig(self.parameters, name), "")

    def check(
        self,
        resource: str = ANY_RESOURCE,
        *,
        action: str = "",
        context: Mapping[str, str | tuple[str, ...]] | None = None,
    ) -> Check:
        """Return the check of an action, by default the one named like the operation, on ``resource``.

        Args:
            resource: An ARN, ``"*"`` or ``ANY_RESOURCE``.
            action: With or without the prefix of its service.
            context: Condition keys besides those that every request has.
        """
        named = action or self.operation
        general = {
            "aws:SecureTransport": "true",
            "aws:RequestedRegion": self.region,
            "aws:SourceAccount": self.account,
            "aws:PrincipalAccount": self.account,
            "aws:ResourceAccount": self.account,
        }
        known = {**general, **_tag_keys(self.parameters), **(context or {})}
        return Check(action=named if ":" in named else f"{self.service}:{named}", resource=resource, context=known)

    def passes(self, role_arn: str, principal: str) -> Check:
        """Return the check of handing a role to a service."""
        return self.check(role_arn, action="iam:PassRole", context={"iam:PassedToService": principal})


def dig(value: Any, *names: str) -> Iterator[str]:
    """Yield every non-empty text under a path of names, through the lists on the way."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from dig(item, *names)
    elif names:
        if isinstance(value, Mapping):
            yield from dig(value.get(names[0]), *names[1:])
    elif isinstance(value, str) and value:
        yield value


def _tag_keys(parameters: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    tags = parameters.get("Tags", parameters.get("tags"))
    if isinstance(tags, list):
        pairs = [
            (tag.get("Key", tag.get("key")), tag.get("Value", tag.get("value")))
            for tag in tags
            if isinstance(tag, Mapping)
        ]
    else:
        pairs = list(tags.items()) if isinstance(tags, Mapping) else []
    named = {str(key): str(value or "") for key, value in pairs if key}
    if not named:
        return {}
    return {"aws:TagKeys": tuple(named), **{f"aws:RequestTag/{key}": value for key, value in named.items()}}
