"""DriftLimits: from where on a window of captured requests is called drifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .jobs import check_whole_number
from .quality_gate import QualityGate


@dataclass(frozen=True, kw_only=True)
class DriftLimits:
    """What a window must keep, beside the model's baseline.

    While n * m / (n + m) of n captured and m evaluated records is at most 1000, a column is tested for significance:
    numbers by Kolmogorov-Smirnov, categories by chi-square. Among more records everything is significant, so what
    counts is the distance: of numbers by Wasserstein, in standard deviations of the baseline, of categories by
    Jensen-Shannon. ``docs/detection.md`` has what they find, and how often they are wrong.

    Attributes:
        drifted_share: The share of features that may drift before the alarm goes off, from 0 to below 1.
        p_value: A feature drifts when its test's p-value is below this; between 0 and 1.
        distance: Or when its distance is at least this; above 0.
        features: For single columns, the distance that takes the place of both, whatever the number of records.
        minimum_records: Windows with fewer records are counted, but not judged.
        quality: Limits on metrics of the window itself, once labels have arrived; their paths are those of the
            evaluation, such as ``regression_metrics.rmse.value``.
        label_days: How many days old a record may be when its label arrives.
    """

    drifted_share: float = 0.3
    p_value: float = 0.01
    distance: float = 0.1
    features: Mapping[str, float] = field(default_factory=dict)
    minimum_records: int = 100
    quality: Sequence[QualityGate] = ()
    label_days: int = 2

    def __post_init__(self) -> None:
        """Refuse limits that mean nothing.

        Raises:
            ValueError: if one is out of range, or compares with the model in service.
        """
        _check_share("drifted_share", self.drifted_share, lowest_allowed=True)
        _check_share("p_value", self.p_value)
        for name, limit in {
            "distance": self.distance,
            **{f"features[{n!r}]": v for n, v in self.features.items()},
        }.items():
            if not _is_number(limit) or not 0 < limit < float("inf"):
                raise ValueError(f"'{name}' must be a number above 0 known at synthesis, got {limit!r}; try 0.1")
        check_whole_number("minimum_records", self.minimum_records, at_least=2, at_most=1_000_000)
        check_whole_number("label_days", self.label_days, at_least=1, at_most=30)
        for each in self.quality:
            if each.gate.current:
                raise ValueError(
                    f"'quality' must be limits of its own, got '{each.gate}', which compares with the model in "
                    "service: that is the one that is watched; use QualityGate.at_most() or at_least()"
                )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_share(argument: str, value: float, *, lowest_allowed: bool = False) -> None:
    if not _is_number(value) or not (0 <= value < 1 if lowest_allowed else 0 < value < 1):
        rule = "from 0 to below 1" if lowest_allowed else "between 0 and 1"
        raise ValueError(f"'{argument}' must be a number {rule} known at synthesis, got {value!r}; 0.3 is three in ten")
