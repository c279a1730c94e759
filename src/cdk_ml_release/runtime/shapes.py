"""Check a request document against SageMaker's own shapes: what botocore leaves unchecked, found before it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_TYPES = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (str, int, float),
}

# AWS adds instance types every month: a name that this copy does not list may be a new one.
_OPEN_SETS = re.compile(r"InstanceType$")


@cache
def packaged() -> dict[str, Any]:
    """The rules that travel with the package: ``botocore``, the version they come from, and ``shapes`` by name."""
    rules: dict[str, Any] = json.loads(Path(__file__).with_name("shapes.json").read_text(encoding="utf-8"))
    return rules


def problems(operation: str, request: Mapping[str, Any], rules: Mapping[str, Any] | None = None) -> list[str]:
    """List what SageMaker would refuse in a request.

    Args:
        operation: Its name, such as ``CreateProcessingJob``.
        request: The whole request, every placeholder filled in.
        rules: What to hold it against. Default: the packaged rules.

    Returns:
        One line for each problem: where, which rule, which value. Empty if the request is well formed.
        Source of the rules: botocore's service model, including the lengths and patterns that botocore ignores.
    """
    shapes = (packaged() if rules is None else rules)["shapes"]
    return list(_Checker(shapes).check(f"{operation}Request", request, ""))


@dataclass(frozen=True)
class _Checker:
    shapes: Mapping[str, Mapping[str, Any]]

    def check(self, name: str, value: Any, path: str) -> Iterator[str]:
        shape = self.shapes[name]
        expected: Any = _TYPES[shape["type"]]
        # To Python True is a number.
        if not isinstance(value, expected) or (isinstance(value, bool) and shape["type"] != "boolean"):
            yield f"{path} must be a {shape['type']}, got {value!r}"
            return
        yield from _limits(shape, name, value, path)
        if shape["type"] == "structure":
            yield from self._members(shape, value, path)
        elif shape["type"] == "list":
            for index, item in enumerate(value):
                yield from self.check(shape["member"], item, f"{path}[{index}]")
        elif shape["type"] == "map":
            for key, item in value.items():
                yield from self.check(shape["key"], key, f"{path} key")
                yield from self.check(shape["value"], item, f"{path}.{key}")

    def _members(self, shape: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Iterator[str]:
        members = shape.get("members", {})
        for missing in (member for member in shape.get("required", ()) if member not in value):
            yield f"{path}.{missing}".lstrip(".") + " is required"
        for member, item in value.items():
            where = f"{path}.{member}".lstrip(".")
            if member in members:
                yield from self.check(members[member], item, where)
            else:
                yield f"{where} is not known to SageMaker"


def _limits(shape: Mapping[str, Any], name: str, value: Any, path: str) -> Iterator[str]:
    size = len(value) if isinstance(value, str | list | dict) else value
    unit = {"string": " characters", "list": " items", "map": " entries"}.get(shape["type"], "")
    low, high = shape.get("min"), shape.get("max")
    if low is not None and size < low:
        yield f"{path} must be at least {low}{unit}, got {size}"
    if high is not None and size > high:
        yield f"{path} must be at most {high}{unit}, got {size}"
    if shape["type"] != "string":
        return
    if "enum" in shape and not _OPEN_SETS.search(name) and value not in shape["enum"]:
        yield f"{path} must be one of {', '.join(shape['enum'])}, got {value!r}"
    pattern = _pattern(shape.get("pattern", ""))
    if pattern is not None and not pattern.fullmatch(value):
        yield f"{path} must match {pattern.pattern}, got {value!r}"


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """A rule that Python can read; Java's classes (on tags) and ranges of surrogates (on Athena's names) it cannot."""
    try:
        return re.compile(text, re.DOTALL) if text else None
    except re.error:
        return None
