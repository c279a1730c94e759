"""Parameters: what a deployment may choose, and the conditions that follow from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .intrinsics import CONDITION_FUNCTIONS, Scope, TemplateRefused, evaluate, text

_LIST_TYPES = frozenset({"CommaDelimitedList", "List<Number>", "List<String>"})
_PLAIN_TYPES = frozenset({"AWS::SSM::Parameter::Name", "Number", "String"})
_SSM_VALUE = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")
_DYNAMIC = re.compile(r"\{\{resolve:([^:}]*):?([^}]*)\}\}")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


class Parameter:
    """One declared parameter."""

    def __init__(self, name: str, rules: Mapping[str, Any]) -> None:
        """Read a declaration.

        Args:
            name: The parameter's logical id.
            rules: Its declaration in the template.

        Raises:
            TemplateRefused: if its type is not one that the rehearsal knows.
        """
        self.name = name
        self._rules = rules
        declared = str(rules.get("Type"))
        stored = _SSM_VALUE.fullmatch(declared)
        self._is_stored = stored is not None
        self._type = stored[1] if stored else declared
        if self._type not in _LIST_TYPES | _PLAIN_TYPES:
            raise TemplateRefused(f"parameter {name!r} has a type the rehearsal does not know: {declared!r}")

    def choose(self, given: Mapping[str, str], previous: Mapping[str, str]) -> str:
        """Return the text of this parameter: given, else of the last deployment, else its default.

        Raises:
            TemplateRefused: if there is none, or the declaration does not allow it.
        """
        if self.name in given:
            value = str(given[self.name])
        elif self.name in previous:
            value = previous[self.name]
        elif "Default" in self._rules:
            value = _plain(self._rules["Default"])
        else:
            raise TemplateRefused(f"parameter {self.name!r} must have a value, got none; pass one")
        for item in self._items(value):
            if rule := self._broken_rule(item):
                hint = self._rules.get("ConstraintDescription", "pass another value")
                raise TemplateRefused(f"parameter {self.name!r} must {rule}, got {value!r}; {hint}")
        return value

    def resolve(self, value: str, ssm: Callable[[str], str]) -> str | list[str]:
        """Return what ``Ref`` gives for the text ``value``, which may be the name of an SSM parameter."""
        if self._is_stored:
            value = stored_value(value, ssm, f"parameter {self.name!r}")
        return self._items(value) if self._type in _LIST_TYPES else value

    def _items(self, value: str) -> list[str]:
        if self._type not in _LIST_TYPES:
            return [value]
        return [item.strip() for item in value.split(",")] if value else []

    def _broken_rule(self, item: str) -> str | None:
        rules = self._rules
        if "Number" in self._type and not self._is_stored and not _NUMBER.fullmatch(item):
            return "be a number"
        if "AllowedValues" in rules and item not in map(_plain, rules["AllowedValues"]):
            return f"be one of {rules['AllowedValues']!r}"
        if "AllowedPattern" in rules and not self._pattern().fullmatch(item):
            return f"match {rules['AllowedPattern']!r}"
        if len(item) < int(rules.get("MinLength", 0)):
            return f"have at least {rules['MinLength']} characters"
        if "MaxLength" in rules and len(item) > int(rules["MaxLength"]):
            return f"have at most {rules['MaxLength']} characters"
        if "MinValue" in rules and float(item) < float(rules["MinValue"]):
            return f"be at least {rules['MinValue']}"
        if "MaxValue" in rules and float(item) > float(rules["MaxValue"]):
            return f"be at most {rules['MaxValue']}"
        return None

    def _pattern(self) -> re.Pattern[str]:
        pattern = self._rules["AllowedPattern"]
        try:
            return re.compile(pattern)
        except re.error as error:  # CloudFormation reads Java's dialect
            raise TemplateRefused(
                f"'AllowedPattern' of parameter {self.name!r} must be a pattern that Python knows too, "
                f"got {pattern!r} ({error}); simplify it"
            ) from error


def stored_value(name: str, ssm: Callable[[str], str], where: str) -> str:
    """Return the value of the SSM parameter ``name``.

    Raises:
        TemplateRefused: if ``ssm`` raises ``LookupError``; the message says that ``where`` asked for it.
    """
    try:
        return ssm(name)
    except LookupError as error:
        raise TemplateRefused(f"{where} needs the SSM parameter {name!r}, got none; create it") from error


def resolve_dynamic(value: Any, ssm: Callable[[str], str]) -> Any:
    """Replace the dynamic references ``{{resolve:ssm:name}}`` in ``value``, asking ``ssm`` for each.

    Raises:
        TemplateRefused: if a reference is to another service, or there is no such parameter.
    """

    def resolved(found: re.Match[str]) -> str:
        if found[1] != "ssm":
            raise TemplateRefused(
                f"'{found[0]}' is a dynamic reference that the rehearsal does not know; it knows "
                "'{{resolve:ssm:name}}', or pass the value as a parameter"
            )
        return stored_value(found[2], ssm, f"'{found[0]}'")

    if isinstance(value, str):
        return _DYNAMIC.sub(resolved, value)
    if isinstance(value, list):
        return [resolve_dynamic(item, ssm) for item in value]
    if isinstance(value, dict):
        return {key: resolve_dynamic(item, ssm) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class Conditions:
    """The conditions of a template, and what their expressions may look at."""

    expressions: Mapping[str, Any]
    scope: Scope

    def decide(self) -> dict[str, bool]:
        """Return for every condition whether it holds.

        Raises:
            TemplateRefused: naming a condition that is unknown, malformed, or depends on itself.
        """
        decided: dict[str, bool] = {}
        for name in self.expressions:
            self._decide_named(name, decided, ())
        return decided

    def _decide_named(self, name: str, decided: dict[str, bool], asked: tuple[str, ...]) -> bool:
        if name not in self.expressions:
            raise TemplateRefused(f"the condition {name!r} must be in 'Conditions'; declare it")
        if name in asked:
            circle = " -> ".join([*asked, name])
            raise TemplateRefused(f"conditions must not depend on themselves, got {circle}; break it")
        if name not in decided:
            decided[name] = self._decide(self.expressions[name], decided, (*asked, name))
        return decided[name]

    def _decide(self, expression: Any, decided: dict[str, bool], asked: tuple[str, ...]) -> bool:
        function = str(next(iter(expression), None)) if isinstance(expression, dict) else "None"
        argument = expression.get(function) if isinstance(expression, dict) else None
        if function == "Condition":
            return self._decide_named(str(argument), decided, asked)
        least, most = CONDITION_FUNCTIONS.get(function, (0, 0))
        if not isinstance(argument, list) or not least <= len(argument) <= most:
            raise TemplateRefused(
                f"the condition {asked[-1]!r} must be made of {', '.join(sorted(CONDITION_FUNCTIONS))} "
                f"and their arguments, got {expression!r}; rewrite it"
            )
        if function == "Fn::Equals":
            left, right = (evaluate(operand, self.scope) for operand in argument)
            return bool(_comparable(left) == _comparable(right))
        operands = [self._decide(operand, decided, asked) for operand in argument]
        if function == "Fn::Not":
            return not operands[0]
        return all(operands) if function == "Fn::And" else any(operands)


def _comparable(value: Any) -> Any:
    return text(value, "'Fn::Equals'") if isinstance(value, (str, int, float)) else value


def _plain(value: Any) -> str:
    return text(value, "a parameter")
