"""Read an evaluation, hold it against the gates, and say it in words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .contract import Gate, Manifest, StageFailed

LONGEST_SUMMARY = 400
_MOST_METRICS = 40


def metrics(content: bytes | None, uri: str, gates: Sequence[Gate]) -> dict[str, float]:
    """The finite numbers of an ``evaluation.json``, by their path.

    Args:
        content: The file, or None if the evaluation did not write it.
        uri: Where it should be, for messages.
        gates: Whose metrics must be there.

    Returns:
        At most 40 metrics, the gated ones first.

    Raises:
        StageFailed: if the file is missing, is not a JSON object, or lacks a gated metric.
    """
    if content is None:
        raise StageFailed(f"the evaluation wrote no {uri}: let 'evaluate' write evaluation.json")
    try:
        document = json.loads(content)
    except ValueError as error:
        raise StageFailed(f"{uri} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise StageFailed(f"{uri} must hold a JSON object, got {type(document).__name__}")
    found = dict(_numbers(document, ""))
    for gate in gates:
        if gate.metric not in found:
            known = ", ".join(sorted(found)) or "none"
            raise StageFailed(f"{uri} has no number at '{gate.metric}', which is gated; it has: {known}")
    gated = {gate.metric: found[gate.metric] for gate in gates}
    return dict(list((gated | found).items())[:_MOST_METRICS])


def _numbers(node: Any, path: str) -> Iterable[tuple[str, float]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _numbers(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, int | float) and not isinstance(node, bool) and math.isfinite(node):
        yield path, float(node)


def check_gates(found: Mapping[str, float], gates: Iterable[Gate]) -> None:
    """Refuse a model that does not keep every limit.

    Raises:
        StageFailed: naming metric, value and limit of each gate that is not met.
    """
    missed = [
        f"{gate.metric} is {found[gate.metric]:g}, which is not {gate.comparison.replace('_', ' ')} {gate.limit:g}"
        for gate in gates
        if not gate.allows(found[gate.metric])
    ]
    if missed:
        raise StageFailed(f"the model does not pass its gate: {'; '.join(missed)}")


def summary(
    found: Mapping[str, float], gates: Sequence[Gate], in_service: Mapping[str, Manifest], model: str, commit: str
) -> str:
    """What an approver must know, in at most 400 characters.

    Args:
        found: The new model's metrics.
        gates: Whose metrics are told.
        in_service: The manifests of the models in service, by endpoint name.
        model: The model's name.
        commit: The revision of its code.
    """
    parts = []
    for gate in gates:
        value = found[gate.metric]
        told = f"{gate.metric.removesuffix('.value')} {value:.4g} (gate: {gate.comparison.replace('_', ' ')} {gate.limit:g}"
        for endpoint, manifest in sorted(in_service.items()):
            if gate.metric in manifest.metrics:
                change = value - manifest.metrics[gate.metric]
                told += f"; in service at {endpoint}: {manifest.metrics[gate.metric]:.4g}, change {change:+.4g}"
        parts.append(f"{told})")
    if not in_service:
        parts.append("no model in service yet")
    text = f"{model} from commit {commit[:8]}: {'; '.join(parts)}"
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 3] + "..."
