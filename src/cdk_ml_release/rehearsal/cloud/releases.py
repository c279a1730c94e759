"""Releases: each creation and update of an endpoint, and who answered the requests meanwhile."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["InProgress", "Succeeded", "RolledBack", "Failed"]
_UNREGISTERED = "unregistered"


@dataclass
class Requests:
    """How many requests there were, how many failed, and how many each version answered."""

    total: int = 0
    failed: int = 0
    by_version: Counter[str] = field(default_factory=Counter)

    def count(self, version: str | None, *, failed: bool) -> None:
        """Count one that a version answered, or failed to."""
        self.total += 1
        self.failed += failed
        self.by_version[version or _UNREGISTERED] += 1

    def add(self, other: Requests) -> None:
        """Count another's requests, too."""
        self.total += other.total
        self.failed += other.failed
        self.by_version += other.by_version

    def to_json(self) -> dict[str, Any]:
        """As the report has it."""
        return {"total": self.total, "failed": self.failed, "by_version": dict(self.by_version)}


@dataclass
class Step:
    """The time from one change of traffic to the next.

    Attributes:
        at: Seconds after the release began.
        share: The share of requests that the release's version is given.
    """

    at: float
    share: float
    requests: Requests = field(default_factory=Requests)


@dataclass(eq=False)
class Release:
    """A creation or an update of an endpoint.

    Its requests are those that arrive from its beginning until the next release of the endpoint begins.

    Attributes:
        began: When, on the machine's monotonic clock.
        by_second: The same requests by the second of their answer, counted from the beginning.
    """

    endpoint: str
    version: str | None
    before: str | None
    policy: str
    outcome: Outcome = "InProgress"
    reason: str = ""
    steps: list[Step] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    by_second: dict[int, Requests] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin with none of the traffic."""
        self.step(0.0)

    def step(self, share: float) -> None:
        """From now on the release's version is given this share of the requests."""
        self.steps.append(Step(at=round(time.monotonic() - self.began, 2), share=round(share, 4)))

    def count(self, step: Step, version: str | None, *, failed: bool) -> None:
        """Count a request that arrived during a step."""
        with self._lock:
            step.requests.count(version, failed=failed)
            second = int(time.monotonic() - self.began)
            self.by_second.setdefault(second, Requests()).count(version, failed=failed)

    @property
    def requests(self) -> Requests:
        """The requests of all steps."""
        with self._lock:
            found = Requests()
            for step in self.steps:
                found.add(step.requests)
            return found

    def to_json(self) -> dict[str, Any]:
        """As the report has it."""
        return {
            "endpoint": self.endpoint,
            "from": self.before,
            "to": self.version,
            "policy": self.policy,
            "outcome": self.outcome,
            **({"reason": self.reason} if self.reason else {}),
            "requests": self.requests.to_json(),
            "steps": [
                {"at": each.at, "share": each.share, "version": self.version, "requests": each.requests.to_json()}
                for each in self.steps
            ],
            "seconds": self._seconds(),
        }

    def _seconds(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{"at": at, **requests.to_json()} for at, requests in sorted(self.by_second.items())]

    def __str__(self) -> str:
        """The release in one line."""
        requests = self.requests
        change = f"{short(self.before)} → {short(self.version)}" if self.before else short(self.version)
        said = f"endpoint {self.endpoint}: {change}, {self.policy}: {self.outcome}"
        if self.reason:
            said += f" ({self.reason})"
        return f"{said}; {requests.total} requests, {requests.failed} failed" if requests.total else said


def short(version: str | None) -> str:
    """A version as ``<group>/<number>``."""
    return version.rpartition("model-package/")[2] if version else _UNREGISTERED
