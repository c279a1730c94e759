"""Intrinsics: what the functions of a CloudFormation template mean."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# The least and the most operands.
CONDITION_FUNCTIONS = {"Fn::And": (2, 10), "Fn::Equals": (2, 2), "Fn::Not": (1, 1), "Fn::Or": (2, 10)}
_NO_VALUE = object()
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_.:]+")
_LANGUAGE_EXTENSION = 'needs "Transform": "AWS::LanguageExtensions" at the top of the template; add it'


class TemplateRefused(Exception):
    """A template that CloudFormation, or this rehearsal of it, cannot work with. The message is one line."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the expressions of a template may look at.

    Attributes:
        ref: The value of ``Ref`` for a logical id, parameter or pseudo parameter.
        attribute: The value of ``Fn::GetAtt`` for a logical id and an attribute.
        mappings: The ``Mappings`` section.
        imported: The value of an export of another stack.
        output: The value of an output of another stack: stack name, output name, Region or None.
        extended: Whether the template asks for ``AWS::LanguageExtensions``.

    The callables raise ``TemplateRefused`` for what they do not know.
    """

    ref: Callable[[str], Any]
    attribute: Callable[[str, str], Any]
    mappings: Mapping[str, Any]
    imported: Callable[[str], Any]
    output: Callable[[str, str, str | None], Any]
    extended: bool = False


def evaluate(value: Any, scope: Scope) -> Any:
    """Replace every intrinsic in ``value``, which may be any JSON value. The argument is not changed.

    Raises:
        TemplateRefused: if a function is unknown, misused, or asks for what is not there.
    """
    result = _evaluate(value, scope)
    return None if result is _NO_VALUE else result


def references(value: Any) -> Iterator[tuple[str, str | None]]:
    """Yield what ``value`` refers to: logical name, and the attribute where there is one."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif function := function_of(value):
        argument = value[function]
        if function == "Ref":
            yield str(argument), None
        elif function == "Fn::GetAtt":
            name, attribute = _attribute(argument)
            yield str(name), str(attribute)
            yield from references(attribute)
        elif function == "Fn::Sub":
            yield from _substituted(argument)
        else:
            yield from references(argument)
    elif isinstance(value, dict):
        yield from references(list(value.values()))


def take_branches(value: Any, conditions: Mapping[str, bool]) -> Any:
    """Replace every ``Fn::If`` in ``value`` by the branch that ``conditions`` selects."""
    if isinstance(value, list):
        return [take_branches(item, conditions) for item in value]
    if not isinstance(value, dict):
        return value
    if function_of(value) != "Fn::If":
        return {key: take_branches(item, conditions) for key, item in value.items()}
    name, accepted, rejected = _arguments("Fn::If", value["Fn::If"], 3)
    if name not in conditions:
        raise TemplateRefused(f"'Fn::If' needs one of 'Conditions', got {name!r}; declare it")
    return take_branches(accepted if conditions[name] else rejected, conditions)


def check_functions(value: Any, where: str) -> None:
    """Refuse functions that are not known, and known ones at a wrong place.

    Args:
        value: Any JSON value of a template.
        where: What the message calls the place of ``value``, such as ``resource 'Model'``.

    Raises:
        TemplateRefused: naming the function and the place.
    """
    if isinstance(value, list):
        for item in value:
            check_functions(item, where)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.startswith("Fn::"):
                _check_function(key, item, len(value), where)
            check_functions(item, where)


def text(value: Any, where: str) -> str:
    """Return a scalar the way CloudFormation writes it into a string.

    Raises:
        TemplateRefused: if ``value`` is a list, a map or null.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TemplateRefused(f"{where} needs a string, got {value!r}; choose one value of it")


def function_of(value: Any) -> str | None:
    """Return the intrinsic that ``value`` calls, or None if it is plain data."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    key = str(next(iter(value)))
    return key if key == "Ref" or key.startswith("Fn::") else None


def _check_function(name: str, argument: Any, siblings: int, where: str) -> None:
    if name == "Fn::Transform":
        macro = argument.get("Name") if isinstance(argument, dict) else argument
        raise TemplateRefused(
            f"'Fn::Transform' in {where} calls {macro!r}, a macro the rehearsal does not know; "
            "write what it would write"
        )
    if name not in FUNCTIONS and name not in CONDITION_FUNCTIONS and name != "Fn::If":
        raise TemplateRefused(f"{name!r} in {where} is not a function the rehearsal knows; replace it")
    if siblings > 1:
        raise TemplateRefused(f"{name!r} in {where} must be the only key, got {siblings} keys; nest it")


def _evaluate(value: Any, scope: Scope) -> Any:
    if isinstance(value, list):
        items = [_evaluate(item, scope) for item in value]
        return [item for item in items if item is not _NO_VALUE]
    if not isinstance(value, dict):
        return value
    if function := function_of(value):
        if function not in FUNCTIONS:
            raise TemplateRefused(f"{function!r} cannot be used here; see where CloudFormation allows it")
        return FUNCTIONS[function](_evaluate(value[function], scope), scope)
    entries = {key: _evaluate(item, scope) for key, item in value.items()}
    return {key: item for key, item in entries.items() if item is not _NO_VALUE}


def _arguments(function: str, value: Any, *counts: int) -> list[Any]:
    if not isinstance(value, list) or len(value) not in counts:
        wanted = " or ".join(str(count) for count in counts)
        raise TemplateRefused(f"{function!r} needs a list of {wanted} arguments, got {value!r}; rewrite it")
    return value


def _ref(name: Any, scope: Scope) -> Any:
    return _NO_VALUE if name == "AWS::NoValue" else scope.ref(text(name, "'Ref'"))


def _get_att(argument: Any, scope: Scope) -> Any:
    name, attribute = _attribute(argument)
    return scope.attribute(text(name, "'Fn::GetAtt'"), text(attribute, "'Fn::GetAtt'"))


def _attribute(argument: Any) -> list[Any]:
    return _arguments("Fn::GetAtt", argument.split(".", 1) if isinstance(argument, str) else argument, 2)


def _join(argument: Any, scope: Scope) -> str:
    delimiter, items = _arguments("Fn::Join", argument, 2)
    if not isinstance(items, list):
        raise TemplateRefused(f"'Fn::Join' needs a list to join, got {items!r}; put it into a list")
    return text(delimiter, "'Fn::Join'").join(text(item, "'Fn::Join'") for item in items)


def _sub(argument: Any, scope: Scope) -> str:
    template, own = (argument, {}) if isinstance(argument, str) else _arguments("Fn::Sub", argument, 2)

    def substitute(found: re.Match[str]) -> str:
        name = found[1].strip()
        if name.startswith("!"):
            return "${" + name[1:] + "}"
        if not _VARIABLE_NAME.fullmatch(name):
            raise TemplateRefused(
                f"'Fn::Sub' variables have letters, digits, '_', '.' and ':', got {found[0]!r}; "
                "to keep the text write '${!...}'"
            )
        if name in own:
            return text(own[name], f"'Fn::Sub' of {name!r}")
        logical, _, attribute = name.partition(".")
        value = scope.attribute(logical, attribute) if attribute else scope.ref(name)
        return text(value, f"'Fn::Sub' of {name!r}")

    return _VARIABLE.sub(substitute, text(template, "'Fn::Sub'"))


def _substituted(argument: Any) -> Iterator[tuple[str, str | None]]:
    template, own = (argument, {}) if isinstance(argument, str) else _arguments("Fn::Sub", argument, 2)
    for name in map(str.strip, _VARIABLE.findall(str(template))):
        if not name.startswith("!") and name not in own:
            logical, _, attribute = name.partition(".")
            yield logical, attribute or None
    yield from references(list(own.values()))


def _select(argument: Any, scope: Scope) -> Any:
    index, items = _arguments("Fn::Select", argument, 2)
    number = text(index, "'Fn::Select'")
    if not isinstance(items, list) or not number.isdigit() or int(number) >= len(items):
        raise TemplateRefused(f"'Fn::Select' needs an index of its list, got {index!r} of {items!r}; change it")
    return items[int(number)]


def _split(argument: Any, scope: Scope) -> list[str]:
    delimiter, whole = _arguments("Fn::Split", argument, 2)
    if not delimiter:
        raise TemplateRefused(f"'Fn::Split' needs a delimiter, got {delimiter!r}; name one")
    return text(whole, "'Fn::Split'").split(text(delimiter, "'Fn::Split'"))


def _base64(argument: Any, scope: Scope) -> str:
    return base64.b64encode(text(argument, "'Fn::Base64'").encode()).decode()


def _find_in_map(argument: Any, scope: Scope) -> Any:
    keys, fallback = _arguments("Fn::FindInMap", argument, 3, 4)[:3], argument[3:]
    if fallback and not scope.extended:
        raise TemplateRefused(f"the default of 'Fn::FindInMap' {_LANGUAGE_EXTENSION}")
    found: Any = scope.mappings
    for key in (text(key, "'Fn::FindInMap'") for key in keys):
        if not isinstance(found, Mapping) or key not in found:
            if fallback and isinstance(fallback[0], dict) and "DefaultValue" in fallback[0]:
                return fallback[0]["DefaultValue"]
            raise TemplateRefused(f"'Fn::FindInMap' finds no {key!r} for {keys!r} in 'Mappings'; add it")
        found = found[key]
    return found


def _import_value(argument: Any, scope: Scope) -> Any:
    return scope.imported(text(argument, "'Fn::ImportValue'"))


def _get_stack_output(argument: Any, scope: Scope) -> Any:
    if not isinstance(argument, dict) or not {"StackName", "OutputName"} <= argument.keys():
        raise TemplateRefused(f"'Fn::GetStackOutput' needs a stack and an output, got {argument!r}; name both")
    return scope.output(argument["StackName"], argument["OutputName"], argument.get("Region"))


def _get_azs(argument: Any, scope: Scope) -> list[str]:
    region = argument or scope.ref("AWS::Region")
    return [f"{region}{letter}" for letter in "abc"]


def _length(argument: Any, scope: Scope) -> int:
    if not scope.extended:
        raise TemplateRefused(f"'Fn::Length' {_LANGUAGE_EXTENSION}")
    if not isinstance(argument, list):
        raise TemplateRefused(f"'Fn::Length' needs a list, got {argument!r}; put it into a list")
    return len(argument)


def _to_json_string(argument: Any, scope: Scope) -> str:
    if not scope.extended:
        raise TemplateRefused(f"'Fn::ToJsonString' {_LANGUAGE_EXTENSION}")
    return json.dumps(argument, separators=(",", ":"), ensure_ascii=False)


FUNCTIONS: Mapping[str, Callable[[Any, Scope], Any]] = {
    "Ref": _ref,
    "Fn::Base64": _base64,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAZs": _get_azs,
    "Fn::GetAtt": _get_att,
    "Fn::GetStackOutput": _get_stack_output,
    "Fn::ImportValue": _import_value,
    "Fn::Join": _join,
    "Fn::Length": _length,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": _sub,
    "Fn::ToJsonString": _to_json_string,
}
