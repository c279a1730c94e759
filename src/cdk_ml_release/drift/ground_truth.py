"""Labels: what turned out to be true, written and read in the layout that SageMaker merges with its capture."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .files import Files
from .window import Window, hour_of

Label = str | float | bool
"""A true value, of the type of the prediction; for a request of several rows, one for each in a list."""


def write(
    s3: Any,
    bucket: str,
    endpoint: str,
    labels: Mapping[str, Label | list[Label]],
    *,
    collected: datetime | None = None,
) -> str:
    """Store labels where the monitor of an endpoint finds them.

    Args:
        s3: A client of S3, as ``boto3.client("s3")`` makes it.
        bucket: The bucket of the repo.
        endpoint: The endpoint's name.
        labels: The true values by the inference id that the client sent with its request, or by the event id that
            SageMaker gave it. A request of several rows has a list of them.
        collected: When the labels became known: the window that holds this time uses them. Default: now.

    Returns:
        The S3 URI of the file.

    Raises:
        ValueError: if there are no labels, or one is nothing that a model could predict.
    """
    if not labels:
        raise ValueError("'labels' must hold at least one label, got none; leave the call out")
    time = collected if collected is not None else datetime.now(UTC)
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    lines = [_line(event_id, label) for event_id, label in labels.items()]
    key = f"ground-truth/{endpoint}/{time.strftime('%Y/%m/%d/%H')}/{time.strftime('%M-%S')}-{uuid.uuid4()}.jsonl"
    s3.put_object(Bucket=bucket, Key=key, Body="".join(lines).encode(), ContentType="application/jsonlines")
    return f"s3://{bucket}/{key}"


def _line(event_id: str, label: Label | list[Label]) -> str:
    values = label if isinstance(label, list) else [label]
    if not values or not all(isinstance(value, str | int | float) for value in values):
        raise ValueError(
            f"'labels' must hold texts, numbers, or lists of them, got {label!r} for {event_id!r}; leave out what is "
            "not known"
        )
    data = io.StringIO()
    writer = csv.writer(data, lineterminator="\n")
    writer.writerows([str(value).lower() if isinstance(value, bool) else value] for value in values)
    record = {
        "groundTruthData": {"data": data.getvalue().rstrip("\n"), "encoding": "CSV"},
        "eventMetadata": {"eventId": event_id},
        "eventVersion": "0",
    }
    return json.dumps(record) + "\n"


@dataclass(kw_only=True)
class GroundTruth:
    """The labels that became known in a window."""

    labels: dict[str, str]
    """The text of each label's CSV, by the id of the request."""
    duplicates: int = 0
    """How many came again, for a request that had one already: in this window, or in one before it."""
    unreadable: int = 0
    """How many lines are no labels."""


def read(files: Files, endpoint: str, window: Window, days: int) -> GroundTruth:
    """Read the labels that were collected in a window.

    Args:
        files: The repo's bucket.
        endpoint: The endpoint; labels of others are left alone.
        window: When they were collected.
        days: How many days before it the same request may have had a label.
    """
    truth = GroundTruth(labels={})
    for label in _all(files, endpoint, window):
        if label is None:
            truth.unreadable += 1
        elif label[0] in truth.labels:
            truth.duplicates += 1
        else:
            truth.labels[label[0]] = label[1]
    if truth.labels:
        for label in _all(files, endpoint, window.before(days)):
            if label is not None and truth.labels.pop(label[0], None) is not None:
                truth.duplicates += 1
    return truth


def _all(files: Files, endpoint: str, window: Window) -> Iterator[tuple[str, str] | None]:
    hours = set(window.hours)
    for day in window.days:
        for name in files.names(f"ground-truth/{endpoint}/{day}/"):
            if hour_of(name) in hours:
                yield from (_parsed(line) for line in files.lines(name) if line.strip())


def _parsed(line: bytes) -> tuple[str, str] | None:
    try:
        record: Any = json.loads(line)
        about, truth = record["eventMetadata"], record["groundTruthData"]
        # The inference id wins, where both are given (source: the layout's page in SageMaker's guide).
        event_id, data = about.get("inferenceId") or about["eventId"], truth["data"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    return (event_id, data) if isinstance(event_id, str) and isinstance(data, str) else None
