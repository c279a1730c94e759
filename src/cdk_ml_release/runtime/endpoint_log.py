"""What an endpoint's containers have written last: the reason is often there and nowhere else."""

from __future__ import annotations

import re
import time
from collections import deque
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from . import aws

_MOST_LINES = 5
# Health checks come every few seconds, and a check of predictions asks dozens of times.
_ROUTINE = re.compile(r"/ping|POST /invocations[^\"]*\" 2\d\d\b")
_LONGEST_LINE = 200
_MOST_PAGES = 20
_LOOK_BACK_SECONDS = 900
# CloudWatch Logs has a line some seconds after it was written.
_MOST_LOOKS = 6


def log_group(endpoint_name: str) -> str:
    """The log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint_name}"


def last_lines(logs: Any, endpoint_name: str, pace: aws.Pace) -> list[str]:
    """The last lines of a quarter of an hour, at most five, of at most 200 characters each.

    Health checks and requests that were answered are left out: soon nothing else would be at the end of a log.

    A log that cannot be read must not hide why it was looked at: there are no lines then.

    Args:
        logs: A CloudWatch Logs client.
        endpoint_name: The endpoint.
        pace: How often to look for lines that are on their way.
    """
    since = int((time.time() - _LOOK_BACK_SECONDS) * 1000)
    for _ in islice(pace, _MOST_LOOKS):
        try:
            lines = _lines(logs, log_group(endpoint_name), since)
        except ClientError as error:
            if aws.code(error) == "ResourceNotFoundException":
                continue
            print(f"the endpoint's log cannot be read: {aws.message(error)}")
            return []
        if lines:
            return lines
    return []


def _lines(logs: Any, group: str, since: int) -> list[str]:
    found: deque[tuple[int, str]] = deque(maxlen=_MOST_LINES)
    more: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        page = logs.filter_log_events(logGroupName=group, startTime=since, **more)
        events = sorted(page.get("events", ()), key=lambda event: event["timestamp"])
        found.extend((event["timestamp"], event["message"]) for event in events if _tells(event["message"]))
        if "nextToken" not in page:
            break
        more = {"nextToken": page["nextToken"]}
    return [message.strip()[:_LONGEST_LINE] for _, message in found]


def _tells(line: str) -> bool:
    return bool(line.strip()) and _ROUTINE.search(line) is None
