"""The example's container, built once and run as SageMaker runs it, each time in folders of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cdk_ml_release.rehearsal.containers.image import Image, build_image

EXAMPLE = Path(__file__).parents[2] / "examples/abalone"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cdk-ml-release"


@dataclass(frozen=True)
class Endpoint:
    """A serving container."""

    port: int
    process: "subprocess.Popen[str]"

    def ask(self, body: str | bytes, content_type: str = "text/csv", **headers: str) -> tuple[int, str]:
        """Status and body of the answer to ``POST /invocations``."""
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/invocations", data, {"Content-Type": content_type, **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def ask_json(self, document: Any, **headers: str) -> tuple[int, str]:
        """The same, with ``document`` as JSON."""
        return self.ask(json.dumps(document), "application/json", **headers)

    def wait_until_ready(self, seconds: float = 30) -> None:
        """Wait for the first answer to ``GET /ping``."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=2).close()
                return
            except OSError:
                assert self.process.poll() is None, "serve ended before it was ready"
                assert time.monotonic() < deadline, "serve never answered /ping"
                time.sleep(0.05)


@dataclass(frozen=True)
class Container:
    """The image with one ``/opt/ml``."""

    image: Image
    base: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, verb: str) -> dict[str, Any]:
        """How to start ``verb``: arguments of ``subprocess.run`` and ``Popen``."""
        programs = self.image.root / "opt/program"
        path = os.pathsep.join([str(programs), str(self.image.python / "bin"), os.environ["PATH"]])
        own = {"PATH": path, "SAGEMAKER_BASE_DIR": str(self.base), "PYTHONDONTWRITEBYTECODE": "1"}
        return {"args": [programs / verb], "env": own | self.environment, "text": True, "cwd": self.base}

    def run(self, verb: str) -> "subprocess.CompletedProcess[str]":
        """Run one job to its end."""
        return subprocess.run(**self.command(verb), capture_output=True, timeout=60)

    def write(self, path: str, text: str) -> None:
        """Put a file below ``/opt/ml``."""
        file = self.base / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        """The text of a file below ``/opt/ml``."""
        return (self.base / path).read_text()

    def release(self) -> None:
        """Preprocess, train and evaluate, carrying files from job to job like SageMaker."""
        self._succeed("preprocess")
        shutil.copytree(self.base / "processing/output/training", self.base / "input/data/training")
        self._succeed("train")
        (self.base / "processing/input/model").mkdir()
        with tarfile.open(self.base / "processing/input/model/model.tar.gz", "w:gz") as tar:
            tar.add(self.base / "model", arcname=".")
        shutil.copytree(self.base / "processing/output/testing", self.base / "processing/input/testing")
        self._succeed("evaluate")

    def _succeed(self, verb: str) -> None:
        done = self.run(verb)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""

    @contextmanager
    def serve(self, port: int | None = None) -> Iterator[Endpoint]:
        """Serve as long as the context lasts."""
        port = port or free_port()
        command = self.command("serve")
        command["env"]["SAGEMAKER_BIND_TO_PORT"] = str(port)
        with subprocess.Popen(**command, start_new_session=True) as process:
            try:
                endpoint = Endpoint(port, process)
                endpoint.wait_until_ready()
                yield endpoint
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def example() -> Path:
    return EXAMPLE


@pytest.fixture(scope="session")
def image(tmp_path_factory) -> Image:
    return build_image(EXAMPLE / "model", store=tmp_path_factory.mktemp("images"), cache=CACHE)


@pytest.fixture
def container(image, tmp_path) -> Container:
    return Container(image, tmp_path)


@pytest.fixture(scope="session")
def released(image, tmp_path_factory) -> Container:
    """A container whose model was trained and evaluated on the synthetic sample."""
    container = Container(image, tmp_path_factory.mktemp("released"))
    shutil.copytree(EXAMPLE / "data", container.base / "processing/input/data")
    container.release()
    return container


@pytest.fixture(scope="session")
def endpoint(released) -> Iterator[Endpoint]:
    with released.serve() as endpoint:
        yield endpoint
