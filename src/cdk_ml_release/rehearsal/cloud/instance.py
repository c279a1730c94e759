"""An instance: one real serving process, as SageMaker's container contract has it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..archives import untar
from ..containers.container import Container
from . import storage
from .workplace import Workplace

_PING_SECONDS = 2.0
ANSWER_SECONDS = 60.0
_STOP_GRACE_SECONDS = 5.0


class FleetFailed(Exception):
    """Why an instance never got healthy, in one line."""


@dataclass(frozen=True)
class Served:
    """What a container answered."""

    status: int
    content_type: str
    body: bytes


class Instance:
    """The serving container of one instance."""

    def __init__(
        self,
        place: Workplace,
        folder: Path,
        model: Mapping[str, Any],
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Start the container; ``await_health`` waits until it serves.

        Args:
            place: The rehearsed AWS.
            folder: What the container sees as ``/opt/ml``.
            model: The model as it is deployed.
            log: Takes every line that the container writes.

        Raises:
            ContainerError: if it cannot be started.
            NothingThere: if the model's archive is not there.
        """
        self.busy = 0
        """How many requests are under way; the fleet counts."""
        self._startup_seconds = place.startup_seconds
        self._last_lines: deque[str] = deque(maxlen=1)
        self._port = _free_port()
        self._unpack(place, folder, model)
        environment = {
            # One process an instance: the instances share this machine.
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
            **model["Environment"],
            "SAGEMAKER_BIND_TO_PORT": str(self._port),
        }
        image = place.pull(model["Image"], model["ExecutionRoleArn"])
        write = self._write(folder / "serve.log", log)
        self._container = Container.start(image, ["serve"], opt_ml=folder, environment=environment, log=write)
        place.containers.append(self._container)

    def _unpack(self, place: Workplace, folder: Path, model: Mapping[str, Any]) -> None:
        target = folder / "model"
        target.mkdir(parents=True, exist_ok=True)
        if model["ModelDataUrl"]:
            s3 = place.gateway.client("s3", model["ExecutionRoleArn"])
            storage.download(s3, model["ModelDataUrl"], folder)
            archive = folder / model["ModelDataUrl"].rpartition("/")[2]
            untar(archive, target)
            archive.unlink()

    def _write(self, path: Path, log: Callable[[str], None]) -> Callable[[str], None]:
        lock = threading.Lock()

        def write(line: str) -> None:
            with lock, path.open("a", encoding="utf-8") as out:
                out.write(f"{line}\n")
            self._last_lines.append(line)
            log(line)

        return write

    def await_health(self, deadline: float) -> None:
        """Wait until it answers ``/ping``.

        Raises:
            FleetFailed: if it ends before, or does not until the deadline.
        """
        while True:
            code = self._container.poll()
            if code is not None:
                last = f", its last line was: {self._last_lines[-1]}" if self._last_lines else ""
                raise FleetFailed(f"the container exited with code {code} before it answered GET /ping{last}")
            try:
                if self._request("GET", "/ping", b"", {}, _PING_SECONDS).status == http.HTTPStatus.OK:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise FleetFailed(
                    "the container did not pass its health check: no 200 from GET /ping on port "
                    f"{self._port} (SAGEMAKER_BIND_TO_PORT) within {self._startup_seconds:g} seconds"
                )
            time.sleep(0.05)

    def get(self, path: str) -> Served:
        """Answer a ``GET`` request.

        Raises:
            OSError: if it does not.
        """
        return self._request("GET", path, b"", {}, _PING_SECONDS)

    def answer(self, body: bytes, headers: Mapping[str, str], seconds: float = ANSWER_SECONDS) -> Served:
        """Answer a request to ``/invocations`` within so many seconds.

        Raises:
            OSError: if it does not.
        """
        return self._request("POST", "/invocations", body, headers, seconds)

    def stop(self) -> None:
        """Stop the container."""
        self._container.stop(_STOP_GRACE_SECONDS)

    def _request(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Served:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
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
