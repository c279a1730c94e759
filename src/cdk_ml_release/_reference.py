"""Texts that speak of resources, and what a template makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(r"\$\{Token\[[^\]]*\]\}")
_MARK = re.compile(r"\$\{Resource(\d+)(?:\.(\w+))?\}")
_WHOLE = re.compile(r"\$\{([\w:]+)(?:\.(\w+))?\}")


class Verbatim(str):
    """A text in which ``${...}`` is no reference of the template."""


def reference(name: str, attribute: str | None = None) -> str:
    """What stands for a resource, or an attribute of it, in a text."""
    return f"${{{name}}}" if attribute is None else f"${{{name}.{attribute}}}"


def mark(number: int, attribute: str | None = None) -> str:
    """The same, as long as nobody knows the resource's name."""
    return reference(f"Resource{number}", attribute)


def written(value: Any, name: Callable[[int, str | None], str]) -> Any:
    """A property as a template has it.

    Args:
        value: Texts may hold marks, ``${AWS::Region}`` and the like, and tokens of CDK's; what is None is left out.
        name: What stands for a mark: a reference, or a token of CDK's.
    """
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, str):
        return _text(value, name) if "${" in value else value
    if isinstance(value, Mapping):
        return {written(key, name): written(each, name) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [written(each, name) for each in value]
    return value


def _text(text: str, name: Callable[[int, str | None], str]) -> Any:
    text = _MARK.sub(lambda found: name(int(found[1]), found[2]), text)
    if "${" not in _TOKEN.sub("", text):
        return text
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return {"Ref": whole[1]} if whole[2] is None else {"Fn::GetAtt": [whole[1], whole[2]]}
    names = {found: f"Token{number}" for number, found in enumerate(dict.fromkeys(_TOKEN.findall(text)))}
    text = _TOKEN.sub(lambda found: f"${{{names[found[0]]}}}", text)
    return {"Fn::Sub": [text, {names[found]: found for found in names}] if names else text}
