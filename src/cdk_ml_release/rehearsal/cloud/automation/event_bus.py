"""EventBridge's default bus: what a rule's targets get to know of an event, and what they do with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .. import events
from ..account import Account
from ..gateway import ApiError, Gateway
from ..hours import now, stamp

__all__ = ["EventBus", "Happened", "Starter"]


@dataclass(frozen=True, kw_only=True)
class Happened:
    """An event as it reached a target.

    Attributes:
        rule: The name of the rule that matched.
        target: The target as the rule declares it.
        event: The whole event.
        text: What the target is told: the event as JSON, or what the rule makes of it.
        cause: What has happened, in a few words.
    """

    rule: str
    target: Mapping[str, Any]
    event: Mapping[str, Any]
    text: str
    cause: str


Starter = Callable[[Happened], None]

_SERVICE = "events.amazonaws.com"
# Whom a target's role must let the rule start what.
_PERMISSIONS = {"codepipeline": "codepipeline:StartPipelineExecution", "states": "states:StartExecution"}


class EventBus:
    """Delivers events to the rules of the rehearsed account."""

    def __init__(self, gateway: Gateway, account: Account, told: Callable[[str, str], None]) -> None:
        """Deliver to what the rules of ``account`` name; ``told`` is told what comes of it, by kind and in words."""
        self._gateway = gateway
        self._account = account
        self._told = told
        self.starters: dict[str, Starter] = {}
        """What starts a target, by the service in its ARN; a topic is told in any case."""

    def put(
        self,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: Collection[str] = (),
        *,
        cause: str = "",
    ) -> None:
        """Deliver an event; it is described by its type, or by ``cause``."""
        event = {"source": source, "detail-type": detail_type, "resources": list(resources), "detail": detail}
        self.deliver(event, cause=cause)

    def deliver(self, event: Mapping[str, Any], *, cause: str = "", leaves_out: Collection[str] = ()) -> None:
        """Deliver an event to the targets of every rule that it matches, save those of the services left out."""
        whole = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "account": self._gateway.account,
            "time": stamp(now()),
            "region": self._gateway.region,
            "resources": [],
            **event,
        }
        for rule, target, text in events.told_targets(self._account.rules, whole):
            service = target["Arn"].split(":")[2]
            if service in leaves_out:
                continue
            happened = Happened(
                rule=rule, target=target, event=whole, text=text, cause=cause or str(whole["detail-type"])
            )
            try:
                self._hand_over(service, happened)
            except (ApiError, ClientError) as failure:
                name = target["Arn"].rpartition(":")[2]
                self._told("failure", f"rule {rule} could not reach {service} {name}: {failure}")

    def _hand_over(self, service: str, happened: Happened) -> None:
        arn = happened.target["Arn"]
        if service == "sns":
            tell_topic(self._gateway, self._told, arn, happened.text)
        elif service in self.starters:
            self._check_role(service, happened)
            self.starters[service](happened)
        else:
            self._told("failure", f"rule {happened.rule} has a target that the rehearsal does not play: {arn}")

    def _check_role(self, service: str, happened: Happened) -> None:
        arn, rule = happened.target["Arn"], happened.rule
        if "RoleArn" not in happened.target:
            raise ApiError("ValidationException", f"RoleArn is required for target {arn}")
        source = f"arn:aws:events:{self._gateway.region}:{self._gateway.account}:rule/{rule}"
        role = self._gateway.assume(happened.target["RoleArn"], _SERVICE, source)
        self._gateway.authorize(role, _PERMISSIONS[service], arn, {})


def tell_topic(gateway: Gateway, told: Callable[[str, str], None], topic: str, text: str, subject: str = "") -> None:
    """Publish to a topic, as the service that owns the message."""
    named = {"Subject": subject[:100]} if subject else {}
    gateway.client("sns").publish(TopicArn=topic, Message=text, **named)
    told("told", f"told {topic.rpartition(':')[2]}: {subject or text}")
