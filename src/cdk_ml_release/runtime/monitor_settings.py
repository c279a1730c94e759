"""What both sides of the monitor share: the construct writes it at synth, the program reads it in its container."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from .contract import Gate, Settings

LONGEST_VALUE = 256
"""What a processing job's environment allows in one value, in characters."""

_WAY_OUT = "deploy the monitor again"
_COMPARISONS: dict[str, Literal["at_most", "at_least"]] = {"at_most": "at_most", "at_least": "at_least"}


@dataclass(frozen=True, kw_only=True)
class MonitorSettings(Settings):
    """What the drift program knows from synth: the environment of its processing job.

    Raises:
        ValueError: naming the setting that is out of its bounds.
    """

    endpoint_name: str
    bucket: str
    every_hours: int = 1
    """How many hours a window has."""
    minimum_records: int = 100
    """With fewer rows that fit, a window is counted but not judged."""
    alpha: float = 0.01
    """How likely a feature that has not drifted is called drifted, where a test gives a probability."""
    distance: float = 0.1
    """How far a feature may be from its baseline, where samples are so large that every difference is significant:
    standard deviations of a number, or the Jensen-Shannon distance of a category."""
    drift_share: float = 0.3
    """The share of drifted features at which a window is called drifted."""
    sample: int = 0
    """How many rows of a window are analysed at most; 0 for all of them."""
    quality: tuple[Gate, ...] = ()
    """The limits of the metrics that labels give, such as ``regression_metrics.rmse.value``."""
    label_days: int = 2
    """How many days back labels are joined with what was predicted."""
    topic_arn: str = ""
    """Where findings are told; empty for nowhere."""

    def __post_init__(self) -> None:
        _check("every_hours", self.every_hours, 1, 168, "what is longer than a week is several windows")
        _check("minimum_records", self.minimum_records, 1, math.inf, "no rows cannot be compared")
        _check("alpha", self.alpha, 1e-9, 0.5, "0.01 calls one window in a hundred drifted by chance")
        _check("distance", self.distance, 1e-9, math.inf, "0.1 is usual")
        _check("drift_share", self.drift_share, 0, 1, "0.3 is three features of ten")
        _check("sample", self.sample, 0, math.inf, "0 analyses every row")
        _check("label_days", self.label_days, 0, 90, "0 joins the labels of the window itself")
        for gate in self.quality:
            if gate.current:
                raise ValueError(
                    f"'quality' must be limits of their own, got {str(gate)!r}; say how large the error may be"
                )
        long = len(self.to_environment().get("ML_QUALITY", ""))
        if long > LONGEST_VALUE:
            raise ValueError(
                f"'quality' must fit into {LONGEST_VALUE} characters, got {long}; leave out what follows from the rest"
            )

    def to_environment(self) -> dict[str, str]:
        """The record as environment variables."""
        limits = [[gate.metric, gate.comparison, gate.limit] for gate in self.quality]
        quality = {"ML_QUALITY": json.dumps(limits, separators=(",", ":"))} if limits else {}
        others = {name: text for name, text in super().to_environment().items() if name != "ML_QUALITY"}
        return others | quality

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Read back what :meth:`to_environment` wrote.

        Raises:
            KeyError: naming a variable that is not there.
            ValueError: naming a setting that cannot be read, or is out of its bounds.
        """
        numbers = {f"ML_{each.name.upper()}" for each in fields(cls) if each.type in ("int", "float")}
        for name in sorted(numbers & env.keys()):
            _parsed(name, env[name])
        gates = _gates(env.get("ML_QUALITY", "[]"))
        settings = super().from_environment({name: text for name, text in env.items() if name != "ML_QUALITY"})
        return replace(settings, quality=gates)


def _gates(text: str) -> tuple[Gate, ...]:
    limits = _parsed("ML_QUALITY", text)
    try:
        return tuple(
            Gate(metric=str(metric), comparison=_COMPARISONS[comparison], limit=float(limit))
            for metric, comparison, limit in limits
        )
    except (TypeError, ValueError, KeyError):
        raise ValueError(f"'ML_QUALITY' must be a list of limits, got {text!r}; {_WAY_OUT}") from None


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"'{name}' must be JSON, got {text!r}; {_WAY_OUT}") from None


def _check(argument: str, value: Any, least: float, most: float, hint: str) -> None:
    whole = argument not in ("alpha", "distance", "drift_share")
    kind = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
        number = "a whole number" if whole else "a number"
        bounds = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
        raise ValueError(f"'{argument}' must be {number} {bounds}, got {value!r}; {hint}")
