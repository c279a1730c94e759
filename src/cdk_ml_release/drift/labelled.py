"""What was predicted, beside what turned out to be true."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..runtime.cells import Value
from ..runtime.schema import Schema
from . import capture
from .files import Files
from .ground_truth import GroundTruth

# A record is parsed only if one of its ids has a label: most have none, and finding that out is much cheaper.
_IDS = re.compile(rb'"(?:eventId|inferenceId)"\s*:\s*"((?:[^"\\]|\\.)*)"')


@dataclass(kw_only=True)
class Labelled:
    """Pairs of a prediction and its label."""

    predicted: list[Value] = field(default_factory=list)
    true: list[Value] = field(default_factory=list)
    unfit: int = 0
    """How many labels are nothing that the model could predict, or not one for each row."""

    def __len__(self) -> int:
        return len(self.true)


def join(files: Files, names: Sequence[str], *, schema: Schema, truth: GroundTruth, known: set[str]) -> Labelled:
    """Find the predictions of one model version that labels belong to.

    Args:
        files: The repo's bucket.
        names: The files in which the version's answers were captured, the newest ones last.
        schema: The version's columns.
        truth: The labels.
        known: The ids of the requests that labels were found for; those of this version are added.
    """
    pairs = Labelled()
    wanted = {event_id.encode() for event_id in truth.labels}
    for name in reversed(names if wanted else ()):
        if truth.labels.keys() <= known:
            break
        for line in files.lines(name):
            if any(found in wanted or b"\\" in found for found in _IDS.findall(line)):
                _pair(pairs, line, schema, truth, known)
    return pairs


def _pair(pairs: Labelled, line: bytes, schema: Schema, truth: GroundTruth, known: set[str]) -> None:
    try:
        exchange = capture.parse(line)
    except capture.Unreadable:
        return
    label = truth.labels.get(exchange.event_id)
    if label is None or exchange.event_id in known:
        return
    known.add(exchange.event_id)
    count = schema.read(exchange.request.text, exchange.request.encoding).count
    answered = schema.read_output(exchange.answer.text, exchange.answer.encoding, count)
    true = schema.read_output(label, "CSV", count)
    both = [(answered.fitting[row][0], true.fitting[row][0]) for row in true.fitting if row in answered.fitting]
    pairs.unfit += count - len(both)
    add(pairs, both)


def add(pairs: Labelled, both: Iterable[tuple[Value, Value]]) -> None:
    """Add pairs; one whose prediction or label is missing says nothing."""
    for predicted, true in both:
        if predicted is not None and true is not None:
            pairs.predicted.append(predicted)
            pairs.true.append(true)
