"""What came of one model version in one window: ``window.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .comparison import Comparison
from .observation import Observation
from .violations import Violation
from .window import Window

Status = Literal["Compared", "TooFew", "NoData", "NoEndpoint", "NoBaseline"]

NO_VERSION = "none"
"""What stands for the version in the folder of a window in which none has answered anything."""


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """What became of the labels that were collected in a window."""

    joined: int = 0
    """Labels of this version's predictions, one for each row."""
    duplicates: int = 0
    """Labels that came again; only the first one counts."""
    unknown: int = 0
    """Labels of requests that were not captured, or longer ago than labels are joined; and what is no label, or none
    that fits what was predicted."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one version."""

    status: Status
    execution_id: str = ""
    model_package_arn: str = ""
    version: str = NO_VERSION
    records: int = 0
    observation: Observation | None = None
    comparison: Comparison | None = None
    violations: tuple[Violation, ...] = ()
    quality: Mapping[str, float] = field(default_factory=dict)
    labels: LabelCount = field(default_factory=LabelCount)
    in_service: bool = False
    """Whether the endpoint serves this version now."""
    page: str = ""
    """The report; empty if nothing was compared."""

    @property
    def unfit(self) -> int:
        """Rows that do not fit the schema."""
        return self.observation.unfit if self.observation is not None else 0

    @property
    def sampled_from(self) -> int | None:
        """How many rows the analysed ones were chosen from; None if all were analysed."""
        observation = self.observation
        return observation.table.seen if observation is not None and observation.table.sampled else None

    def to_json(self, endpoint: str, window: Window, report: str | None) -> str:
        """The outcome as it is stored.

        Args:
            endpoint: The endpoint's name.
            window: The window.
            report: Where the report is.
        """
        comparison, observation = self.comparison, self.observation
        predicted = comparison.prediction if comparison is not None else None
        stored: dict[str, Any] = {
            "endpoint": endpoint,
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "status": self.status,
            "model_package_arn": self.model_package_arn,
            "execution_id": self.execution_id,
            "records": self.records,
            "unfit": self.unfit,
            "misfits": observation.misfits if observation is not None else [],
            "drifted": comparison.drifted if comparison is not None else [],
            "drift_share": comparison.drift_share if comparison is not None else None,
            "features": {
                name: drift.to_json() for name, drift in (comparison.features if comparison is not None else {}).items()
            },
            "prediction": predicted.to_json() if predicted is not None else None,
            "violations": [each.to_json() for each in self.violations],
            "quality": dict(self.quality),
            "labels": vars(self.labels),
            "sampled_from": self.sampled_from,
            "report": report,
        }
        return json.dumps(stored, indent=2) + "\n"
