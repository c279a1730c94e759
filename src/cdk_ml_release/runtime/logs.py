"""The log of a job's containers, printed while the job runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from . import aws

# The group appears with the first line that any job of the account writes, a stream with the first of its host;
# and when the log is out of reach for a moment, the next look prints what this one missed.
_LATER = aws.BUSY | {"ResourceNotFoundException"}


class LogTail:
    """Prints what a job's containers have written since the last look."""

    def __init__(self, logs: Any, group: str, job: str) -> None:
        """Start at the beginning of every stream.

        Args:
            logs: A CloudWatch Logs client.
            group: The log group.
            job: The job's name, with which the names of its streams begin: ``<job>/<host>-<number>``.
        """
        self._logs = logs
        self._group = group
        self._prefix = f"{job}/"
        self._tokens: dict[str, str] = {}

    def print_new(self) -> None:
        """Print the new lines; with several hosts, each line names its own."""
        try:
            streams = self._streams()
            for stream in streams:
                host = stream.removeprefix(self._prefix).rpartition("-")[0]
                self._print_stream(stream, f"  {host}: " if host and len(streams) > 1 else "  ")
        except ClientError as error:
            if aws.code(error) not in _LATER:
                raise

    def _streams(self) -> list[str]:
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = self._logs.describe_log_streams(
                logGroupName=self._group, logStreamNamePrefix=self._prefix, limit=50, **more
            )
            found += [stream["logStreamName"] for stream in page["logStreams"]]
            if "nextToken" not in page:
                return found
            more = {"nextToken": page["nextToken"]}

    def read(self, suffix: str) -> list[str]:
        """The new lines of the streams whose names end so, unprinted."""
        try:
            return [line for stream in self._streams() if stream.endswith(suffix) for line in self._lines(stream)]
        except ClientError as error:
            if aws.code(error) not in _LATER:
                raise
            return []

    def _print_stream(self, stream: str, margin: str) -> None:
        for line in self._lines(stream):
            print(margin + line)

    def _lines(self, stream: str) -> Iterator[str]:
        # A page may be empty before the end; the end is where the token stays the same (source: GetLogEvents).
        while True:
            known = self._tokens.get(stream)
            more = {"nextToken": known} if known else {}
            page = self._logs.get_log_events(logGroupName=self._group, logStreamName=stream, startFromHead=True, **more)
            for event in page["events"]:
                yield event["message"].rstrip("\n")
            self._tokens[stream] = page["nextForwardToken"]
            if self._tokens[stream] == known:
                return
