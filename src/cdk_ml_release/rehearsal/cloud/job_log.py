"""The log of a job in CloudWatch Logs, written with the rights of the job's role."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any


class JobLog:
    """Collects what a job's containers write, and hands it to CloudWatch Logs."""

    def __init__(self, client: Any, group: str, job: str) -> None:
        """Start with nothing written.

        Args:
            client: A client of CloudWatch Logs, as the job's role.
            group: The log group.
            job: The job's name, with which the names of its streams begin.
        """
        self._client = client
        self._group = group
        self._job = job
        self._lock = threading.Lock()
        self._lines: dict[str, list[dict[str, Any]]] = {}
        self._streams: set[str] = set()
        self._started = int(time.time())

    def writer(self, host: str, suffix: str = "") -> Callable[[str], None]:
        """What takes the lines of one host, for ``<job>/<host>-<time><suffix>``."""
        stream = f"{self._job}/{host}-{self._started}{suffix}"

        def write(line: str) -> None:
            with self._lock:
                event = {"timestamp": int(time.time() * 1000), "message": line or " "}
                self._lines.setdefault(stream, []).append(event)

        return write

    def flush(self) -> None:
        """Hand over what was written since the last time."""
        with self._lock:
            waiting, self._lines = self._lines, {}
        for stream, events in waiting.items():
            self._open(stream)
            self._client.put_log_events(logGroupName=self._group, logStreamName=stream, logEvents=events)

    def _open(self, stream: str) -> None:
        if stream in self._streams:
            return
        names = {"logGroupName": self._group}
        for create, arguments in (
            (self._client.create_log_group, names),
            (self._client.create_log_stream, names | {"logStreamName": stream}),
        ):
            with contextlib.suppress(self._client.exceptions.ResourceAlreadyExistsException):
                create(**arguments)
        self._streams.add(stream)
