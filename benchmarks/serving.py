"""How much the example's ``serve`` answers, how soon and in how much memory, against Flask and gunicorn (Linux).

Both answer with the same estimator, read rows with the same code and run in the same Python environment, one process
per core. They are asked in turn, several rounds over, so that what else the machine does slows both. The processor time
of an answer is what that changes least.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal import descendants, memory

from cdk_ml_release.rehearsal.containers.image import build_image

EXAMPLE = Path(__file__).parent.parent / "examples" / "abalone"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cdk-ml-release"
CORES = len(os.sched_getaffinity(0))

PACKAGES = ["flask~=3.1.0", "gunicorn~=27.0"]
FLASK = """
import joblib
import sklearn
from abalone import BASE, FEATURES, read_lines
from flask import Flask, Response, request

app = Flask(__name__)
model = joblib.load(BASE / "model/model.joblib")
sklearn.set_config(assume_finite=True)

@app.post("/invocations")
def invocations():
    table = read_lines(request.get_data(as_text=True), FEATURES)[1]
    return Response("\\n".join(map(repr, model.predict(table).tolist())), mimetype="text/csv")
"""
# gunicorn's usual worker, sync, closes the connection after each answer. From 1 to 16 threads, no number stood out.
GUNICORN = ["-m", "gunicorn", "--preload", "--worker-class", "gthread", "--threads", "4", "--log-level", "warning"]

WORKLOADS = {"single rows": 1, "batches of 100 rows": 100}
WARM_UP = 0.2
"""Which part of a measurement's time comes before it, and is not counted."""
PATIENCE = 10
"""Seconds that a server may take to answer, or to stop."""
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """What one server did during one measurement."""

    rate: float  # answers per second
    p50: float  # milliseconds
    p99: float
    work: float  # milliseconds of processor for each answer
    cost: float  # and those of the load generator


def measure(server: Server, requests: Iterator[bytes], *, connections: int, seconds: float) -> Sample:
    """Keep ``connections`` busy, each with one request at a time."""
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            for _ in range(connections)
        ]
        work, cost = server.processor(), time.process_time()
        begin = time.perf_counter() + seconds * WARM_UP
        times = list(converse(clients, requests, until=begin + seconds))
        work, cost = server.processor() - work, time.process_time() - cost
    latencies = sorted(answered - asked for asked, answered in times if asked >= begin)
    if not latencies:
        raise SystemExit(f"no answer within {seconds} s: measure for longer")
    p50, p99 = (latencies[len(latencies) * percent // 100] * 1000 for percent in (50, 99))
    each = 1000 / len(times)
    return Sample(len(latencies) / seconds, p50, p99, work * each, cost * each)


def converse(
    clients: Sequence[socket.socket], requests: Iterator[bytes], *, until: float
) -> Iterator[tuple[float, float]]:
    """Ask over each connection, again with each answer; when each request was sent, and when it was answered."""
    with select.epoll() as poll:
        by_number = {client.fileno(): client for client in clients}
        received = dict.fromkeys(by_number, b"")
        asked = {}
        for number, client in by_number.items():
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(client, select.EPOLLIN)
            asked[number] = time.perf_counter()
            client.sendall(next(requests))
        now = 0.0
        while now < until:
            events = poll.poll(PATIENCE)
            if not events:
                raise SystemExit(f"a server did not answer for {PATIENCE} s")
            for number, _ in events:
                received[number] += by_number[number].recv(65536)
                if is_complete(received[number]):
                    now = time.perf_counter()
                    yield asked[number], now
                    received[number] = b""
                    asked[number] = now
                    by_number[number].sendall(next(requests))


def is_complete(answer: bytes) -> bool:
    """Whether ``answer`` is all there; anything but a good one ends the program."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    if answer and not blank:
        return False
    length = LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200 ") or not length:
        raise SystemExit(f"a server answered {answer[:200]!r}")
    return len(body) == int(length[1])


def request(rows: Sequence[str]) -> bytes:
    """An HTTP request for the ages of ``rows``."""
    body = "\n".join(rows).encode()
    head = f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


@dataclass(frozen=True)
class Server:
    """A server that was started here."""

    port: int
    process: subprocess.Popen[bytes]

    def ages(self, rows: Sequence[str]) -> list[float]:
        """What it answers, as soon as it does."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/invocations", "\n".join(rows).encode(), {"Content-Type": "text/csv"}
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                    return [float(line) for line in answer.read().split()]
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def processor(self) -> float:
        """Processor seconds that its processes have used."""
        stats = [Path(f"/proc/{process}/stat").read_text() for process in descendants(self.process.pid)]
        ticks = [int(field) for stat in stats for field in stat.rpartition(")")[2].split()[11:13]]
        return sum(ticks) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> tuple[float, float]:
        """Memory of a worker, and of all processes: shared pages are counted once (PSS)."""
        workers = descendants(self.process.pid) - {self.process.pid}
        return statistics.mean(map(memory, workers)) / 2**20, memory(self.process.pid) / 2**20


@contextmanager
def started(command: Sequence[str | Path], port: int, environment: Mapping[str, str]) -> Iterator[Server]:
    """A server that runs as long as the context lasts."""
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            yield Server(port, process)
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


class Servers:
    """Starts both servers, of a model that the example trains for it."""

    def __init__(self, folder: Path, workers: int) -> None:
        image = build_image(EXAMPLE / "model", store=folder / "images", cache=CACHE)
        self._programs, self._python = image.root / "opt/program", image.python / "bin"
        self._folder = folder
        self._workers = str(workers)
        path = os.pathsep.join([str(self._programs), str(self._python), os.environ.get("PATH", os.defpath)])
        self._environment = os.environ | {
            "PATH": path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "SAGEMAKER_BASE_DIR": str(folder / "ml"),
            "SAGEMAKER_MODEL_SERVER_WORKERS": self._workers,
        }

    def train(self) -> list[str]:
        """Train the model; rows to ask about."""
        data = self._folder / "ml/input/data/training/abalone.csv"
        subprocess.run([sys.executable, EXAMPLE / "make_data.py", "--output", data], check=True)
        subprocess.run([self._programs / "train"], env=self._environment, stdout=subprocess.DEVNULL, check=True)
        return [line.rpartition(",")[0] for line in data.read_text().splitlines()]

    def serve(self) -> AbstractContextManager[Server]:
        """The example's own."""
        port = free_port()
        return started([self._programs / "serve"], port, self._environment | {"SAGEMAKER_BIND_TO_PORT": str(port)})

    def flask(self) -> AbstractContextManager[Server]:
        """The minimal one, its packages beside those of the example."""
        packages = self._folder / "flask"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(packages), *PACKAGES], check=True)
        (packages / "minimal.py").write_text(FLASK)
        port = free_port()
        command = [str(self._python / "python"), *GUNICORN, "--workers", self._workers]
        path = os.pathsep.join([str(packages), str(self._programs)])
        return started(
            [*command, "--bind", f"127.0.0.1:{port}", "minimal:app"], port, self._environment | {"PYTHONPATH": path}
        )


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def median(samples: Sequence[Sample], field: str) -> float:
    """The median of one field."""
    return float(statistics.median(getattr(sample, field) for sample in samples))


def report(name: str, samples: Mapping[str, Sequence[Sample]], connections: int) -> None:
    """Print the medians of the rounds, and of their ratios."""
    print(f"{name}, {connections} connections")
    for server, rounds in samples.items():
        rate, p50, p99, work = (median(rounds, field) for field in ("rate", "p50", "p99", "work"))
        print(f"  {server:8}{rate:8.0f} requests/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   processor {work:5.2f} ms")
    pairs = list(zip(*samples.values(), strict=True))
    more = [ours.rate / theirs.rate for ours, theirs in pairs]
    p99 = statistics.median(ours.p99 / theirs.p99 for ours, theirs in pairs)
    # gunicorn leaves it to chance which worker takes a connection, and one may take them all: see the lowest, too.
    print(
        f"  {statistics.median(more):.1f} times the requests per second (limit: at least 2; lowest of the rounds "
        f"{min(more):.1f}), {p99:.2f} times the p99 (limit: below 1)"
    )
    # In each second the generator may take one of the cores; what it needs is a part of that.
    room = min(1000 / (each.cost * each.rate) for rounds in samples.values() for each in rounds)
    print(f"  the load generator could have asked for {room:.1f} times as much", flush=True)


def compare(servers: Mapping[str, Server], rows: Sequence[str], arguments: argparse.Namespace) -> None:
    """Measure each workload and print what comes of it."""
    for name, size in WORKLOADS.items():
        requests = itertools.cycle([request(rows[start : start + size]) for start in range(0, 1000, max(size, 10))])
        samples: dict[str, list[Sample]] = {server: [] for server in servers}
        for _ in range(arguments.rounds):
            for server, endpoint in servers.items():
                sample = measure(endpoint, requests, connections=arguments.connections, seconds=arguments.seconds)
                samples[server].append(sample)
        report(name, samples, arguments.connections)


def main() -> None:
    """Measure both in turn, several times over, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--workers", type=int, default=CORES, help="processes of each server, one per core by default")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to stop"))  # and so stop the servers
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder), arguments.workers)
        rows = servers.train()
        print(f"{arguments.workers} workers on {CORES} cores, medians of {arguments.rounds} rounds", flush=True)
        with servers.serve() as serve:
            with servers.flask() as flask:
                if serve.ages(rows) != flask.ages(rows):
                    raise SystemExit("the servers do not answer with the same ages")
                compare({"serve": serve, "Flask": flask}, rows, arguments)
            # Alone: both have libraries in common, which would be counted half.
            worker, everything = serve.megabytes()
        print(f"memory of serve: {worker:.0f} MiB in each worker (PSS), {everything:.0f} MiB in all")


if __name__ == "__main__":
    if not Path("/proc/self/smaps_rollup").exists():
        raise SystemExit("this needs Linux's /proc")
    main()
