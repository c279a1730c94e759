"""A fleet: the real serving processes behind an endpoint, one for each instance."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..archives import untar
from ..containers.container import Container, ContainerError
from . import storage
from .workplace import Workplace

_PING_SECONDS = 2.0
_ANSWER_SECONDS = 60.0
_STOP_GRACE_SECONDS = 5.0


class Retired(Exception):
    """A fleet that takes no more requests: another one has taken over."""


class FleetFailed(Exception):
    """Why a fleet never got healthy, in one line."""


@dataclass(frozen=True)
class Served:
    """What a container answered."""

    status: int
    content_type: str
    body: bytes


class Fleet:
    """The serving containers of one endpoint configuration."""

    def __init__(self, place: Workplace, name: str, model: Mapping[str, Any], instances: int) -> None:
        """Plan the fleet of a model; ``start`` brings it up."""
        self.name = name
        self._place = place
        self._model = model
        self._instances = instances
        self._containers: list[Container] = []
        self._ports: list[int] = []
        self._turn = itertools.count()
        self._last_lines: deque[str] = deque(maxlen=1)
        self._busy = 0
        self._retired = False
        self._idle = threading.Condition()

    def start(self) -> None:
        """Start every instance and wait until all answer ``/ping``.

        Raises:
            FleetFailed: if one does not in time; everything is stopped again.
        """
        try:
            for number in range(self._instances):
                self._start_instance(number)
            deadline = time.monotonic() + self._place.startup_seconds
            for container, port in zip(self._containers, self._ports, strict=True):
                self._await_ping(container, port, deadline)
        except (ContainerError, storage.NothingThere) as error:
            self.stop()
            raise FleetFailed(str(error)) from None
        except FleetFailed:
            self.stop()
            raise

    def _start_instance(self, number: int) -> None:
        role = self._model["ExecutionRoleArn"]
        folder = self._place.out / "endpoints" / self.name / f"instance-{number + 1}"
        model = folder / "model"
        model.mkdir(parents=True, exist_ok=True)
        if self._model["ModelDataUrl"]:
            storage.download(self._place.gateway.client("s3", role), self._model["ModelDataUrl"], folder)
            archive = folder / self._model["ModelDataUrl"].rpartition("/")[2]
            untar(archive, model)
            archive.unlink()
        port = _free_port()
        log = folder / "serve.log"

        lock = threading.Lock()

        def write(line: str) -> None:
            with lock, log.open("a", encoding="utf-8") as out:
                out.write(f"{line}\n")
            self._last_lines.append(line)

        environment = {
            # One process an instance: the instances share this machine.
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
            **self._model["Environment"],
            "SAGEMAKER_BIND_TO_PORT": str(port),
        }
        image = self._place.pull(self._model["Image"], role)
        container = Container.start(image, ["serve"], opt_ml=folder, environment=environment, log=write)
        self._place.containers.append(container)
        self._containers.append(container)
        self._ports.append(port)

    def _await_ping(self, container: Container, port: int, deadline: float) -> None:
        while True:
            code = container.poll()
            if code is not None:
                last = f", its last line was: {self._last_lines[-1]}" if self._last_lines else ""
                raise FleetFailed(f"the container exited with code {code} before it answered GET /ping{last}")
            try:
                if _request(port, "GET", "/ping", b"", {}, _PING_SECONDS).status == http.HTTPStatus.OK:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise FleetFailed(
                    "the container did not pass its health check: no 200 from GET /ping on port "
                    f"{port} (SAGEMAKER_BIND_TO_PORT) within {self._place.startup_seconds:g} seconds"
                )
            time.sleep(0.05)

    def answer(self, body: bytes, headers: Mapping[str, str]) -> Served:
        """Let one of the instances answer a request to ``/invocations``.

        Raises:
            OSError: if it does not.
            Retired: if another fleet has taken over.
        """
        with self._idle:
            if self._retired:
                raise Retired
            self._busy += 1
        try:
            port = self._ports[next(self._turn) % len(self._ports)]
            return _request(port, "POST", "/invocations", body, headers, _ANSWER_SECONDS)
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def retire(self) -> None:
        """Take no more requests, answer those under way, then stop."""
        with self._idle:
            self._retired = True
            self._idle.wait_for(lambda: not self._busy, timeout=_ANSWER_SECONDS)
        self.stop()

    def stop(self) -> None:
        """Stop every instance."""
        for container in self._containers:
            container.stop(_STOP_GRACE_SECONDS)


def _request(port: int, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Served:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body or None, headers=dict(headers))
        response = connection.getresponse()
        return Served(response.status, response.getheader("Content-Type", ""), response.read())
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer: {error}") from error
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
