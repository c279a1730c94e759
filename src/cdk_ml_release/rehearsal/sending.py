"""Sending: the lines of a file as requests to an endpoint, and the labels that become known later."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .asker import Asker
from .cloud.gateway import Gateway
from .cloud.hours import now
from .event import CONTENT_TYPES, lines_of

__all__ = ["Sent", "put_labels", "send"]

_CONNECTIONS = 8
_MOST_REASONS = 10


@dataclass(kw_only=True)
class Sent:
    """What became of the requests of one file."""

    endpoint: str
    file: str
    total: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """In words."""
        said = f"sent {self.file} to {self.endpoint}: {self.total} requests, {self.failed} failed"
        return f"{said}, such as: {next(iter(self.reasons))}" if self.reasons else said

    def to_json(self) -> dict[str, Any]:
        """As the report has it."""
        return {
            "endpoint": self.endpoint,
            "file": self.file,
            "total": self.total,
            "failed": self.failed,
            "failures": dict(self.reasons),
        }


def send(gateway: Gateway, endpoint: str, path: Path) -> Sent:
    """Send every line of a file as a request, with ``<file stem>-<line number>`` as its inference id.

    Some are under way at the same time; each is sent once.
    """
    sent = Sent(endpoint=endpoint, file=path.name)
    asker, kind = Asker(gateway, endpoint), CONTENT_TYPES[path.suffix]
    waiting: Iterator[tuple[int, str]] = zip(itertools.count(1), lines_of(path), strict=False)
    lock = threading.Lock()

    def work() -> None:
        connection = asker.connection()
        while True:
            with lock:
                number, body = next(waiting, (0, ""))
            if not number:
                break
            reason = asker.ask(connection, body, kind, f"{path.stem}-{number}")
            with lock:
                sent.total += 1
                sent.failed += bool(reason)
                if reason and (reason in sent.reasons or len(sent.reasons) < _MOST_REASONS):
                    sent.reasons[reason] += 1
        connection.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


def put_labels(s3: Any, bucket: str, endpoint: str, path: Path) -> int:
    """Store the labels of a file as SageMaker merges them with captured requests; how many there were.

    They lie under the hour in which they were collected, which is now.
    """
    lines = []
    for line in lines_of(path):
        identifier, _, label = line.partition(",")
        record = {
            "groundTruthData": {"data": label.strip(), "encoding": "CSV"},
            "eventMetadata": {"eventId": identifier.strip()},
            "eventVersion": "0",
        }
        lines.append(json.dumps(record))
    key = f"ground-truth/{endpoint}/{now().strftime('%Y/%m/%d/%H')}/{uuid.uuid4()}.jsonl"
    s3.put_object(Bucket=bucket, Key=key, Body=("\n".join(lines) + "\n").encode())
    return len(lines)
