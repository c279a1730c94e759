"""Hosted: one endpoint configuration while it serves, with its fleets, what it captures and what is measured."""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .capture import Capture
from .fleet import Fleet, Retired, Served
from .instance import ANSWER_SECONDS
from .metrics import NAMESPACE, Metrics

_MOST_COPIES = 1000
_COPIERS = 4


@dataclass(frozen=True)
class Asked:
    """A request as it reached an endpoint."""

    body: bytes
    headers: Mapping[str, str]
    inference_id: str | None
    at: float
    """When, on the monotonic clock."""
    seconds: float = ANSWER_SECONDS
    """How long the container may take."""


@dataclass
class Hosted:
    """A configuration's variant and the fleet that serves it.

    Attributes:
        endpoint: The endpoint's name.
        config: The configuration's name.
        variant: The variant's declaration.
        fleet: Its instances.
        version: The registered version that it serves, if its model came from the registry.
        capture_config: What it captures, as the endpoint configuration says or an earlier one said.
        asynchronous: Whether its requests wait in a queue.
        answered: How many requests it has answered.
    """

    endpoint: str
    config: str
    variant: Mapping[str, Any]
    fleet: Fleet
    metrics: Metrics
    version: str | None = None
    capture_config: Mapping[str, Any] | None = None
    capture: Capture | None = None
    shadow: Shadow | None = None
    asynchronous: bool = False
    answered: int = 0

    @property
    def variant_name(self) -> str:
        """The variant's name."""
        name: str = self.variant["VariantName"]
        return name

    @property
    def judged(self) -> int:
        """How many requests were answered by what an update is about: the shadow, if there is one."""
        return self.shadow.hosted.answered if self.shadow else self.answered

    def answer(self, asked: Asked) -> Served:
        """Answer a request, capture and measure it, and let the shadow have its copy.

        Raises:
            OSError: if the container does not answer.
            Retired: if another fleet has taken over.
        """
        began = time.monotonic()
        status = 0
        try:
            served = self.fleet.answer(asked.body, asked.headers, asked.seconds)
            status = served.status
        except Retired:
            raise
        except OSError:
            self._measure(status, began, asked.at)
            raise
        self._measure(status, began, asked.at)
        if self.capture and 200 <= status < 300:
            content_type = asked.headers.get("Content-Type", "application/octet-stream")
            answer = (served.content_type, served.body)
            self.capture.record((content_type, asked.body), answer, asked.inference_id)
        if self.shadow:
            self.shadow.copy(asked)
        return served

    def _measure(self, status: int, began: float, asked_at: float) -> None:
        ended = time.monotonic()
        self.answered += 1
        # A container that does not answer at all counts as one that answers 500.
        values = {
            "Invocations": 1,
            "Invocation4XXErrors": 400 <= status < 500,
            "Invocation5XXErrors": status == 0 or status >= 500,
            "InvocationModelErrors": not 200 <= status < 300,
            "ModelLatency": (ended - began) * 1e6,
            "OverheadLatency": (began - asked_at) * 1e6,
        }
        named = {"EndpointName": self.endpoint, "VariantName": self.variant_name}
        for name, value in values.items():
            self.metrics.put(NAMESPACE, name, named, float(value))
            self.metrics.put(NAMESPACE, name, named | {"EndpointConfigName": self.config}, float(value))

    def flush(self) -> None:
        """Write what was captured."""
        if self.capture:
            self.capture.flush()

    def drain(self) -> None:
        """Take no more requests, answer those under way, and write what was captured."""
        self.fleet.drain()
        self.flush()

    def stop(self) -> None:
        """Stop every process."""
        if self.shadow:
            self.shadow.stop()
        self.fleet.stop()


class Shadow:
    """A variant that gets copies of a share of the requests; what it answers is measured and dropped."""

    def __init__(self, hosted: Hosted, share: float) -> None:
        """Begin to answer copies."""
        self._hosted = hosted
        self._share = share
        self._copies: queue.Queue[Asked | None] = queue.Queue(maxsize=_MOST_COPIES)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_COPIERS)]
        for thread in self._threads:
            thread.start()

    @property
    def hosted(self) -> Hosted:
        """The shadow's own fleet."""
        return self._hosted

    def copy(self, asked: Asked) -> None:
        """Answer a copy of a request sometime, if it falls into the share; nobody waits for it."""
        if random.random() < self._share:
            with contextlib.suppress(queue.Full):
                self._copies.put_nowait(asked)

    def _work(self) -> None:
        while (asked := self._copies.get()) is not None:
            with contextlib.suppress(OSError, Retired):
                self._hosted.answer(replace(asked, at=time.monotonic()))

    def stop(self) -> None:
        """Answer no more copies."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._copies.get_nowait()
        for _ in self._threads:
            self._copies.put(None)
        self._hosted.stop()
