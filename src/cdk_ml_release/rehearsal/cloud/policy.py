"""Policy: whether IAM policies allow an action, as IAM decides it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .policy_conditions import Facts, PolicyError, facts_of, matches, texts, unmet_condition

__all__ = ["ANY_RESOURCE", "Decision", "PolicyError", "decide", "may_assume"]

ANY_RESOURCE: Final = "any resource"
"""Stands for a resource that is not known. No ARN looks like it: ARNs have no spaces."""

_PRINCIPAL_TYPES = {"AWS", "Service", "Federated", "CanonicalUser"}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether an action is allowed, and the reason in one line."""

    allowed: bool
    reason: str


def decide(
    policies: Sequence[Mapping[str, Any]],
    *,
    action: str,
    resource: str,
    context: Mapping[str, str | tuple[str, ...]],
) -> Decision:
    """Decide whether identity policies allow ``action`` on ``resource``.

    A statement that denies wins; without one that allows, the answer is no.

    Args:
        policies: The policy documents of one principal, inline and attached alike.
        action: Such as ``"s3:GetObject"``.
        resource: Its ARN; ``"*"`` for an action without resources, which only statements on ``*`` allow; or
            ``ANY_RESOURCE`` when nobody knows it: then every statement that allows the action counts, and
            of those that deny it only the ones on ``*``.
        context: The condition keys of the request; several values of one key as a tuple.

    Raises:
        PolicyError: if a policy cannot be read, or a condition that matters has an unknown operator.
    """
    facts = facts_of(context)
    asked = (statement for statement in _statements(policies) if statement.names_action(action))
    return _judge(asked, facts, lambda statement: statement.covers(resource, facts))


def may_assume(
    trust_policy: Mapping[str, Any], *, principal: str, context: Mapping[str, str | tuple[str, ...]]
) -> Decision:
    """Decide whether a role's trust policy lets ``principal`` call ``sts:AssumeRole``.

    Only the trust policy is looked at: where it names an account, the caller's own policies must allow the
    call too.

    Args:
        trust_policy: The role's AssumeRolePolicyDocument.
        principal: A service such as ``"sagemaker.amazonaws.com"``, or an ARN: role, session, user or account.
        context: The condition keys of the request, such as ``aws:SourceAccount``.

    Raises:
        PolicyError: as ``decide`` does.
    """
    asked = (each for each in _statements([trust_policy], trust=True) if each.names_action("sts:AssumeRole"))
    return _judge(asked, facts_of(context), lambda statement: statement.names_principal(principal))


@dataclass(frozen=True, kw_only=True)
class _Statement:
    name: str
    body: Mapping[str, Any]
    variables: bool

    @property
    def denies(self) -> bool:
        return bool(self.body["Effect"] == "Deny")

    def names_action(self, action: str) -> bool:
        inverted, patterns = self._one_of("Action", "NotAction")
        return any(matches(pattern, action, ignore_case=True) for pattern in patterns) != inverted

    def scope(self) -> str:
        """Say whom or what the statement is about, for a reader who wonders why it did not count."""
        if "Principal" in self.body:
            return f"trusts only {self.body['Principal']}"
        inverted, patterns = self._one_of("Resource", "NotResource")
        shown = [*patterns[:3], *(["..."] if len(patterns) > 3 else [])]
        return f"allows it only {'outside' if inverted else 'on'} {', '.join(shown)}"

    def covers(self, resource: str, facts: Facts) -> bool:
        inverted, patterns = self._one_of("Resource", "NotResource")
        if resource == ANY_RESOURCE:
            return not self.denies or (not inverted and "*" in patterns)
        known = facts if self.variables else None
        return any(matches(pattern, resource, facts=known) for pattern in patterns) != inverted

    def unmet_condition(self, facts: Facts) -> str | None:
        unmet = unmet_condition(self.body.get("Condition", {}), facts, variables=self.variables)
        return None if unmet is None else f"would allow it, but its condition does not hold: {unmet}"

    def names_principal(self, principal: str) -> bool:
        trusted = self.body["Principal"]
        if trusted == "*":
            return True
        if not isinstance(trusted, Mapping) or not trusted.keys() <= _PRINCIPAL_TYPES:
            raise PolicyError(f"'Principal' of {self.name} must be '*' or a map of {sorted(_PRINCIPAL_TYPES)}")
        services = texts(trusted.get("Service", []), f"'Service' of {self.name}")
        accounts = texts(trusted.get("AWS", []), f"'AWS' of {self.name}")
        if not principal.startswith("arn:"):
            return principal in services
        return any(_is_principal(pattern, principal) for pattern in accounts)

    def _one_of(self, element: str, inverse: str) -> tuple[bool, tuple[str, ...]]:
        if (element in self.body) == (inverse in self.body):
            raise PolicyError(f"{self.name} must have either '{element}' or '{inverse}'")
        present = element if element in self.body else inverse
        return present == inverse, texts(self.body[present], f"'{present}' of {self.name}")


def _judge(asked: Iterable[_Statement], facts: Facts, concerns: Callable[[_Statement], bool]) -> Decision:
    granted, near = "", []
    for statement in asked:
        unmet = statement.unmet_condition(facts) if concerns(statement) else statement.scope()
        if unmet is None and statement.denies:
            return Decision(allowed=False, reason=f"{statement.name} denies it")
        if unmet is None:
            granted = granted or statement.name
        elif not statement.denies:
            near.append(f"{statement.name} {unmet}")
    if granted:
        return Decision(allowed=True, reason=f"{granted} allows it")
    return Decision(allowed=False, reason="no statement allows it" + (f": {'; '.join(near)}" if near else ""))


def _statements(policies: Sequence[Mapping[str, Any]], *, trust: bool = False) -> Iterator[_Statement]:
    for number, policy in enumerate(policies, 1):
        place = f"policy {number}" if len(policies) > 1 else "the policy"
        bodies = policy.get("Statement")
        if isinstance(bodies, Mapping):
            bodies = [bodies]
        if not isinstance(bodies, list | tuple) or not all(isinstance(body, Mapping) for body in bodies):
            raise PolicyError(f"'Statement' of {place} must be a map or a list of maps, got {bodies!r}")
        for index, body in enumerate(bodies, 1):
            name = f"statement '{body['Sid']}'" if body.get("Sid") else f"statement {index} of {place}"
            _check(name, body, trust)
            # Older versions take a variable for plain text (source: IAM user guide, "Version").
            yield _Statement(name=name, body=body, variables=policy.get("Version") == "2012-10-17")


def _check(name: str, body: Mapping[str, Any], trust: bool) -> None:
    if body.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"'Effect' of {name} must be 'Allow' or 'Deny', got {body.get('Effect')!r}")
    if "NotPrincipal" in body:
        raise PolicyError(f"'NotPrincipal' of {name} is not known here; name the principals with 'Principal'")
    if trust != ("Principal" in body):
        rule = "must say 'Principal', as in every trust policy" if trust else "has a 'Principal': no identity policy"
        raise PolicyError(f"{name} {rule}")


def _is_principal(trusted: str, principal: str) -> bool:
    if trusted == "*" or trusted == principal:
        return True
    _, _, service, _, account, name = (principal.split(":", 5) + [""] * 6)[:6]
    if trusted == account or trusted.endswith(f"::{account}:root"):
        return True
    # A session is trusted where its role is. Its ARN has lost the role's path, so the last part decides.
    kind, _, session = name.partition("/")
    if service != "sts" or kind != "assumed-role":
        return False
    role = session.partition("/")[0]
    return f"::{account}:role/" in trusted and trusted.rsplit("/", 1)[-1] == role
