"""Limits of single features, as they stand on a command line."""

from __future__ import annotations

from ..runtime.contract import StageFailed


def threshold(text: str) -> tuple[str, float]:
    """A feature and the distance at which it counts as drifted, from ``FEATURE=VALUE``.

    Raises:
        StageFailed: if it is not written so.
    """
    name, _, value = text.partition("=")
    try:
        distance = float(value)
    except ValueError:
        distance = 0.0
    if not name or not distance > 0:
        raise StageFailed(f"a threshold must be written FEATURE=VALUE, with a value above 0, got '{text}'")
    return name, distance
