"""One line of a bill, and the total of many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something that is paid for."""

    where: str
    """What of the app it is, in the words of its author: a stack, an endpoint, a stage and its action."""
    item: str
    usd: float | None = None
    """The least that it costs; None if that is not known."""
    most_usd: float | None = None
    """The most that it costs, where it scales."""
    unknown: str = ""
    """Why it is not known."""

    def __post_init__(self) -> None:
        """A line without an amount must say why."""
        assert (self.usd is None) == bool(self.unknown)


@dataclass(frozen=True, kw_only=True)
class Total:
    """What some lines come to."""

    usd: float
    most_usd: float
    unknown: int
    """How many lines have no price."""

    def __str__(self) -> str:
        known = money(self.usd)
        if money(self.most_usd) != known:
            known += f" to {money(self.most_usd)}"
        return f"at least {known} plus {self.unknown} unknown" if self.unknown else known

    def times(self, factor: float) -> Total:
        """The same, so many times; what is unknown stays as many things."""
        return Total(usd=self.usd * factor, most_usd=self.most_usd * factor, unknown=self.unknown if factor else 0)

    def __add__(self, other: Total) -> Total:
        return Total(
            usd=self.usd + other.usd, most_usd=self.most_usd + other.most_usd, unknown=self.unknown + other.unknown
        )


def total(lines: Iterable[Line]) -> Total:
    """Add up."""
    least, most, unknown = 0.0, 0.0, 0
    for line in lines:
        if line.usd is None:
            unknown += 1
        else:
            least += line.usd
            most += line.usd if line.most_usd is None else line.most_usd
    return Total(usd=least, most_usd=most, unknown=unknown)


def money(usd: float, digits: int | None = None) -> str:
    """An amount as a person reads it.

    Args:
        usd: The amount in dollars.
        digits: Digits behind the point. Default: two, or four where two would hide the amount.
    """
    if digits is None:
        digits = 2 if usd == 0 or usd >= 1 else 4
    return f"${usd:,.{digits}f}"
