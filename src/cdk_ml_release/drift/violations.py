"""Where the data of a window breaks the constraints of the baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from ..runtime.cells import Value
from . import chance
from .constraints import Constraint
from .observation import Observation
from .reference import Reference

# How likely data like the baseline's is called a violation, where the constraint is an estimate: per feature.
_BY_CHANCE = 0.001
_MOST_NAMED = 5

_ROWS = {
    "missing_column": ("Missing columns", "missing_column_check", "have too few columns"),
    "extra_column": ("Extra columns", "extra_column_check", "have too many columns"),
    "unreadable": ("Unreadable rows", "data_type_check", "cannot be read"),
    "data_type": ("Values of another type", "data_type_check", "hold a value of another type"),
}


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A constraint that is broken, as Model Monitor writes it."""

    feature_name: str
    constraint_check_type: str
    """Model Monitor's own, and ``range_check``."""
    description: str

    def to_json(self) -> dict[str, str]:
        """The violation as it is stored."""
        return asdict(self)


def find(observation: Observation, reference: Reference) -> list[Violation]:
    """The violations of a window: of all rows first, then feature by feature.

    A constraint that holds for every row of the baseline must hold for every row of the window. Where it is an
    estimate (a share of missing values, the range of a number) there is room for what chance does once in a thousand
    windows.
    """
    found = [*_of_rows(observation, reference)]
    for name in observation.table.kinds:
        found += _of_feature(reference.constraints.of(name), observation, reference)
    return found


def _of_rows(observation: Observation, reference: Reference) -> Iterator[Violation]:
    for (kind, column), count in sorted(observation.kinds.items()):
        share = 1 - count / observation.rows
        if share >= reference.constraints.datatype_threshold:
            continue
        name, check, told = _ROWS[kind]
        yield Violation(
            feature_name=column or name,
            constraint_check_type=check,
            description=f"{count} of {observation.rows} rows {told}{f' in {column}' if column else ''}, such as "
            f"{_example(observation, column)}",
        )


def _example(observation: Observation, column: str) -> str:
    told = [misfit for misfit in observation.misfits if not column or repr(column) in misfit]
    return told[0] if told else "one that is not among the first few"


def _of_feature(constraint: Constraint, observation: Observation, reference: Reference) -> Iterator[Violation]:
    values = observation.table.column(constraint.name)
    if not values:
        return
    present = [value for value in values if value is not None]
    yield from _completeness(constraint, len(values), len(present), len(reference.table))
    if observation.table.kinds[constraint.name] == "category":
        yield from _domain(constraint, present, reference.constraints.domain_threshold)
    else:
        yield from _range(constraint, present, reference)


def _completeness(constraint: Constraint, rows: int, present: int, earlier: int) -> Iterator[Violation]:
    share, missing = present / rows, rows - present
    if share >= constraint.completeness:
        return
    if constraint.completeness < 1 and earlier:
        by_chance = chance.missing_more(missing, rows, 1 - constraint.completeness, earlier)
        if by_chance >= _BY_CHANCE:
            return
    yield Violation(
        feature_name=constraint.name,
        constraint_check_type="completeness_check",
        description=f"{missing} of {rows} values are missing: completeness {share:.4g} is below "
        f"{constraint.completeness:.4g}",
    )


def _domain(constraint: Constraint, present: Sequence[Value], threshold: float) -> Iterator[Violation]:
    if constraint.domain is None or not present:
        return
    strange = Counter(value for value in present if value not in constraint.domain)
    if 1 - strange.total() / len(present) >= threshold:
        return
    named = ", ".join(f"'{value}' ({count})" for value, count in strange.most_common(_MOST_NAMED))
    rest = f" and {len(strange) - _MOST_NAMED} more" if len(strange) > _MOST_NAMED else ""
    yield Violation(
        feature_name=constraint.name,
        constraint_check_type="categorical_values_check",
        description=f"{strange.total()} of {len(present)} values are not in the baseline: {named}{rest}",
    )


def _range(constraint: Constraint, present: Sequence[Value], reference: Reference) -> Iterator[Violation]:
    numbers = [value for value in present if not isinstance(value, str) and value is not None]
    known = reference.range_of(constraint.name)
    if known is None:
        strange = [value for value in numbers if value < 0] if constraint.non_negative else []
        told, by_chance = "negative", 0.0
    else:
        least, most, earlier = known
        strange = [value for value in numbers if not least <= value <= most]
        told = f"outside the baseline's range {least:.4g} to {most:.4g}"
        by_chance = chance.outside_range(len(strange), len(numbers), earlier)
    if strange and by_chance < _BY_CHANCE:
        yield Violation(
            feature_name=constraint.name,
            constraint_check_type="range_check",
            description=f"{len(strange)} of {len(numbers)} values are {told}, such as {max(strange, key=abs):.4g}",
        )
