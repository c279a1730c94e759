"""The price table that travels with the package."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DEFAULT_REGION = "us-east-1"
"""What is assumed for a stack that does not say where it goes."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """One price, of one region."""

    usd: float
    per: str
    source: str
    """Its key in ``sources``, where the date is."""


@dataclass(frozen=True)
class Prices:
    """The prices of one region; empty for a region that the table does not have."""

    region: str
    meters: Mapping[str, Mapping[str, Price]]

    def of(self, meter: str, item: str) -> Price | None:
        """The price of something, or None where nobody has found one with a source."""
        return self.meters.get(meter, {}).get(item)

    def why_unknown(self, what: str) -> str:
        """Why there is no price, for a person who sees the line."""
        if not self.meters:
            return f"the table has no prices of {self.region}"
        return f"the table has no price of {what}"


@cache
def table() -> dict[str, Any]:
    """The table as it is stored: ``sources``, ``regions``, ``free``, ``by_use`` and ``free_each_month``."""
    stored: dict[str, Any] = json.loads(Path(__file__).with_name("prices.json").read_text(encoding="utf-8"))
    return stored


@cache
def prices(region: str) -> Prices:
    """The prices of a region."""
    meters = table()["regions"].get(region, {})
    return Prices(
        region,
        {meter: {item: Price(**price) for item, price in items.items()} for meter, items in meters.items()},
    )


def free() -> Mapping[str, str]:
    """Resource types that cost nothing by themselves, and why."""
    types: dict[str, str] = table()["free"]
    return types


def paid_by_use() -> Mapping[str, str]:
    """Resource types that cost nothing while unused, and what of their use is paid; no estimate counts it."""
    types: dict[str, str] = table()["by_use"]
    return types


def free_each_month() -> Sequence[str]:
    """What an account gets every month without paying; no estimate subtracts it, for others may use it up."""
    offers: list[str] = table()["free_each_month"]
    return offers


def dates() -> tuple[str, str]:
    """When the oldest and the newest price of the table was read."""
    read = sorted(source["read"] for source in table()["sources"].values())
    return read[0], read[-1]
