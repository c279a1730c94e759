"""Image Python: the virtual environment that plays a container's Python, kept between builds."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .dockerfile import DockerfileError, Instruction

__all__ = ["PipCall", "PythonEnvironment", "locked"]

# what pip needs of this machine to reach its package index and to compile; the rest stays outside
_FROM_HOST = (
    *("HOME", "LANG", "PATH", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
)
# in an image these name the container's folders, and pip runs on this machine
_OF_CONTAINER = ("HOME", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR")
_ELSEWHERE = ("PIP_PREFIX", "PIP_ROOT", "PIP_TARGET", "PIP_USER")  # there is one environment


@dataclass(frozen=True, kw_only=True)
class PipCall:
    """One ``pip`` command of a Dockerfile, ready to run on this machine.

    ``written`` is the command as the user knows it; ``words`` are the arguments of pip with the
    container's paths replaced by those below ``root``; ``key`` changes when the command or a file that it
    names does.
    """

    instruction: Instruction
    written: str
    words: tuple[str, ...]
    root: Path
    folder: Path
    environment: Mapping[str, str]
    key: str


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other builders out, those of other processes too; a builder that dies lets go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class PythonEnvironment:
    """A virtual environment that is named after what is installed in it.

    It cannot be moved once it is made, so it is made in its final place, and a marker is written when it
    is complete: an interrupted one is made again.
    """

    def __init__(self, cache: Path, keys: Iterable[str]) -> None:
        """Name the environment.

        Args:
            cache: The folder that holds all environments.
            keys: What is installed, in order.
        """
        keys = list(keys)
        python = [platform.python_implementation(), sys.version, sys.base_prefix, platform.machine()]
        name = hashlib.sha256(json.dumps([python, keys]).encode()).hexdigest()[:32]
        self.folder = cache / name
        self._has_pip = bool(keys)
        self._marker = self.folder / ".complete"
        self._lock = cache / f"{name}.lock"

    @property
    def is_complete(self) -> bool:
        """Whether it can be used: everything is installed, and its interpreter is still there."""
        return self._marker.exists() and (self.folder / "bin" / "python").exists()

    @contextmanager
    def to_make(self) -> Iterator[bool]:
        """Whether the body has to fill the environment, which then is new and has pip if it needs it.

        Two builders never fill it at the same time, and it is complete only if the body succeeds.
        """
        if self.is_complete:
            yield False
            return
        with locked(self._lock):
            if self.is_complete:  # the other builder has filled it
                yield False
                return
            self._create()
            yield True
            self._marker.touch()

    def _create(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        options = [] if self._has_pip else ["--without-pip"]
        command = [sys.executable, "-I", "-m", "venv", *options, str(self.folder)]
        status, lines = _run(command, self._lock.parent, _environment({}), lambda line: None)
        if status:
            raise DockerfileError(
                f"'{Path(sys.executable).name} -m venv' exits with {status}: {'; '.join(lines)}; "
                "install the venv module of this Python (python3-venv on Debian and Ubuntu)"
            )

    def run(self, call: PipCall, progress: Callable[[str], None]) -> None:
        """Run one pip command in the environment.

        Raises:
            DockerfileError: if pip fails, with what it said last.
        """

        def say(line: str) -> None:
            progress(line.replace(str(call.root), ""))

        progress(f" ---> {call.written}")
        command = [str(self.folder / "bin" / "python"), "-m", "pip", *call.words]
        status, lines = _run(command, call.folder, _environment(call.environment), say)
        if status:
            errors = [line for line in lines if line.startswith("ERROR")] or list(lines)[-3:]
            said = "; ".join(errors).replace(str(call.root), "")
            raise call.instruction.refusal(f"{call.written!r} exits with {status}: {said}")


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    passed = {k: v for k, v in os.environ.items() if k in _FROM_HOST or k.startswith("PIP_")}
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    merged = quiet | passed | {k: v for k, v in own.items() if k not in _OF_CONTAINER}
    return {k: v for k, v in merged.items() if k not in _ELSEWHERE}


def _run(
    command: list[str], folder: Path, environment: Mapping[str, str], progress: Callable[[str], None]
) -> tuple[int, deque[str]]:
    lines: deque[str] = deque(maxlen=20)
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            for line in process.stdout:
                if text := line.rstrip():
                    lines.append(text)
                    progress(text)
        except BaseException:
            process.kill()
            raise
        return process.wait(), lines
