"""Policy conditions: what the Condition block of a policy statement, its wildcards and variables mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

__all__ = ["Facts", "PolicyError", "facts_of", "matches", "texts", "unmet_condition"]

Facts = Mapping[str, tuple[str, ...]]
"""The context keys of one request, in lower case, each with its values."""

_PARTS = re.compile(r"\$\{(?P<variable>[^}]*)\}|(?P<wildcard>[*?])|(?P<plain>[^*?$]+|\$)", re.DOTALL)
_VARIABLE = re.compile(r"\s*(?P<key>[^,\s]+)\s*(?:,\s*'(?P<default>[^']*)'\s*)?")
_OPERATOR = re.compile(r"(?:(?P<quantifier>ForAnyValue|ForAllValues):)?(?P<base>\w+?)(?P<if_exists>IfExists)?")
_Pattern = re.Pattern[str]


class PolicyError(ValueError):
    """A policy that IAM would not take, or that says something this evaluator does not know."""


def facts_of(context: Mapping[str, str | tuple[str, ...]]) -> Facts:
    """Return the context with its keys in lower case, since IAM compares key names without case."""
    return {key.lower(): (value,) if isinstance(value, str) else tuple(value) for key, value in context.items()}


def texts(value: Any, where: str) -> tuple[str, ...]:
    """Return the texts of an element that may be one value or a list of them.

    Raises:
        PolicyError: if a value is no text, number or boolean, such as an intrinsic function nobody resolved.
    """
    found = []
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, bool):
            found.append("true" if item else "false")
        elif isinstance(item, str | int | float):
            found.append(str(item))
        else:
            raise PolicyError(f"{where} must be text, got {item!r}")
    return tuple(found)


def matches(
    pattern: str, text: str, *, facts: Facts | None = None, wildcards: bool = True, ignore_case: bool = False
) -> bool:
    """Tell whether ``text`` has the form of ``pattern``, in which ``*`` and ``?`` also span ``:`` and ``/``.

    Policy variables are replaced when ``facts`` is given. A value of a variable is never a wildcard, and a
    pattern with a variable that has no value matches nothing.
    """
    if facts is None or "${" not in pattern:
        compiled: _Pattern | None = _plain_pattern(pattern, wildcards, ignore_case)
    else:
        compiled = _pattern(pattern, facts, wildcards, ignore_case)
    return compiled is not None and compiled.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _plain_pattern(pattern: str, wildcards: bool, ignore_case: bool) -> _Pattern:
    pieces = re.split(r"([*?])", pattern) if wildcards else [pattern]
    return _compile(
        [_wildcard(piece) if piece in ("*", "?") and wildcards else re.escape(piece) for piece in pieces],
        ignore_case,
    )


def _pattern(pattern: str, facts: Facts, wildcards: bool, ignore_case: bool) -> _Pattern | None:
    pieces = []
    for part in _PARTS.finditer(pattern):
        if part["variable"] is not None:
            value = _value_of(part["variable"], facts)
            if value is None:
                return None
            pieces.append(re.escape(value))
        else:
            pieces.append(_wildcard(part[0]) if part["wildcard"] and wildcards else re.escape(part[0]))
    return _compile(pieces, ignore_case)


def _compile(pieces: Iterable[str], ignore_case: bool) -> _Pattern:
    return re.compile("".join(pieces), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _wildcard(character: str) -> str:
    return ".*" if character == "*" else "."


def _value_of(variable: str, facts: Facts) -> str | None:
    if variable in ("*", "?", "$"):
        return variable
    parsed = _VARIABLE.fullmatch(variable)
    if parsed is None:
        raise PolicyError(f"policy variable '${{{variable}}}' cannot be read")
    values = facts.get(parsed["key"].lower(), ())
    # IAM resolves single-valued keys only (source: IAM user guide, policy variables).
    return values[0] if len(values) == 1 else parsed["default"]


def unmet_condition(conditions: Any, facts: Facts, *, variables: bool) -> str | None:
    """Return the first condition that does not hold, with what the request says instead, or None.

    Args:
        conditions: The ``Condition`` element of a statement.
        facts: What is known about the request.
        variables: Whether the policy's version has policy variables.

    Raises:
        PolicyError: if an operator is not known, or a value is not what its operator compares.
    """
    if not isinstance(conditions, Mapping):
        raise PolicyError(f"'Condition' must be a map, got {conditions!r}")
    for operator, comparisons in conditions.items():
        holds = _comparison(operator)
        if not isinstance(comparisons, Mapping):
            raise PolicyError(f"condition '{operator}' must be a map, got {comparisons!r}")
        for key, value in comparisons.items():
            have, wanted = facts.get(key.lower(), ()), texts(value, f"condition '{operator}' on '{key}'")
            if not holds(have, wanted, facts if variables else None):
                return f"{operator} {key} {_listed(value)} (it is {_listed(have) if have else 'not set'})"
    return None


def _listed(values: Any) -> str:
    return " or ".join(repr(value) for value in texts(values, "value"))


_Comparison = Callable[[tuple[str, ...], tuple[str, ...], Facts | None], bool]
_Test = Callable[[str, str, Facts | None], bool]


def _comparison(operator: str) -> _Comparison:
    parsed = _OPERATOR.fullmatch(operator)
    base = parsed["base"] if parsed else operator
    if base == "Null" and parsed and not parsed["if_exists"]:
        return _is_null
    if parsed is None or base not in _TESTS:
        raise PolicyError(f"condition operator '{operator}' is not known; known are {', '.join([*_TESTS, 'Null'])}")
    test, negated = _TESTS[base]
    quantifier, if_exists = parsed["quantifier"], bool(parsed["if_exists"])

    def compare(have: tuple[str, ...], wanted: tuple[str, ...], facts: Facts | None) -> bool:
        if not have:
            # A missing key: source IAM user guide, "Condition operators" and "Multivalued context keys".
            return if_exists or quantifier == "ForAllValues" or (negated and quantifier is None)
        outcomes = [any(test(value, pattern, facts) for pattern in wanted) != negated for value in have]
        return all(outcomes) if quantifier == "ForAllValues" else any(outcomes)

    return compare


def _is_null(have: tuple[str, ...], wanted: tuple[str, ...], facts: Facts | None) -> bool:
    return any((value.lower() == "true") != bool(have) for value in wanted)


def _string(*, wildcards: bool = False, ignore_case: bool = False) -> _Test:
    def test(have: str, wanted: str, facts: Facts | None) -> bool:
        return matches(wanted, have, facts=facts, wildcards=wildcards, ignore_case=ignore_case)

    return test


def _arn(have: str, wanted: str, facts: Facts | None) -> bool:
    # The six parts are compared one by one, so a wildcard never spans a colon before the sixth.
    ours, theirs = have.split(":", 5), wanted.split(":", 5)
    if facts is not None and "${" in wanted:
        theirs = re.sub(r"\$\{[^}]*\}", lambda variable: variable[0].replace(":", "\0"), wanted).split(":", 5)
    return len(ours) == len(theirs) and all(
        matches(pattern.replace("\0", ":"), part, facts=facts) for part, pattern in zip(ours, theirs, strict=True)
    )


def _bool(have: str, wanted: str, facts: Facts | None) -> bool:
    return have.lower() == wanted.lower()


def _ordered(read: Callable[[str], float], accepts: Callable[[float, float], bool]) -> _Test:
    def test(have: str, wanted: str, facts: Facts | None) -> bool:
        try:
            limit = read(wanted)
        except ValueError as error:
            raise PolicyError(f"condition value '{wanted}' is neither a number nor a date") from error
        try:
            return accepts(read(have), limit)
        except ValueError:
            return False

    return test


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_ORDERS: Mapping[str, tuple[Callable[[float, float], bool], bool]] = {
    "Equals": (lambda have, limit: have == limit, False),
    "NotEquals": (lambda have, limit: have == limit, True),
    "LessThan": (lambda have, limit: have < limit, False),
    "LessThanEquals": (lambda have, limit: have <= limit, False),
    "GreaterThan": (lambda have, limit: have > limit, False),
    "GreaterThanEquals": (lambda have, limit: have >= limit, False),
}
# The test for one value of the request against one of the policy, and whether the operator negates it.
_TESTS: Mapping[str, tuple[_Test, bool]] = {
    "StringEquals": (_string(), False),
    "StringNotEquals": (_string(), True),
    "StringEqualsIgnoreCase": (_string(ignore_case=True), False),
    "StringNotEqualsIgnoreCase": (_string(ignore_case=True), True),
    "StringLike": (_string(wildcards=True), False),
    "StringNotLike": (_string(wildcards=True), True),
    **{f"Arn{verb}": (_arn, verb.startswith("Not")) for verb in ("Equals", "Like", "NotEquals", "NotLike")},
    "Bool": (_bool, False),
    **{f"Numeric{verb}": (_ordered(float, accepts), negated) for verb, (accepts, negated) in _ORDERS.items()},
    **{f"Date{verb}": (_ordered(_seconds, accepts), negated) for verb, (accepts, negated) in _ORDERS.items()},
}
