"""What an alarm watches: one metric, or an expression over several."""

from __future__ import annotations

import ast
import copy
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .gateway import ApiError
from .metrics import NAMESPACE, Metrics, check_statistic, statistic

_ARITHMETIC: Mapping[type[ast.AST], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One statistic of one metric."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    period: int


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What an alarm compares with its threshold."""

    name: str
    statistics: Mapping[str, Statistic]
    expression: ast.expr

    @property
    def period(self) -> int:
        """The length of one period, in seconds."""
        return max(each.period for each in self.statistics.values())

    @property
    def endpoint(self) -> str:
        """The endpoint among the dimensions, if there is one."""
        named = (each.dimensions.get("EndpointName", "") for each in self.statistics.values())
        return next((name for name in named if name), "")

    @property
    def is_endpoints_own(self) -> bool:
        """Whether all of it is measured at endpoints by the service itself."""
        return all(each.namespace == NAMESPACE for each in self.statistics.values())

    def value(self, metrics: Metrics, since: float, until: float = math.inf) -> tuple[float | None, int]:
        """Its value between two moments, None if there is none, and from how many observed values it comes."""
        values = {
            key: metrics.values(each.namespace, each.metric, each.dimensions, since, until)
            for key, each in self.statistics.items()
        }
        known = {key: statistic(self.statistics[key].statistic, found) for key, found in values.items() if found}
        return _evaluate(self.expression, known), max(len(found) for found in values.values())


def read_watched(parameters: Mapping[str, Any]) -> Watched:
    """Read what an alarm watches from the parameters of PutMetricAlarm.

    Raises:
        ApiError: naming what the rehearsal does not know.
    """
    if "MetricName" in parameters:
        name = parameters.get("Statistic") or parameters["ExtendedStatistic"]
        one = _statistic(parameters, name, parameters)
        label = f"{one.statistic} of {one.metric}"
        return Watched(name=label, statistics={"m": one}, expression=ast.Name("m"))
    given: Sequence[Mapping[str, Any]] = parameters.get("Metrics", ())
    statistics = {
        each["Id"]: _statistic(each["MetricStat"]["Metric"], each["MetricStat"]["Stat"], each["MetricStat"])
        for each in given
        if "MetricStat" in each
    }
    expressions = {each["Id"]: _parsed(each["Expression"]) for each in given if "Expression" in each}
    returned = [each["Id"] for each in given if each.get("ReturnData", True)]
    if len(returned) != 1 or not statistics:
        raise ApiError("ValidationError", f"one of the metrics of '{parameters['AlarmName']}' must return data")
    expression = _Replace(expressions).visit(ast.Name(returned[0]))
    _check(expression, set(statistics))
    label = next((each["Label"] for each in given if each["Id"] == returned[0] and "Label" in each), "")
    return Watched(name=label or ast.unparse(expression), statistics=statistics, expression=expression)


def _statistic(metric: Mapping[str, Any], name: str, timing: Mapping[str, Any]) -> Statistic:
    check_statistic(name)
    return Statistic(
        namespace=metric["Namespace"],
        metric=metric["MetricName"],
        dimensions={each["Name"]: each["Value"] for each in metric.get("Dimensions", ())},
        statistic=name,
        period=int(timing["Period"]),
    )


def _parsed(expression: str) -> ast.expr:
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        raise _unknown(expression) from None


def _unknown(expression: str) -> ApiError:
    return ApiError(
        "NotImplemented",
        f"the rehearsal cannot evaluate the metric expression '{expression}': it knows + - * /, comparisons, "
        "IF and FILL",
        501,
    )


class _Replace(ast.NodeTransformer):
    """Put expressions where their ids are used."""

    def __init__(self, expressions: Mapping[str, ast.expr]) -> None:
        self._expressions = expressions

    def visit_Name(self, node: ast.Name) -> ast.AST:
        # An expression that uses itself stays a name that nobody knows.
        others = {name: each for name, each in self._expressions.items() if name != node.id}
        found = self._expressions.get(node.id)
        return node if found is None else _Replace(others).visit(copy.deepcopy(found))


def _check(node: ast.expr, known: set[str]) -> None:
    """Refuse an expression that ``_evaluate`` does not know."""
    match node:
        case ast.Name(id=name) if name in known:
            inner: Sequence[ast.expr] = []
        case ast.Constant(value=int() | float()):
            inner = []
        case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
            inner = [left, right]
        case ast.Compare(left, [op], [right]) if type(op) in _ARITHMETIC:
            inner = [left, right]
        case ast.UnaryOp(ast.USub(), operand):
            inner = [operand]
        case ast.Call(ast.Name("FILL"), [value, ast.Constant()], []):
            inner = [value]
        case ast.Call(ast.Name("IF"), [condition, yes, no], []):
            inner = [condition, yes, no]
        case _:
            raise _unknown(ast.unparse(node))
    for each in inner:
        _check(each, known)


def _evaluate(node: ast.expr, known: Mapping[str, float]) -> float | None:
    """The value, or None where a value that it needs is missing or it divides by zero, as CloudWatch has it."""
    match node:
        case ast.Name(id=name):
            return known.get(name)
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.BinOp(left, op, right) | ast.Compare(left, [op], [right]):
            first, second = _evaluate(left, known), _evaluate(right, known)
            if first is None or second is None or (isinstance(op, ast.Div) and second == 0):
                return None
            return float(_ARITHMETIC[type(op)](first, second))
        case ast.UnaryOp(_, operand):
            value = _evaluate(operand, known)
            return None if value is None else -value
        case ast.Call(ast.Name("FILL"), [inner, ast.Constant(value=filling)]):
            value = _evaluate(inner, known)
            return float(filling) if value is None else value  # type: ignore[arg-type]
        case ast.Call(_, [condition, yes, no]):
            truth = _evaluate(condition, known)
            return None if truth is None else _evaluate(yes if truth else no, known)
    raise AssertionError(ast.dump(node))
