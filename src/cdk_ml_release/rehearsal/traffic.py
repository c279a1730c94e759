"""Traffic: requests at a steady rate, for as long as a rehearsal runs."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

from .asker import Asker
from .cloud.gateway import Gateway
from .settings import SampleRequest

DEFAULT_PER_SECOND = 20.0
MOST_PER_SECOND = 500.0
_CONNECTIONS = 8
_LOOK_SECONDS = 0.05
_MOST_REASONS = 10


class Stream:
    """The requests to one endpoint, one after the other in turn, over several connections."""

    def __init__(
        self,
        gateway: Gateway,
        endpoint: str,
        requests: Sequence[SampleRequest],
        serves: Callable[[], bool],
        per_second: float,
    ) -> None:
        """Send requests to an endpoint, from the moment on at which it first serves.

        Args:
            gateway: The way to the endpoint.
            endpoint: Its name.
            requests: What it is asked; without any, nothing until :meth:`follow` says what.
            serves: Whether it does.
            per_second: At which rate.
        """
        self.endpoint = endpoint
        self.total = self.failed = 0
        self.reasons: Counter[str] = Counter()
        self._serves = serves
        self._asker = Asker(gateway, endpoint)
        self._requests = itertools.cycle(requests)
        self._has_requests = bool(requests)
        self._per_second = per_second
        self._next = 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(_CONNECTIONS)]

    def follow(self, requests: Sequence[SampleRequest]) -> None:
        """Ask this from now on."""
        with self._lock:
            self._requests, self._has_requests = itertools.cycle(requests), bool(requests)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more, and wait for the answers to what was sent."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def to_json(self) -> dict[str, Any]:
        """As the report has it."""
        return {
            "endpoint": self.endpoint,
            "requests_per_second": self._per_second,
            "total": self.total,
            "failed": self.failed,
            "failures": dict(self.reasons),
        }

    def _send(self) -> None:
        connection = self._asker.connection()
        while not self._ended.is_set():
            if not self._has_requests or not self._serves():
                self._ended.wait(_LOOK_SECONDS)
                continue
            request, at = self._turn()
            if self._ended.wait(max(0.0, at - time.monotonic())):
                break
            self._count(self._asker.ask(connection, request.body, request.content_type))
        connection.close()

    def _turn(self) -> tuple[SampleRequest, float]:
        """The next request and when it is due; what a slow endpoint has delayed is not made up for."""
        with self._lock:
            at = max(self._next, time.monotonic())
            self._next = at + 1 / self._per_second
            return next(self._requests), at

    def _count(self, reason: str) -> None:
        with self._lock:
            self.total += 1
            self.failed += bool(reason)
            if reason and (reason in self.reasons or len(self.reasons) < _MOST_REASONS):
                self.reasons[reason] += 1


def streams(
    gateway: Gateway,
    requests: Sequence[SampleRequest],
    serves: Callable[[str], bool],
    per_second: float,
    awaited: Collection[str] = (),
) -> list[Stream]:
    """One stream for each endpoint that is asked something.

    Args:
        gateway: The way to the endpoints.
        requests: The sample requests.
        serves: Whether an endpoint does.
        per_second: At which rate each is asked.
        awaited: Endpoints that are asked what is sent to them first, instead of the sample requests: else those
            would be most of what is seen of it.
    """
    by_endpoint: dict[str, list[SampleRequest]] = {name: [] for name in sorted(awaited)}
    for request in requests:
        if request.endpoint not in awaited:
            by_endpoint.setdefault(request.endpoint, []).append(request)
    return [Stream(gateway, name, some, partial(serves, name), per_second) for name, some in by_endpoint.items()]


@contextlib.contextmanager
def sending(streams: Sequence[Stream], note: Callable[[str], None]) -> Iterator[None]:
    """Let streams send within this context, and note in the end what became of their requests."""
    for stream in streams:
        stream.start()
    try:
        yield
    finally:
        for stream in streams:
            stream.stop()
            note(f"traffic to {stream.endpoint}: {stream.total} requests, {stream.failed} failed")
