"""A buildspec as CodeBuild reads it, and the one shell script that it comes to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

_PHASES = ("install", "pre_build", "build", "post_build")
_KNOWN = {"version", "env", "phases", "artifacts", "cache", "reports", "run-as", "proxy"}


class BuildspecError(Exception):
    """What of a buildspec cannot be run, in one line."""


@dataclass(frozen=True, kw_only=True)
class ArtifactSpec:
    """Which files a build leaves for its output artifact."""

    files: Sequence[str]
    base_directory: str = "."
    discard_paths: bool = False


@dataclass(frozen=True, kw_only=True)
class Buildspec:
    """What a build does."""

    shell: str
    variables: Mapping[str, str]
    parameter_store: Mapping[str, str]
    secrets: Mapping[str, str]
    exported: Sequence[str]
    phases: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    """Phase to its commands and its ``finally`` commands."""
    artifact: ArtifactSpec | None
    secondary: Mapping[str, ArtifactSpec] = field(default_factory=dict)

    def script(self) -> str:
        """All phases as one shell script, so that a command sees what the one before has set.

        A failed install or pre_build ends the build; after a failed build post_build still runs.
        """
        lines = ["__phase_failed=", "CODEBUILD_BUILD_SUCCEEDING=1; export CODEBUILD_BUILD_SUCCEEDING"]
        for phase in _PHASES:
            commands, last = self.phases.get(phase, ((), ()))
            guard = '[ -z "$__phase_failed" ]'
            if phase == "post_build":
                guard = f'{{ {guard} || [ "$__phase_failed" = build ]; }}'
            lines += [f"if {guard}; then", "__command_failed="]
            lines += [line for command in commands for line in _guarded(command, phase)]
            lines += [line for command in last for line in (command,)]
            lines += [":", "fi"]
        return "\n".join([*lines, '[ -z "$__phase_failed" ]', "exit $?", ""])


def _guarded(command: str, phase: str) -> list[str]:
    shown = shlex.quote(f"[build] {phase}: {command.strip().splitlines()[0][:160]}")
    return [
        'if [ -z "$__command_failed" ]; then',
        f"echo {shown}",
        command.rstrip(),
        "__status=$?",
        'if [ "$__status" -ne 0 ]; then',
        f"__command_failed=1; __phase_failed=${{__phase_failed:-{phase}}}; CODEBUILD_BUILD_SUCCEEDING=0",
        f'echo "[build] a command of {phase} exited with status $__status"',
        "fi",
        "fi",
    ]


def read_buildspec(text: str) -> Buildspec:
    """Read a buildspec, YAML or JSON.

    Raises:
        BuildspecError: if it is not one, or uses something that the rehearsal does not know.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildspecError(f"the buildspec is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict) or str(document.get("version")) not in ("0.2",):
        raise BuildspecError("the buildspec must be a document of version 0.2, the one whose commands share a shell")
    unknown = sorted({str(key) for key in document} - _KNOWN)
    if unknown:
        raise BuildspecError(f"the rehearsal does not know these parts of a buildspec: {', '.join(unknown)}")
    env = document.get("env") or {}
    shell = env.get("shell", "sh")
    if shell not in ("sh", "bash", "/bin/sh"):
        raise BuildspecError(f"the rehearsal does not know the shell '{shell}'; it knows sh and bash")
    artifacts = document.get("artifacts") or {}
    return Buildspec(
        shell=shell,
        variables={key: str(value) for key, value in (env.get("variables") or {}).items()},
        parameter_store=env.get("parameter-store") or {},
        secrets=env.get("secrets-manager") or {},
        exported=env.get("exported-variables") or (),
        phases={name: _phase(name, body) for name, body in (document.get("phases") or {}).items()},
        artifact=_artifact(artifacts) if artifacts.get("files") else None,
        secondary={name: _artifact(each) for name, each in (artifacts.get("secondary-artifacts") or {}).items()},
    )


def _phase(name: str, body: Any) -> tuple[Sequence[str], Sequence[str]]:
    if name not in _PHASES:
        raise BuildspecError(f"the buildspec has a phase '{name}'; the phases are {', '.join(_PHASES)}")
    body = body or {}
    commands, last = body.get("commands") or [], body.get("finally") or []
    as_list = [[part] if isinstance(part, str) else [str(command) for command in part] for part in (commands, last)]
    return as_list[0], as_list[1]


def _artifact(spec: Mapping[str, Any]) -> ArtifactSpec:
    files = spec["files"]
    return ArtifactSpec(
        files=[files] if isinstance(files, str) else list(files),
        base_directory=spec.get("base-directory", "."),
        discard_paths=str(spec.get("discard-paths", "no")).lower() in ("yes", "true"),
    )
