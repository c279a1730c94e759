"""Read an evaluation, hold it against the gates, and say it in words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .contract import Gate, Manifest, StageFailed

LONGEST_SUMMARY = 400
_MOST_METRICS = 40
_MOST_NAMES = 20


def metrics(content: bytes | None, uri: str, gates: Sequence[Gate]) -> dict[str, float]:
    """The finite numbers of an ``evaluation.json``, by their path.

    Args:
        content: The file, or None if the evaluation did not write it.
        uri: Where it should be, for messages.
        gates: Whose metrics must be there.

    Returns:
        The gated metrics, then others up to 40 in all.

    Raises:
        StageFailed: if the file is missing, is not a JSON object, or lacks a gated metric.
    """
    if content is None:
        raise StageFailed(f"the evaluation wrote no {uri}: let 'evaluate' write evaluation.json")
    try:
        document = json.loads(content)
        if not isinstance(document, dict):
            raise StageFailed(f"{uri} must hold a JSON object, got {type(document).__name__}")
        values = dict(_values(document, ""))
    except (ValueError, RecursionError) as error:
        raise StageFailed(f"{uri} is not JSON: {error}") from None
    found = {path: float(value) for path, value in values.items() if _is_number(value)}
    for gate in gates:
        if gate.metric in values and gate.metric not in found:
            told = json.dumps(values[gate.metric])[:80]
            raise StageFailed(f"{uri} must hold a finite number at '{gate.metric}', which is gated, got {told}")
        if gate.metric not in found:
            raise StageFailed(f"{uri} has no number at '{gate.metric}', which is gated; it has: {_names(found)}")
    gated = {gate.metric: found[gate.metric] for gate in gates}
    return dict(list((gated | found).items())[: max(_MOST_METRICS, len(gated))])


def _values(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        below = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from _values(value, below)
        else:
            yield below, value


def _is_number(value: Any) -> bool:
    # A whole number may be too large for a float; NaN is on neither side of anything.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _names(found: Iterable[str]) -> str:
    names = sorted(found)
    rest = len(names) - _MOST_NAMES
    return ", ".join([*names[:_MOST_NAMES], *([f"{rest} more"] if rest > 0 else [])]) or "none"


def check_gates(found: Mapping[str, float], gates: Iterable[Gate]) -> None:
    """Refuse a model that does not keep every limit.

    Raises:
        StageFailed: naming metric, value and limit of each gate that is not met.
    """
    missed = [
        f"{gate.metric} is {found[gate.metric]:.15g}, which is not {gate.rule}"
        for gate in gates
        if not gate.allows(found[gate.metric])
    ]
    if missed:
        raise StageFailed(f"the model does not pass its gate: {'; '.join(missed)}")


def summary(
    found: Mapping[str, float], gates: Sequence[Gate], in_service: Mapping[str, Manifest], model: str, commit: str
) -> str:
    """What an approver must know, in one line of at most 400 characters.

    Args:
        found: The new model's metrics.
        gates: Whose metrics are told.
        in_service: The manifests of the models in service, by endpoint name.
        model: The model's name.
        commit: The revision of its code.
    """
    parts = [_told(gate, found[gate.metric], in_service) for gate in gates]
    if not in_service:
        parts.append("no model in service yet")
    text = " ".join(f"{model} from commit {commit[:8]}: {'; '.join(parts)}".split())
    # It becomes a pipeline variable, whose value had better not look like another one.
    text = text.replace("#{", "# {")
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 3] + "..."


def _told(gate: Gate, value: float, in_service: Mapping[str, Manifest]) -> str:
    told = f"{gate.metric.removesuffix('.value')} {value:.4g} (gate: {gate.rule}"
    for endpoint, manifest in sorted(in_service.items()):
        if gate.metric in manifest.metrics:
            before = manifest.metrics[gate.metric]
            told += f"; in service at {endpoint}: {before:.4g}, change {value - before:+.4g}"
    return f"{told})"
