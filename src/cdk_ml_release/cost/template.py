"""A CloudFormation template before its deployment: what it says by itself, and what only the deployment knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Resource = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Template:
    """The resources of one stack."""

    name: str
    region: str | None
    """Where it must be deployed, or None if it does not say."""
    resources: Mapping[str, Resource]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Its parameters, of which only a default is known."""
    conditions: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Mapping[str, Any], *, name: str, region: str | None) -> Template:
        """Take a template as it is written."""
        return cls(
            name=name,
            region=region,
            resources=document.get("Resources", {}),
            parameters=document.get("Parameters", {}),
            conditions=document.get("Conditions", {}),
        )

    def standing(self) -> dict[str, Resource]:
        """Its resources, without those whose condition does not hold by default."""
        return {key: each for key, each in self.resources.items() if self.holds(each.get("Condition")) is not False}

    def of_type(self, resource_type: str) -> dict[str, Resource]:
        """Its standing resources of one type, by logical id."""
        return {key: each for key, each in self.standing().items() if each["Type"] == resource_type}

    def known(self, value: Any) -> Any:
        """What a value is before any deployment; None if only the deployment knows, or if it is not there."""
        if not isinstance(value, Mapping):
            return value
        if "Fn::If" in value:
            condition, yes, no = value["Fn::If"]
            holds = self.holds(condition)
            return None if holds is None else self.known(yes if holds else no)
        return self.parameters.get(value.get("Ref", ""), {}).get("Default")

    def number(self, value: Any) -> float | None:
        """A number that is known before any deployment."""
        try:
            return float(self.known(value))
        except (TypeError, ValueError):
            return None

    def holds(self, condition: Any) -> bool | None:
        """Whether a condition holds by its parameters' defaults; None if they do not say."""
        if condition is None:
            return True
        if isinstance(condition, str):
            return self.holds(self.conditions.get(condition, {}))
        if "Condition" in condition:
            return self.holds(condition["Condition"])
        if "Fn::Equals" in condition:
            left, right = (self.known(each) for each in condition["Fn::Equals"])
            return None if left is None or right is None else str(left) == str(right)
        if "Fn::Not" in condition:
            inner = self.holds(condition["Fn::Not"][0])
            return None if inner is None else not inner
        for function, decides in (("Fn::Or", True), ("Fn::And", False)):
            if function in condition:
                parts = [self.holds(each) for each in condition[function]]
                return decides if decides in parts else None if None in parts else not decides
        return None
