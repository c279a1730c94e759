"""JSONata as Step Functions has it: expressions between ``{%`` and ``%}``, on the rehearsal's clock."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from jsonata import Jsonata
from jsonata.functions import Functions
from jsonata.jexception import JException
from jsonata.utils import Utils

from ..hours import now

__all__ = ["QueryError", "check", "evaluate", "is_expression"]

_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class QueryError(Exception):
    """Why an expression has no value, in one line."""


def is_expression(value: Any) -> bool:
    """Whether a value is an expression."""
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def check(value: Any) -> None:
    """Refuse a value with an expression that cannot be read, at any depth.

    Raises:
        QueryError: naming it.
    """
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        check(inner)
    if is_expression(value):
        _parsed(value)


def evaluate(value: Any, states: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    """Replace every expression in a value by what it gives.

    Args:
        value: A text or a structure with texts in it.
        states: What ``$states`` is.
        variables: The values of all other variables, by name.

    Raises:
        QueryError: naming the expression.
    """
    if isinstance(value, Mapping):
        return {key: evaluate(inner, states, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [evaluate(inner, states, variables) for inner in value]
    return _value_of(value, {**variables, "states": states}) if is_expression(value) else value


def _parsed(text: str) -> Jsonata:
    try:
        return Jsonata(text[2:-2].strip())
    except JException as error:
        raise QueryError(f"the expression '{text}' cannot be read: {error}") from None


def _value_of(text: str, variables: Mapping[str, Any]) -> Any:
    expression = _parsed(text)
    # Undefined and null are told apart: only the latter can be in a JSON document.
    expression.set_output_convert_nulls(False)
    for name, function in _FUNCTIONS.items():
        expression.register_lambda(name, function)
    try:
        found = expression.evaluate(None, {name: _with_nulls(value) for name, value in variables.items()})
    except (JException, ValueError, TypeError, KeyError, ZeroDivisionError) as error:
        raise QueryError(f"the expression '{text}' fails: {error}") from None
    if found is None:
        raise QueryError(f"the expression '{text}' returned nothing (undefined)")
    return _plain(found, text)


def _with_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_nulls(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_nulls(inner) for inner in value]
    return Utils.NULL_VALUE if value is None else value


def _plain(value: Any, text: str) -> Any:
    """A result as a JSON value."""
    if value is Utils.NULL_VALUE:
        return None
    if isinstance(value, Mapping):
        return {key: _plain(inner, text) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, text) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str | int | float):
        return value
    raise QueryError(f"the expression '{text}' gives a function, which is no JSON value")


def _millis() -> int:
    return int(now().timestamp() * 1000)


def _now(picture: str | None = None, zone: str | None = None) -> Any:
    return Functions.datetime_from_millis(_millis(), picture, zone)


def _hash(text: str, algorithm: str = "SHA-256") -> str:
    return hashlib.new(_HASHES[algorithm], text.encode()).hexdigest()


def _partition(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + int(size)] for start in range(0, len(items), int(size))]


def _range(first: int, last: int, step: int) -> list[int]:
    return list(range(int(first), int(last) + (1 if step > 0 else -1), int(step)))


def _random(seed: int | None = None) -> float:
    return (random if seed is None else random.Random(seed)).random()


def _parse(text: str) -> Any:
    return _with_nulls(json.loads(text))


def _eval(*given: Any) -> Any:
    raise ValueError("Step Functions has no $eval: use $parse")


# What Step Functions adds to JSONata, or replaces.
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "eval": _eval,
    "hash": _hash,
    "millis": _millis,
    "now": _now,
    "parse": _parse,
    "partition": _partition,
    "random": _random,
    "range": _range,
    "uuid": lambda: str(uuid.uuid4()),
}
