"""The bill: what the same pipeline would cost on AWS, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...cost.line import Total, money
from ...cost.prices import dates


@dataclass(frozen=True)
class Section:
    """Some lines and what they come to."""

    title: str
    total: str
    lines: list[tuple[str, str, str]]
    """Where, what, how much."""


@dataclass(frozen=True)
class Bill:
    """The estimate."""

    refused: str
    """Why there is none; empty if there is one."""
    month: str = ""
    releases: float = 0
    standing: str = ""
    sections: tuple[Section, ...] = ()
    read: str = ""
    """When the prices were read."""
    regions: str = ""


def bill(cost: Mapping[str, Any]) -> Bill:
    """Read what :meth:`cdk_ml_release.cost.Bill.to_data` wrote."""
    if "refused" in cost:
        return Bill(refused=cost["refused"])
    sections = [_section("Standing, a month", cost["standing"])]
    if cost["requests"]["lines"]:
        sections.append(_section("Requests, a month", cost["requests"]))
    sections += [_section(f"One release of {each['pipeline']}", each) for each in cost["releases"]]
    oldest, newest = dates()
    return Bill(
        refused="",
        month=str(Total(**cost["month"])),
        releases=cost["assumptions"]["releases"],
        standing=str(Total(**cost["standing"]["total"])),
        sections=tuple(sections),
        read=str(newest) if oldest == newest else f"between {oldest} and {newest}",
        regions=", ".join(cost["regions"]),
    )


def _section(title: str, part: Mapping[str, Any]) -> Section:
    return Section(title, str(Total(**part["total"])), _lines(part["lines"]))


def _lines(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    return [(each["where"], each["item"], _amount(each)) for each in lines]


def _amount(line: Mapping[str, Any]) -> str:
    if line["usd"] is None:
        return f"unknown: {line['unknown']}"
    most = "" if line["most_usd"] is None else f" to {money(line['most_usd'])}"
    return f"{money(line['usd'])}{most}"
