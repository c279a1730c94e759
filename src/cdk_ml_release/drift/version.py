"""One model version in one window: what it answered is read, compared and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..runtime.monitor_settings import MonitorSettings
from . import comparison, findings, report, violations
from .drift_test import Judge
from .files import Files
from .observation import Observation
from .outcome import Outcome
from .reference import Reference
from .window import Window


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """How windows are analysed."""

    files: Files
    window: Window
    settings: MonitorSettings
    judge: Judge

    def observe(self, names: Sequence[str], reference: Reference) -> Observation:
        """Read what was captured.

        Args:
            names: The files.
            reference: The baseline of the version, by whose schema they are read.
        """
        observation = Observation(reference.schema, self.window, self.settings.sample, self.settings.minimum_records)
        for name in names:
            observation.add(self.files.lines(name), self.files.uri(name))
        return observation

    def judged(self, observation: Observation, reference: Reference, about: Outcome) -> Outcome:
        """Compare what was captured with the baseline.

        Args:
            observation: What was captured.
            reference: The baseline.
            about: What is known of the version already.
        """
        found = tuple(violations.find(observation, reference)) if observation.judged else ()
        outcome = replace(about, observation=observation, records=observation.rows, violations=found)
        if not observation.rows:
            return replace(outcome, status="NoData")
        if observation.table.seen < self.settings.minimum_records:
            return replace(outcome, status="TooFew")
        prediction = reference.schema.prediction
        compared = comparison.compare(observation.table, reference.table, prediction, self.judge)
        return replace(outcome, status="Compared", comparison=compared)

    def reported(self, outcome: Outcome, reference: Reference, heading: str) -> Outcome:
        """The outcome with its report, if there was a comparison.

        Args:
            outcome: What came of the window.
            reference: The baseline.
            heading: What the report is about.
        """
        if outcome.comparison is None:
            return outcome
        told = findings.told(outcome, self.settings)
        return replace(outcome, page=report.page(outcome.comparison, reference.schema, heading, told))
