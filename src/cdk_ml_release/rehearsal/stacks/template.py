"""Template: a CloudFormation template, read and checked, then bound to its parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Iterator, Mapping, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from .intrinsics import (
    Scope,
    TemplateRefused,
    check_functions,
    evaluate,
    references,
    take_branches,
)
from .parameters import Conditions, Parameter, resolve_dynamic

__all__ = ["BoundTemplate", "Declaration", "Output", "Template", "TemplateRefused"]

_SECTIONS = {
    *("AWSTemplateFormatVersion", "Conditions", "Description", "Mappings", "Metadata"),
    *("Outputs", "Parameters", "Resources", "Rules", "Transform"),
}
_ATTRIBUTES = {
    *("Condition", "DeletionPolicy", "DependsOn", "Description", "Metadata"),
    *("Properties", "Type", "UpdateReplacePolicy"),
}
_POLICIES = {
    "DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
    "UpdateReplacePolicy": ("Delete", "Retain", "Snapshot"),
}
_PSEUDO_PARAMETERS = {
    *("AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition"),
    *("AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix"),
}


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One resource that the template asks for, with its conditions taken.

    ``properties`` still holds expressions; ``depends_on`` names the resources it needs.
    """

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    depends_on: tuple[str, ...]
    deletion_policy: str
    replace_policy: str


@dataclass(frozen=True, kw_only=True)
class Output:
    """One output, with its conditions taken; ``value`` and ``export`` (or None) are expressions."""

    name: str
    value: Any
    export: Any


@dataclass(frozen=True, kw_only=True)
class BoundTemplate:
    """A template whose parameters and conditions are decided.

    Attributes:
        parameters: The text of every parameter, as given, kept or defaulted.
        resources: What to create, each after everything it depends on.
        outputs: What to answer.
        scope: What expressions may look at: parameters and mappings; anything else is refused.
        ssm: The value of an SSM parameter.
    """

    parameters: Mapping[str, str]
    resources: Mapping[str, Declaration]
    outputs: tuple[Output, ...]
    scope: Scope
    ssm: Callable[[str], str]

    def resolve(self, value: Any, scope: Scope) -> Any:
        """Replace every expression and dynamic reference in ``value``.

        Args:
            value: Properties or an output of this template.
            scope: Usually ``dataclasses.replace(self.scope, ...)`` with more to look at.

        Raises:
            TemplateRefused: if an expression has no value.
        """
        return resolve_dynamic(evaluate(value, scope), self.ssm)


class Template:
    """A template in which nothing is unknown, misplaced or missing.

    ``Rules`` are not evaluated: the CDK writes one only, about the version of its bootstrap stack.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Read a template.

        Args:
            document: The template as JSON gives it.

        Raises:
            TemplateRefused: naming the section, resource, function or name that cannot be worked with.
        """
        document = copy.deepcopy(dict(document))
        if unknown := sorted(document.keys() - _SECTIONS):
            raise TemplateRefused(f"{unknown[0]!r} is not a section the rehearsal knows; remove it")
        self._extended = _is_extended(document.get("Transform", []))
        self._mappings: dict[str, Any] = document.get("Mappings", {})
        self._conditions: dict[str, Any] = document.get("Conditions", {})
        self._resources: dict[str, Any] = document.get("Resources", {})
        self._outputs: dict[str, Any] = document.get("Outputs", {})
        declared: dict[str, Any] = document.get("Parameters", {})
        self._parameters = {name: Parameter(name, rules) for name, rules in declared.items()}
        self._check()

    def bind(
        self,
        *,
        parameters: Mapping[str, str],
        previous: Mapping[str, str],
        pseudo: Mapping[str, Any],
        ssm: Callable[[str], str],
    ) -> BoundTemplate:
        """Decide parameters and conditions, and put the resources in order.

        Args:
            parameters: Values by name.
            previous: Values of the last deployment, kept for parameters that are not in ``parameters``.
            pseudo: The value of every pseudo parameter.
            ssm: The value of an SSM parameter; raises ``LookupError`` if there is none.

        Raises:
            TemplateRefused: naming the parameter that is missing, unknown or not allowed, the members of a
                circular dependency, or the resource that is referred to though its condition does not hold.
        """
        if unknown := sorted(parameters.keys() - self._parameters.keys()):
            raise TemplateRefused(f"parameter {unknown[0]!r} must be declared in 'Parameters'; declare it")
        raw = {name: parameter.choose(parameters, previous) for name, parameter in self._parameters.items()}
        values = dict(pseudo) | {name: self._parameters[name].resolve(raw[name], ssm) for name in raw}
        scope = self._scope(values)
        conditions = Conditions(self._conditions, scope).decide()
        resources = self._bind_resources(conditions)
        outputs = tuple(self._bind_outputs(conditions, resources))
        return BoundTemplate(parameters=raw, resources=resources, outputs=outputs, scope=scope, ssm=ssm)

    def _scope(self, values: Mapping[str, Any]) -> Scope:
        def ref(name: str) -> Any:
            if name not in values:
                raise TemplateRefused(f"{name!r} has no value here; only parameters can be used")
            return values[name]

        def nothing(*names: Any) -> Any:
            raise TemplateRefused(f"{names[0]!r} has no value here; only parameters can be used")

        return Scope(
            ref=ref, attribute=nothing, mappings=self._mappings, imported=nothing, output=nothing,
            extended=self._extended,
        )  # fmt: skip

    def _bind_resources(self, conditions: Mapping[str, bool]) -> dict[str, Declaration]:
        active = {
            name: take_branches(resource, conditions)
            for name, resource in self._resources.items()
            if conditions.get(resource.get("Condition"), True)
        }
        needs: dict[str, tuple[str, ...]] = {}
        for name, resource in active.items():
            wanted = set(_list(resource.get("DependsOn", []))) | _names(resource)
            if missing := sorted(wanted & self._resources.keys() - active.keys()):
                raise TemplateRefused(_unmet(f"resource {name!r}", missing[0]))
            needs[name] = tuple(other for other in active if other in wanted)
        return {
            name: Declaration(
                logical_id=name,
                type=active[name]["Type"],
                properties=active[name].get("Properties", {}),
                depends_on=needs[name],
                deletion_policy=active[name].get("DeletionPolicy", "Delete"),
                replace_policy=active[name].get("UpdateReplacePolicy", "Delete"),
            )
            for name in _in_order(needs)
        }

    def _bind_outputs(self, conditions: Mapping[str, bool], active: Container[str]) -> Iterator[Output]:
        for name, output in self._outputs.items():
            if conditions.get(output.get("Condition"), True):
                taken = take_branches(output, conditions)
                for other in sorted(_names(taken) & self._resources.keys()):
                    if other not in active:
                        raise TemplateRefused(_unmet(f"output {name!r}", other))
                yield Output(name=name, value=taken["Value"], export=taken.get("Export", {}).get("Name"))

    def _check(self) -> None:
        if not self._resources:
            raise TemplateRefused("'Resources' must have at least one resource, got none; declare one")
        for name, resource in self._resources.items():
            self._check_resource(name, resource)
        decided_early = self._parameters.keys() | _PSEUDO_PARAMETERS
        for name, condition in self._conditions.items():
            self._check_expression(condition, f"condition {name!r}", decided_early)
        for name, output in self._outputs.items():
            if not isinstance(output, dict) or "Value" not in output:
                raise TemplateRefused(f"output {name!r} must have a 'Value', got {output!r}; add it")
            self._check_expression(output, f"output {name!r}", decided_early | self._resources.keys())
            self._check_condition(output, f"output {name!r}")

    def _check_resource(self, name: str, resource: Any) -> None:
        where = f"resource {name!r}"
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise TemplateRefused(f"{where} must have a 'Type', got {resource!r}; add it")
        if unknown := sorted(resource.keys() - _ATTRIBUTES):
            raise TemplateRefused(f"{unknown[0]!r} of {where} is not an attribute the rehearsal knows; remove it")
        for attribute, allowed in _POLICIES.items():
            if (policy := resource.get(attribute, "Delete")) not in allowed:
                raise TemplateRefused(
                    f"{attribute!r} of {where} must be one of {', '.join(allowed)}, got {policy!r}; change it"
                )
        for other in _list(resource.get("DependsOn", [])):
            if other not in self._resources:
                raise TemplateRefused(f"'DependsOn' of {where} must name resources, got {other!r}; declare it")
        self._check_condition(resource, where)
        known = self._parameters.keys() | _PSEUDO_PARAMETERS | self._resources.keys()
        self._check_expression([resource.get("Properties"), resource.get("Metadata")], where, known)

    def _check_condition(self, owner: Mapping[str, Any], where: str) -> None:
        if "Condition" in owner and owner["Condition"] not in self._conditions:
            condition = owner["Condition"]
            raise TemplateRefused(f"'Condition' of {where} must be in 'Conditions', got {condition!r}; declare it")

    def _check_expression(self, value: Any, where: str, known: Set[str]) -> None:
        check_functions(value, where)
        for name, attribute in references(value):
            if name not in known or (attribute is not None and name not in self._resources):
                raise TemplateRefused(f"{where} refers to {name!r}, which is not in the template; declare it")


def _names(value: Mapping[str, Any]) -> set[str]:
    # CloudFormation orders by the references in Metadata too.
    return {name for name, _ in references([value.get(key) for key in ("Properties", "Metadata", "Value")])}


def _unmet(where: str, name: str) -> str:
    return f"{where} refers to {name!r}, whose condition does not hold; wrap the reference in 'Fn::If'"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_extended(transform: Any) -> bool:
    macros = _list(transform)
    for macro in macros:
        if macro != "AWS::LanguageExtensions":
            raise TemplateRefused(
                f"'Transform' names {macro!r}, a macro the rehearsal does not know; write what it would write"
            )
    return bool(macros)


def _in_order(needs: Mapping[str, tuple[str, ...]]) -> list[str]:
    declared = list(needs)
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise TemplateRefused(f"resources must not depend on themselves, got {circle}; break it") from error
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=declared.index)
        ordered.extend(ready)
        sorter.done(*ready)
    return ordered
