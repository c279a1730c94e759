"""Traffic as pictures: who answered how many requests in each second, and at each step of each release."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .axis import Axis
from .versions import Versions
from .words import capital, count

_MOST_BARS = 240
HEIGHT = 100
"""Of the picture, in its own units; it is ``WIDTH`` wide and stretched to fit."""
WIDTH = 1000


@dataclass(frozen=True)
class Part:
    """What one version, or failure, has of a picture."""

    name: str
    colour: int
    requests: int
    path: str = ""
    """Its area, as SVG writes it."""
    percent: float = 0.0
    """Its share of a step."""


@dataclass(frozen=True)
class Traffic:
    """All requests to an endpoint over time."""

    endpoint: str
    parts: list[Part]
    failed: Part
    highest: float
    """Requests per second at the top of the picture."""

    @property
    def words(self) -> str:
        """The picture in words."""
        answered = [f"{part.name} got {count(part.requests, 'request')}" for part in self.parts]
        return capital(f"{', '.join(answered)}; {self.failed.requests or 'none'} failed")


@dataclass(frozen=True)
class Step:
    """A part of a release in which the share of its version stays the same."""

    at: float
    share: float
    failed: int
    parts: list[Part]


@dataclass(frozen=True)
class Counts:
    """Requests by version and the failed ones among them, from a second on."""

    by_version: Counter[str]
    failed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.by_version.total()

    def height(self, number: int, top: int) -> float:
        """How high so many of the requests are: the bar is as high as the root of its total, each takes its share."""
        return HEIGHT * math.sqrt(self.total / top) * number / self.total if number else 0.0


def traffic(content: Mapping[str, Any], axis: Axis, versions: Versions) -> list[Traffic]:
    """One picture for each endpoint to which requests were sent, beside the pipeline's own."""
    endpoints = dict.fromkeys(each["endpoint"] for each in (*content["traffic"], *content["sent"]))
    return [_traffic(name, content["releases"], axis, versions) for name in endpoints]


def steps(release: Mapping[str, Any], versions: Versions) -> list[Step]:
    """The steps of a release in which there were requests."""
    return [
        Step(
            at=each["at"],
            share=100 * each["share"],
            failed=each["requests"]["failed"],
            parts=list(_shares(each["requests"], versions)),
        )
        for each in release["steps"]
        if each["requests"]["total"]
    ]


def _shares(requests: Mapping[str, Any], versions: Versions) -> Iterator[Part]:
    for arn, number in sorted(requests["by_version"].items(), key=lambda each: versions.colour(each[0])):
        percent = round(100 * number / requests["total"], 2)
        yield Part(versions.name(arn), versions.colour(arn), number, percent=percent)


def _traffic(endpoint: str, releases: Sequence[Mapping[str, Any]], axis: Axis, versions: Versions) -> Traffic:
    width = math.ceil(axis.seconds / _MOST_BARS)
    bars = _bars([each for each in releases if each["endpoint"] == endpoint], width, math.ceil(axis.seconds / width))
    top = max((bar.total for bar in bars), default=0) or 1
    across = WIDTH * width / axis.seconds
    floor = [0.0] * len(bars)
    parts = []
    for arn in sorted({arn for bar in bars for arn in bar.by_version}, key=versions.colour):
        values = [bar.by_version[arn] for bar in bars]
        upper = [low + bar.height(value, top) for low, bar, value in zip(floor, bars, values, strict=True)]
        parts.append(Part(versions.name(arn), versions.colour(arn), sum(values), _area(floor, upper, across)))
        floor = upper
    lost = _area([0.0] * len(bars), [bar.height(bar.failed, top) for bar in bars], across)
    return Traffic(endpoint, parts, Part("failed", 0, sum(bar.failed for bar in bars), lost), round(top / width, 1))


def _bars(releases: Sequence[Mapping[str, Any]], width: int, number: int) -> list[Counts]:
    by_version: list[Counter[str]] = [Counter() for _ in range(number)]
    failed = [0] * number
    for release in releases:
        for second in release["seconds"]:
            place = min(int((release["at"] + second["at"]) // width), number - 1)
            by_version[place].update(second["by_version"])
            failed[place] += second["failed"]
    return [Counts(*each) for each in zip(by_version, failed, strict=True)]


def _area(lower: Sequence[float], upper: Sequence[float], across: float) -> str:
    """The area between two rows of steps; each stretch of it that is not empty is closed by itself."""
    drawn, path = False, []
    for place, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if high > low:
            left, right = round(place * across, 1), round((place + 1) * across, 1)
            path.append(f"M{left} {HEIGHT - low:.1f}V{HEIGHT - high:.1f}H{right}V{HEIGHT - low:.1f}Z")
            drawn = True
    return "".join(path) if drawn else ""
