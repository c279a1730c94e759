"""The bill as a page of text: the same at a terminal and in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .bill import Bill
from .line import Line, Total, money, total
from .prices import DEFAULT_REGION, dates, free_each_month, prices
from .release import Release


def page(bill: Bill) -> Iterator[str]:
    """The lines of the page."""
    oldest, newest = dates()
    yield f"Prices on demand in US dollars, read between {oldest} and {newest}, for {', '.join(bill.regions)}"
    for region in bill.regions:
        if not prices(region).meters:
            yield f"The table has no prices of {region}: what is paid there is unknown"
    if bill.region_assumed:
        yield f"The assembly does not say its region: {DEFAULT_REGION} is assumed"
    yield from _section("Standing, a month", bill.inventory.lines, bill.standing)
    if bill.inventory.requests:
        yield from _section("Requests, a month", bill.inventory.requests, bill.requests)
    for release in bill.releases:
        yield from _section(f"One release of {release.pipeline}", release.lines, release.total)
        yield from _waiting(release)
    yield from ("", f"A month with {bill.assumptions.releases:g} releases: {bill.month}")
    yield from ("", "Assumed:", *(f"  {sentence}" for sentence in bill.assumptions.sentences()))
    yield from ("", "Not subtracted, free in an account each month:", *(f"  {each}" for each in free_each_month()))
    yield from ("", "Not counted: taxes, support, data transfer, API requests, logs, savings plans")
    if bill.inventory.by_use:
        yield from ("", "Paid by use, in no total:")
        yield from (f"  {name}: {what}" for name, what in sorted(bill.inventory.by_use.items()))
    if bill.inventory.free:
        counted = (f"{count} x {name}" for name, count in sorted(bill.inventory.free.items()))
        yield from ("", "Free of charge:", *(f"  {each}" for each in counted))


def _section(title: str, lines: Iterable[Line], sum_of_them: Total) -> Iterator[str]:
    digits = 2 if sum_of_them.most_usd >= 10 else 4
    rows = [(line.where, line.item, *_amount(line, digits)) for line in lines]
    wide, wider, widest = (max((len(row[column]) for row in rows), default=0) for column in (0, 1, 2))
    yield from ("", title)
    before = None
    for where, item, amount, note in rows:
        yield f"  {where if where != before else '':<{wide}}  {item:<{wider}}  {amount:>{widest}}{note}"
        before = where
    yield f"  Total: {sum_of_them}"


def _amount(line: Line, digits: int) -> tuple[str, str]:
    """What stands in the column of the amounts, and what behind it."""
    if line.usd is None:
        return "unknown", f": {line.unknown}"
    return money(line.usd, digits), "" if line.most_usd is None else f" to {money(line.most_usd, digits)}"


def _waiting(release: Release) -> Iterator[str]:
    if release.waiting_minutes:
        costs = total(release.waiting)
        share = f" ({costs.usd / release.total.usd:.0%} of what is known)" if release.total.usd else ""
        waited = f"builds that wait {release.waiting_minutes:g} minutes for jobs and shadows"
        yield f"  Of it, {waited}, and their action minutes: {costs}{share}"
