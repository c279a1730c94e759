"""The page: a report as one HTML file, without a script and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from . import metrics, words
from .axis import Axis, clock
from .bill import bill
from .drift import drift
from .pipeline import Picture
from .story import story, window_mark, window_second
from .traffic import HEIGHT, WIDTH, steps, traffic
from .verdict import verdict
from .versions import Versions


def render(content: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        content: What :func:`cdk_ml_release.rehearsal.report.report` returns.
    """
    axis, versions = Axis.of(content), Versions(content)
    return _template().render(
        content,
        axis=axis,
        of=versions,
        verdict=verdict(content, versions),
        story=story(content, versions),
        pictures=[Picture.of(*each) for each in enumerate(content["executions"], 1)],
        streams=traffic(content, axis, versions),
        marks=_marks(content, axis),
        drift=drift(content, versions),
        tables=metrics.tables(content, versions),
        bill=bill(content["cost"]),
        height=HEIGHT,
        width=WIDTH,
    )


@cache
def _template() -> Template:
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    page.filters |= {each.__name__: each for each in (words.capital, words.duration, words.number)}
    page.globals |= {"clock": clock, "count": words.count, "listing": words.listing, "steps": steps}
    return page.get_template("page.html")


def _marks(content: Mapping[str, Any], axis: Axis) -> list[tuple[float, str, str]]:
    """Where windows were looked at: place, mark and words; those of one moment share the mark that is news."""
    found: dict[float, tuple[str, str]] = {}
    for window in content["windows"]:
        second = window_second(window, content["log"])
        if second is not None:
            place, mark = axis.percent(second), window_mark(window)
            if mark == "alarm" or place not in found:
                found[place] = mark, f"window {words.hours(window)}"
    return [(place, *said) for place, said in found.items()]
