"""A CodeBuild build: real shell commands, with the project's environment and its own role's rights."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..archives import unzip
from ..cloud.workplace import Workplace
from ..containers import docker
from . import warm_python
from .buildspec import ArtifactSpec, Buildspec, BuildspecError, read_buildspec

_IMAGES, _CACHE = "ML_REHEARSAL_IMAGES", "ML_REHEARSAL_CACHE"
_STOP_GRACE_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Built:
    """How a build ended."""

    succeeded: bool
    message: str = ""
    exported: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    """Output artifact name to its zip archive; the primary one under ``""``."""


@dataclass(kw_only=True)
class Build:
    """One build of a project."""

    place: Workplace
    project: Mapping[str, Any]
    """The CloudFormation properties of the project."""
    role_arn: str
    source: bytes
    """The input artifact, a zip archive."""
    overrides: Mapping[str, tuple[str, str]]
    """What the pipeline action adds to the environment: name to type and value."""
    log: Callable[[str], None]
    initiator: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def run(self) -> Built:
        """Run every phase and collect what the build leaves."""
        folder = self.place.out / "builds" / self.id
        source = folder / "source"
        source.mkdir(parents=True)
        unzip(self.source, source)
        try:
            spec = self._spec(source)
            environment = self._environment(spec, folder, source)
            code, last, after = self._shell(spec, folder, source, environment)
            if code != 0:
                return Built(succeeded=False, message=last)
            return Built(
                succeeded=True,
                exported={name: after.get(name, "") for name in spec.exported},
                artifacts=_collect(spec, source),
            )
        except BuildspecError as error:
            self.log(str(error))
            return Built(succeeded=False, message=str(error))

    def _spec(self, source: Path) -> Buildspec:
        declared = self.project.get("Source", {}).get("BuildSpec") or "buildspec.yml"
        if "\n" in declared or declared.lstrip().startswith("{"):
            return read_buildspec(declared)
        path = source / declared
        if not path.is_file():
            raise BuildspecError(f"no '{declared}' in the source: add it, or write the buildspec into the project")
        return read_buildspec(path.read_text(encoding="utf-8"))

    def _environment(self, spec: Buildspec, folder: Path, source: Path) -> dict[str, str]:
        settings = self.project["Environment"]
        declared = {
            each["Name"]: (each.get("Type", "PLAINTEXT"), str(each["Value"]))
            for each in settings.get("EnvironmentVariables", ())
        }
        values = {name: self._value(kind, value) for name, (kind, value) in (declared | dict(self.overrides)).items()}
        secret = {name: self._value("SECRETS_MANAGER", value) for name, value in spec.secrets.items()}
        stored = {name: self._value("PARAMETER_STORE", value) for name, value in spec.parameter_store.items()}
        tools, home = folder / "bin", folder / "home"
        tools.mkdir()
        home.mkdir()
        docker.install(tools, warm_python.command())
        warm_python.install(tools)
        # A project that is not privileged has no Docker engine; the stand-in then knows no images and says so.
        engine = {_IMAGES: str(self.place.images), _CACHE: str(self.place.cache)}
        gateway = self.place.gateway
        return {
            "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "HOME": str(home),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            **_network_settings(),
            **spec.variables,
            **stored,
            **secret,
            **values,
            "CODEBUILD_SRC_DIR": str(source),
            "CODEBUILD_BUILD_ID": f"{self.project['Name']}:{self.id}",
            "CODEBUILD_BUILD_ARN": f"arn:aws:codebuild:{gateway.region}:{gateway.account}:build/{self.id}",
            "CODEBUILD_INITIATOR": self.initiator,
            "CODEBUILD_RESOLVED_SOURCE_VERSION": self.id,
            **(engine if str(settings.get("PrivilegedMode", False)).lower() == "true" else {}),
            **gateway.credentials(self.role_arn).environment(gateway.endpoint, gateway.region),
        }

    def _value(self, kind: str, value: str) -> str:
        if kind == "PARAMETER_STORE":
            ssm = self.place.gateway.client("ssm", self.role_arn)
            stored: str = ssm.get_parameter(Name=value, WithDecryption=True)["Parameter"]["Value"]
            return stored
        if kind == "SECRETS_MANAGER":
            name, _, key = value.partition(":")
            secrets = self.place.gateway.client("secretsmanager", self.role_arn)
            secret: str = secrets.get_secret_value(SecretId=name)["SecretString"]
            return str(json.loads(secret)[key]) if key else secret
        return value

    def _shell(
        self, spec: Buildspec, folder: Path, source: Path, environment: Mapping[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        """Exit status, last line that the commands wrote, and the environment that they left."""
        script, left = folder / "build.sh", folder / "environment"
        # Whatever way the script ends, its variables are what the build exports.
        script.write_text(f"trap 'env -0 > {left}' EXIT\n{spec.script()}", encoding="utf-8")
        seconds = float(self.project.get("TimeoutInMinutes", 60)) * 60
        process = subprocess.Popen(
            [spec.shell, str(script)],
            cwd=source,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        running = _Running(process)
        self.place.containers.append(running)
        timer = running.end_after(seconds)
        last = ""
        with process:
            for line in process.stdout or ():
                self.log(line.rstrip("\n"))
                if line.strip() and not line.startswith("[build]"):
                    last = line.strip()
        code = process.returncode
        timer.cancel()
        if running.timed_out:
            last = f"the build took longer than its limit of {seconds / 60:g} minutes"
        after = left.read_bytes().decode(errors="replace").split("\0") if left.is_file() else []
        return code, last, dict(line.split("=", 1) for line in after if "=" in line)


class _Running:
    """A build's shell, stoppable like a container."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.timed_out = False

    def end_after(self, seconds: float) -> Any:
        def end() -> None:
            self.timed_out = True
            self.stop(_STOP_GRACE_SECONDS)

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        return timer

    def poll(self) -> int | None:
        return self._process.poll()

    def stop(self, grace_seconds: float) -> None:
        for each in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            try:
                os.killpg(self._process.pid, each)
            except ProcessLookupError:
                return
            deadline = time.monotonic() + grace_seconds
            while self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)


def _network_settings() -> dict[str, str]:
    """How this machine reaches a package index and trusts it, for builds that install something."""
    kept = ("PIP_", "SSL_CERT", "REQUESTS_CA", "NODE_EXTRA_CA", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    return {name: value for name, value in os.environ.items() if name.upper().startswith(kept)}


def _collect(spec: Buildspec, source: Path) -> dict[str, bytes]:
    found = {name: _zip(each, source) for name, each in spec.secondary.items()}
    if spec.artifact is not None:
        found[""] = _zip(spec.artifact, source)
    return found


def _zip(spec: ArtifactSpec, source: Path) -> bytes:
    base = (source / spec.base_directory).resolve()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in spec.files:
            paths = [path for path in sorted(base.glob("**/*" if pattern == "**/*" else pattern)) if path.is_file()]
            if not paths:
                raise BuildspecError(f"no file matches '{pattern}' of the build's artifacts in '{spec.base_directory}'")
            for path in paths:
                archive.write(path, path.name if spec.discard_paths else path.relative_to(base).as_posix())
    return content.getvalue()
