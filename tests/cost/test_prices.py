"""The price table."""

import re
from datetime import date

from cdk_ml_release.cost.prices import free, paid_by_use, prices, table

PRICES = [
    (region, meter, item, price)
    for region, meters in table()["regions"].items()
    for meter, items in meters.items()
    for item, price in items.items()
]


def test_every_price_has_a_region_a_source_and_a_date():
    sources = table()["sources"]

    assert [item for region, _, item, _ in PRICES if not re.fullmatch(r"[a-z]+-[a-z]+-\d", region)] == []
    assert [item for _, _, item, price in PRICES if price["source"] not in sources or price["usd"] <= 0] == []
    assert [name for name, each in sources.items() if date.fromisoformat(each["read"]) > date.today()] == []
    assert [name for name, each in sources.items() if not each["what"]] == []


def test_no_source_is_left_without_a_price():
    assert {price["source"] for *_, price in PRICES} == set(table()["sources"])


def test_a_resource_type_is_free_or_paid_but_not_both():
    each = set(prices("us-east-1").meters["each"]) | set(prices("us-east-1").meters["storage"])

    assert not set(free()) & set(paid_by_use())
    assert not (set(free()) | set(paid_by_use())) & each


def test_a_region_without_prices_knows_none():
    assert prices("mars-north-1").of("hosting", "ml.m5.large") is None
