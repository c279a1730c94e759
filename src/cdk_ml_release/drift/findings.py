"""What was found in a window, in words that name feature, value and limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..runtime.contract import Gate
from ..runtime.monitor_settings import MonitorSettings
from .outcome import Outcome

_MOST_TOLD = 20


def findings(outcome: Outcome, settings: MonitorSettings) -> list[str]:
    """What somebody should look at; nothing, if the window is as it should be.

    A feature that has drifted alone is none, as long as the share of drifted features is within its limit: by chance
    one in a hundred does, so it is told only beside others.
    """
    return [
        *_drift(outcome, settings),
        *(f"{each.feature_name}: {each.description}" for each in outcome.violations),
        *broken(outcome.quality, settings.quality),
    ]


def told(outcome: Outcome, settings: MonitorSettings) -> list[str]:
    """All that a person would want to know of an outcome, for a page or a terminal."""
    lines = [_account(outcome)]
    comparison = outcome.comparison
    if comparison is not None:
        lines.append(
            f"{len(comparison.drifted)} of {len(comparison.features)} features have drifted "
            f"({comparison.drift_share:.0%}, limit {settings.drift_share:.0%})"
        )
        lines += [f"{name} has drifted: {comparison.features[name]}" for name in comparison.drifted]
        if comparison.prediction is not None:
            verb = "have drifted" if comparison.prediction.drifted else "have not drifted"
            lines.append(f"the predictions {verb}: {comparison.prediction}")
    lines += [f"{each.feature_name}: {each.description}" for each in outcome.violations]
    limits = {gate.metric: f", limit {gate.rule}" for gate in settings.quality}
    lines += [f"{metric} is {value:.4g}{limits.get(metric, '')}" for metric, value in outcome.quality.items()]
    return lines


def message(outcome: Outcome, settings: MonitorSettings, heading: str, place: str) -> str:
    """What is sent to people.

    Args:
        outcome: What came of the window.
        settings: The limits.
        heading: What the message is about.
        place: Where report and results are.
    """
    found = findings(outcome, settings)
    rest = [f"... and {len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else []
    lines = [f"- {line}" for line in [*found[:_MOST_TOLD], *rest]]
    return "\n".join([f"{heading}:", *lines, "", _account(outcome), place])


def broken(quality: Mapping[str, float], limits: Sequence[Gate]) -> Iterator[str]:
    """The limits on metrics that are not kept; a metric that could not be measured breaks none."""
    for gate in limits:
        if gate.metric in quality and not gate.allows(quality[gate.metric]):
            yield f"{gate.metric} of the labelled records is {quality[gate.metric]:.4g}, which is not {gate.rule}"


def _drift(outcome: Outcome, settings: MonitorSettings) -> Iterator[str]:
    comparison = outcome.comparison
    if comparison is None:
        return
    if comparison.drift_share > settings.drift_share:
        yield (
            f"{len(comparison.drifted)} of {len(comparison.features)} features have drifted, "
            f"{comparison.drift_share:.0%} with a limit of {settings.drift_share:.0%}"
        )
        yield from (f"{name} has drifted: {comparison.features[name]}" for name in comparison.drifted)
    if comparison.prediction is not None and comparison.prediction.drifted:
        yield f"the predictions have drifted: {comparison.prediction}"


def _account(outcome: Outcome) -> str:
    """How much there was to look at."""
    if outcome.status == "NoEndpoint":
        return "the endpoint has no release in service yet"
    parts = [f"{outcome.records} rows were captured, {outcome.unfit} of them do not fit the schema"]
    if outcome.sampled_from is not None and outcome.observation is not None:
        parts.append(f"a sample of {len(outcome.observation.table)} was analysed")
    if outcome.status == "TooFew":
        parts.append("too few to judge drift by")
    if outcome.status == "NoBaseline":
        parts.append("their model version has no baseline")
    if outcome.labels != type(outcome.labels)():
        labels = outcome.labels
        parts.append(
            f"{labels.joined} labels were joined, {labels.duplicates} came again, {labels.unknown} belong to no request"
        )
    return "; ".join(parts)
