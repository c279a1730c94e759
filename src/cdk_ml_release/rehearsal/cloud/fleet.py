"""A fleet: the instances that serve one endpoint configuration."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from typing import Any

from ..containers.container import ContainerError
from . import storage
from .endpoint_log import EndpointLog
from .instance import ANSWER_SECONDS, FleetFailed, Instance, Served
from .workplace import Workplace

__all__ = ["Fleet", "FleetFailed", "Retired", "Served"]

_DRAIN_SECONDS = 60.0


class Retired(Exception):
    """A fleet that takes no more requests: another one has taken over."""


class Fleet:
    """The instances of one endpoint configuration, of which there may be more or fewer with time."""

    def __init__(self, place: Workplace, name: str, model: Mapping[str, Any]) -> None:
        """Plan the fleet of a model; ``scale`` brings it up."""
        self.name = name
        self._place = place
        self._model = model
        client = place.gateway.client("logs", model["ExecutionRoleArn"])
        # Fleets are called after their endpoint and their configuration.
        self._log = EndpointLog(client, *name.split("/", 1))
        self._instances: list[Instance] = []
        self._started = itertools.count(1)
        self._turn = itertools.count()
        self._retired = False
        self._idle = threading.Condition()

    @property
    def size(self) -> int:
        """How many instances serve."""
        return len(self._instances)

    def scale(self, count: int) -> None:
        """Have so many instances: start what is missing and wait until it is healthy, or drain and stop the rest.

        Raises:
            FleetFailed: if one does not get healthy in time; what was started here is stopped again.
        """
        with self._idle:
            leaving, self._instances = self._instances[count:], self._instances[:count]
            missing = count - len(self._instances)
            self._idle.wait_for(lambda: not any(each.busy for each in leaving), timeout=_DRAIN_SECONDS)
        for each in leaving:
            each.stop()
        coming: list[Instance] = []
        try:
            for _ in range(missing):
                instance = f"instance-{next(self._started)}"
                folder = self._place.out / "endpoints" / self.name / instance
                coming.append(Instance(self._place, folder, self._model, self._log.writer(instance)))
            deadline = time.monotonic() + self._place.startup_seconds
            for each in coming:
                each.await_health(deadline)
        except BaseException as problem:
            for each in coming:
                each.stop()
            if isinstance(problem, ContainerError | storage.NothingThere):
                raise FleetFailed(str(problem)) from None
            raise
        with self._idle:
            self._instances = [*self._instances, *coming]

    def answer(self, body: bytes, headers: Mapping[str, str], seconds: float = ANSWER_SECONDS) -> Served:
        """Let one of the instances answer a request to ``/invocations`` within so many seconds.

        Raises:
            OSError: if it does not.
            Retired: if another fleet has taken over.
        """
        with self._idle:
            if self._retired:
                raise Retired
            if not self._instances:
                raise OSError("the endpoint has no instances")
            instance = self._instances[next(self._turn) % len(self._instances)]
            instance.busy += 1
        try:
            return instance.answer(body, headers, seconds)
        finally:
            with self._idle:
                instance.busy -= 1
                self._idle.notify_all()

    def drain(self) -> None:
        """Take no more requests, and answer those under way."""
        with self._idle:
            self._retired = True
            self._idle.wait_for(lambda: not any(each.busy for each in self._instances), timeout=_DRAIN_SECONDS)

    def stop(self) -> None:
        """Stop every instance."""
        for instance in self._instances:
            instance.stop()
