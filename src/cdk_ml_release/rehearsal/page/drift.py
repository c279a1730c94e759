"""Drift as a picture: every feature in every window, its score against its limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .versions import Versions
from .words import count, day, hours, metric, number

_P_VALUES = ("ks", "chisquare_two_samples")
_METHODS = {
    "ks": "Kolmogorov-Smirnov test, p-value",
    "chisquare_two_samples": "chi-square test, p-value",
    "wasserstein": "Wasserstein distance in standard deviations",
    "jensenshannon": "Jensen-Shannon distance",
}
_TINY = 1e-12

_STATES = {
    "Compared": "compared",
    "TooFew": "too few requests to judge",
    "NoData": "no requests",
    "NoEndpoint": "no endpoint yet",
    "NoBaseline": "no baseline to compare with",
}


def state(status: str) -> str:
    """The status of a window in words."""
    return _STATES.get(status, status)


@dataclass(frozen=True)
class Cell:
    """One feature in one window."""

    score: str
    limit: str
    drifted: bool
    fill: float
    """How much of its bar is filled, in percent: the limit is at half."""
    method: str

    @property
    def words(self) -> str:
        """The cell in words."""
        return f"{'drifted' if self.drifted else 'steady'}: {self.method} {self.score}, limit {self.limit}"


@dataclass(frozen=True)
class Column:
    """One window of one version."""

    hours: str
    day: str
    version: str
    colour: int
    state: str
    records: str
    drifted: str
    alarms: list[str]
    report: str | None
    notes: list[str]


@dataclass(frozen=True)
class Row:
    """One feature, or the prediction, in all windows."""

    name: str
    cells: list[Cell | None]

    @property
    def limit(self) -> str:
        """The limit, if it is the same in all windows."""
        limits = {cell.limit for cell in self.cells if cell}
        return limits.pop() if len(limits) == 1 else ""


@dataclass(frozen=True)
class Drift:
    """All windows of an endpoint."""

    endpoint: str
    columns: list[Column]
    rows: list[Row]
    prediction: Row
    qualities: list[tuple[str, list[str]]]
    """Metrics of the model on labelled requests, and their value in each window."""
    methods: list[str]
    by_p_value: bool


def drift(content: Mapping[str, Any], versions: Versions) -> list[Drift]:
    """One picture for each endpoint that was watched."""
    endpoints = dict.fromkeys(each["endpoint"] for each in content["windows"])
    return [
        _drift(name, [each for each in content["windows"] if each["endpoint"] == name], versions) for name in endpoints
    ]


def _drift(endpoint: str, windows: Sequence[dict[str, Any]], versions: Versions) -> Drift:
    features = dict.fromkeys(name for window in windows for name in window["features"])
    measured = dict.fromkeys(name for window in windows for name in window["quality"])
    results = [each for window in windows for each in (*window["features"].values(), window["prediction"]) if each]
    return Drift(
        endpoint=endpoint,
        columns=[_column(each, versions) for each in windows],
        rows=[Row(name, [_cell(each["features"].get(name)) for each in windows]) for name in features],
        prediction=Row("the prediction", [_cell(each["prediction"]) for each in windows]),
        qualities=[(metric(name), [_value(each["quality"].get(name)) for each in windows]) for name in measured],
        methods=[_METHODS.get(name, name) for name in dict.fromkeys(each["method"] for each in results)],
        by_p_value=any(each["method"] in _P_VALUES for each in results),
    )


def _value(value: float | None) -> str:
    return "" if value is None else number(value)


def _cell(result: Mapping[str, Any] | None) -> Cell | None:
    if not result:
        return None
    score, limit = result["score"], result["threshold"]
    by_p_value = result["method"] in _P_VALUES
    times = limit / max(score, _TINY) if by_p_value else score / max(limit, _TINY)
    return Cell(
        score=_score(score),
        limit=f"{limit:g}",
        drifted=result["drifted"],
        fill=round(min(50 * times, 100.0), 1),
        method=_METHODS.get(result["method"], result["method"]),
    )


def _score(score: float) -> str:
    return "<0.001" if 0 <= score < 0.001 else f"{score:.2g}"


def _column(window: dict[str, Any], versions: Versions) -> Column:
    compared = len(window["features"])
    unfit, sampled = window["unfit"], window["sampled_from"]
    notes = [f"{unfit:,} did not fit the schema"] if unfit else []
    notes += [f"a sample of {sampled:,}"] if sampled else []
    return Column(
        hours=hours(window),
        day=day(window),
        version=versions.name(window["model_package_arn"]) if window["model_package_arn"] else "",
        colour=versions.colour(window["model_package_arn"]),
        state=state(window["status"]),
        records=count(window["records"], "request"),
        drifted=f"{len(window['drifted'])} of {compared} drifted" if compared else "",
        alarms=window["alarms"],
        report=window["report"],
        notes=[*notes, *(each["description"] for each in window["violations"])],
    )
