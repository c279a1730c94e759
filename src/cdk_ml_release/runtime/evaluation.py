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


def check_gates(
    found: Mapping[str, float], gates: Iterable[Gate], in_service: Mapping[str, Manifest] | None = None
) -> None:
    """Refuse a model that does not keep every limit.

    A limit that the model in service sets is made of that model's own metric, as its own evaluation found it. Where
    there is no such model, or its evaluation had no such metric, there is nothing to be worse than.

    Args:
        found: The new model's metrics.
        gates: The limits.
        in_service: The manifests of the models in service, by endpoint name.

    Raises:
        StageFailed: naming metric, value and limit of each gate that is not met.
    """
    missed = [line for gate in gates for line in _missed(gate, found[gate.metric], in_service or {})]
    if missed:
        raise StageFailed(f"the model does not pass its gate: {'; '.join(missed)}")


def _missed(gate: Gate, value: float, in_service: Mapping[str, Manifest]) -> Iterator[str]:
    if not gate.current:
        if not gate.allows(value):
            yield f"{gate.metric} is {value:.15g}, which is not {gate.rule}"
        return
    held = {
        endpoint: manifest
        for endpoint, manifest in sorted(in_service.items())
        if gate.endpoint in ("", endpoint) and gate.metric in manifest.metrics
    }
    if not held:
        where = f" at {gate.endpoint}" if gate.endpoint else ""
        print(f"gate {gate}: passed, for no model in service{where} has that metric yet")
    for endpoint, manifest in held.items():
        current = manifest.metrics[gate.metric]
        if not gate.against(current).allows(value):
            yield (
                f"{gate.metric} is {value:.15g}, which is not {gate.rule}: version {manifest.version} at {endpoint} "
                f"has {current:.15g}"
            )


def summary(
    found: Mapping[str, float], gates: Sequence[Gate], in_service: Mapping[str, Manifest], title: str, commit: str
) -> str:
    """What an approver must know, in one line of at most 400 characters.

    Args:
        found: The new model's metrics.
        gates: Whose metrics are told.
        in_service: The manifests of the models in service, by endpoint name.
        title: The model's name, or what is to be done with it.
        commit: The revision of its code.
    """
    # A version that was built before may lack what is gated today.
    metrics = dict.fromkeys(gate.metric for gate in gates if gate.metric in found)
    parts = [_told(metric, found[metric], gates, in_service) for metric in metrics]
    parts = parts or ["its evaluation has none of the gated metrics"]
    if not in_service:
        parts.append("no model in service yet")
    text = " ".join(f"{title} from commit {commit[:8]}: {'; '.join(parts)}".split())
    # It becomes a pipeline variable, whose value had better not look like another one.
    text = text.replace("#{", "# {")
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 3] + "..."


def _told(metric: str, value: float, gates: Sequence[Gate], in_service: Mapping[str, Manifest]) -> str:
    rules = ", ".join(gate.rule for gate in gates if gate.metric == metric)
    told = f"{metric.removesuffix('.value')} {value:.4g} (gate: {rules}"
    for endpoint, manifest in sorted(in_service.items()):
        if metric in manifest.metrics:
            before = manifest.metrics[metric]
            told += f"; in service at {endpoint}: {before:.4g}, change {value - before:+.4g}"
    return f"{told})"
