"""Container: one run of an image's entry point, in a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import posixpath
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .container_paths import INIT_COMMAND, ContainerPaths, plan_paths
from .image import Image

__all__ = ["Container", "ContainerError"]

_SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
_PYTHON = re.compile(r"python[\d.]*")


class ContainerError(Exception):
    """The container cannot start; the message is one line for the user."""


class Container:
    """A running container: ``docker run`` without Docker.

    The program gets a copy of the image's files, so that nothing it writes there outlives it, and is the
    process 1 of its container as in the cloud, so that SIGTERM ends it only if it asks for it. Where that is
    not possible (see ``container_paths.namespaces_work``), ``SAGEMAKER_BASE_DIR`` names the folder that plays
    ``/opt/ml``, and the image's paths in environment, arguments and working folder are replaced.

    ``pid`` is the program's own, on this machine.
    """

    def __init__(self, process: subprocess.Popen[bytes], folders: Sequence[Path], log: Callable[[str], None]) -> None:
        """Use ``start`` instead."""
        self._process, self._folders = process, folders
        self._reader = threading.Thread(target=self._read, args=(log,), name="container log", daemon=True)
        self.pid = 0

    @classmethod
    def start(
        cls,
        image: Image,
        arguments: Sequence[str],
        *,
        opt_ml: Path,
        environment: Mapping[str, str],
        log: Callable[[str], None],
        entrypoint: Sequence[str] | None = None,
    ) -> Container:
        """Start a program in a container.

        Args:
            image: Where files, environment and entry point come from.
            arguments: What follows the entry point. Default for an empty list: the image's CMD.
            opt_ml: The folder that plays ``/opt/ml``.
            environment: Variables beside the image's own. Of this machine's, the program sees none
                but the certificates' place.
            log: Gets each line that the program writes, from another thread.
            entrypoint: Replaces the image's entry point, and its CMD.

        Raises:
            ContainerError: if the program is not there or cannot be run.
        """
        home = image.root.parent / "containers" / uuid.uuid4().hex
        temporary = Path(tempfile.mkdtemp(prefix="container-"))  # short, as sockets need it
        try:
            shutil.copytree(image.root, home / "root", symlinks=True)
            needed = [image.python, home, opt_ml, temporary, Path(sys.base_prefix)]
            needed += [path.resolve() for path in needed]
            paths = plan_paths(home / "root", opt_ml.absolute(), needed)
            _show_baked_files(paths)
            spec = _Spec(image, paths, environment, temporary).make(
                arguments, image.entrypoint if entrypoint is None else tuple(entrypoint), entrypoint is None
            )
            spec |= {"layout": paths.layout, "file_system": str(home / "file-system")}
            spec["folders"] = [str(home), str(temporary)]
            (home / "file-system").mkdir()
            process = subprocess.Popen(
                INIT_COMMAND,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            _remove([home, temporary], opt_ml)
            raise
        container = cls(process, [home, temporary, opt_ml], log)
        container._begin(spec)
        return container

    def poll(self) -> int | None:
        """The exit status as Docker gives it: 128 plus the signal that killed it, or None if it runs.

        Once there is a status, all lines have been logged.
        """
        return None if self._reader.is_alive() else self._process.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and for the last line, and return the exit status.

        Raises:
            TimeoutError: if the program still runs after ``timeout`` seconds.
        """
        self._reader.join(timeout)
        if self._reader.is_alive():
            raise TimeoutError(f"the container still runs after {timeout:g} seconds")
        return int(self._process.returncode)

    def stop(self, grace_seconds: float) -> None:
        """Stop as ``docker stop`` does: SIGTERM for the program, and after the grace time SIGKILL for all.

        Does nothing if the program has ended.
        """
        self._signal(signal.SIGTERM)
        try:
            self.wait(grace_seconds)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            self.wait()

    def _begin(self, spec: dict[str, Any]) -> None:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(spec).encode() + b"\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or '{"problem": "its parent process died"}')
        except BaseException:
            self._process.stdin.close()  # which kills what may have started
            raise
        finally:
            self._reader.start()
        if answer["problem"]:
            self._reader.join()
            program = spec["container_program"]
            hint = "; a script needs a first line such as #!/bin/sh" if "format" in answer["problem"] else ""
            raise ContainerError(f"{program!r} cannot be started: {answer['problem']}{hint}")
        self.pid = answer["pid"]

    def _signal(self, number: int) -> None:
        # by way of the parent process, which alone knows that the number still means this program
        with contextlib.suppress(OSError, ValueError):
            assert self._process.stdin
            self._process.stdin.write(b"%d\n" % number)
            self._process.stdin.flush()

    def _read(self, log: Callable[[str], None]) -> None:
        assert self._process.stdin and self._process.stdout and self._process.stderr
        try:
            with io.TextIOWrapper(self._process.stderr, encoding="utf-8", errors="replace", newline="\n") as lines:
                for line in lines:
                    log(line.rstrip("\r\n"))
        finally:
            with contextlib.suppress(OSError):
                self._process.stdin.close()  # it still runs only if 'log' has failed
            self._process.wait()
            self._process.stdout.close()
            _remove(self._folders[:2], self._folders[2])


class _Spec:
    """What the parent process of a container is told: program, arguments, environment, working folder."""

    def __init__(self, image: Image, paths: ContainerPaths, environment: Mapping[str, str], temporary: Path) -> None:
        self._image, self._paths = image, paths
        merged = {**image.environment, **environment}
        self._search = merged.pop("PATH", "").split(":")
        (paths.root / "root").mkdir(exist_ok=True)
        essentials = {"HOME": str(paths.root / "root"), "LANG": "C.UTF-8", "TMPDIR": str(temporary)}
        # a base image brings its certificates; without one, this machine's Python may need to be told
        essentials |= {k: v for k, v in os.environ.items() if k in ("SSL_CERT_DIR", "SSL_CERT_FILE")}
        if paths.layout is None:
            essentials["SAGEMAKER_BASE_DIR"] = str(paths.opt_ml)
        self._environment = essentials | {key: paths.translate(value) for key, value in merged.items()}

    def make(self, arguments: Sequence[str], entrypoint: Sequence[str], with_command: bool) -> dict[str, Any]:
        words = [*entrypoint, *(arguments or (self._image.command if with_command else ()))]
        if not words:
            raise ContainerError("the image has no ENTRYPOINT and no CMD; add one to the Dockerfile")
        program = self._find(words[0])
        interpreter = self._python_of(program)
        translated = [self._paths.translate(word) for word in words[1:]]
        own = [folder for folder in self._search if folder and self._paths.on_host(folder).is_dir()]
        folders = [*map(self._paths.seen, own), str(self._image.python / "bin"), _SYSTEM_PATH]
        return {
            "program": interpreter[0] if interpreter else program,
            "arguments": [*interpreter, program, *translated] if interpreter else [words[0], *translated],
            "environment": {**self._environment, "PATH": ":".join(folders)},
            "workdir": self._paths.seen(self._image.workdir),
            "container_program": words[0],
        }

    def _find(self, name: str) -> str:
        """The path under which the program is found when it is about to run."""
        if "/" in name:
            candidates = [posixpath.join(self._image.workdir, name)]
        else:
            candidates = [posixpath.join(folder, name) for folder in self._search if folder]
        for path in candidates:
            host = self._paths.on_host(path)
            if host.is_file() and os.access(host, os.X_OK):
                return self._paths.seen(path)
            if host.is_file():
                raise ContainerError(
                    f'"{name}" is not executable: {path} has no execute permission; '
                    f"add RUN chmod +x {path} to the Dockerfile"
                )
        if found := self._of_base_image(name):
            return found
        where = f"the image's PATH ({':'.join(self._search)})"
        raise ContainerError(
            f'"{name}" is not an executable on {where}; COPY it there, or set ENTRYPOINT to what starts it'
        )

    def _of_base_image(self, name: str) -> str | None:
        base = posixpath.basename(name)
        in_python = self._image.python / "bin" / base
        if _PYTHON.fullmatch(base):
            return str(self._image.python / "bin" / "python")
        if in_python.exists():
            return str(in_python)
        if "/" in name:
            is_of_system = posixpath.dirname(name) in _SYSTEM_PATH.split(":")
            return name if is_of_system and os.access(name, os.X_OK) else None
        return shutil.which(base, path=_SYSTEM_PATH)

    def _python_of(self, program: str) -> list[str]:
        """The interpreter for a script whose first line names a Python of the container by its path."""
        root = self._paths.root
        host = Path(program) if program.startswith(str(root)) else self._paths.on_host(program)
        if not host.is_file():
            return []
        with host.open("rb") as stream:
            first = stream.readline(256)
        words = first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []
        if words and posixpath.basename(words[0]) == "env":
            words = [word for word in words[1:] if word != "-S"]
        if not words or not _PYTHON.fullmatch(posixpath.basename(words[0])) or first.endswith(b"\r\n"):
            return []
        return [str(self._image.python / "bin" / "python"), *words[1:]]


def _show_baked_files(paths: ContainerPaths) -> None:
    """Show what the image itself has in /opt/ml, such as code, beside what the platform puts there."""
    baked = paths.root / "opt" / "ml"
    for entry in sorted(baked.iterdir()) if baked.is_dir() else []:
        place = paths.opt_ml / entry.name
        if not place.exists():
            place.symlink_to(entry)


def _remove(folders: Sequence[Path], opt_ml: Path) -> None:
    for entry in opt_ml.iterdir() if opt_ml.is_dir() else []:
        if entry.is_symlink() and entry.readlink().is_relative_to(folders[0]):
            entry.unlink()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
