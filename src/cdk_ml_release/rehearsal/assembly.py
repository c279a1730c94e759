"""The cloud assembly: what ``cdk synth`` writes, and what a rehearsal starts from."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .archives import zip_folder


class AssemblyError(Exception):
    """Why there is nothing to rehearse, in one line."""


@dataclass(frozen=True, kw_only=True)
class StackArtifact:
    """A stack of the assembly."""

    name: str
    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    account: str | None
    """The account that it must be deployed to, or None if it does not say."""
    region: str | None
    """Where it must be deployed, or None if it does not say."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file that the deployment publishes first."""

    bucket: str
    key: str
    path: Path
    zipped: bool
    """Whether ``path`` is a folder to be published as a zip archive."""

    def content(self) -> bytes:
        """What is published."""
        return zip_folder(self.path) if self.zipped else self.path.read_bytes()


@dataclass(frozen=True)
class Assembly:
    """A folder that ``cdk synth`` wrote."""

    folder: Path

    def __post_init__(self) -> None:
        """Refuse a folder that is no assembly.

        Raises:
            AssemblyError: naming the folder.
        """
        if not (self.folder / "manifest.json").is_file():
            raise AssemblyError(f"'{self.folder}' is no cloud assembly, it has no manifest.json: run 'cdk synth' first")

    def stacks(self) -> list[StackArtifact]:
        """Its stacks, each after those it depends on.

        Raises:
            AssemblyError: if they are in several accounts or regions, of which a rehearsal has one.
        """
        artifacts = self._artifacts()
        done: dict[str, StackArtifact | None] = {}

        def visit(artifact_id: str) -> None:
            if artifact_id in done:
                return
            artifact = artifacts[artifact_id]
            done[artifact_id] = None
            for needed in artifact.get("dependencies", ()):
                visit(needed)
            done.pop(artifact_id)
            done[artifact_id] = self._stack(artifact) if artifact["type"] == "aws:cloudformation:stack" else None

        for artifact_id in artifacts:
            visit(artifact_id)
        stacks = [stack for stack in done.values() if stack is not None]
        _check_one("account", {stack.account: stack.name for stack in stacks})
        _check_one("region", {stack.region: stack.name for stack in stacks})
        return stacks

    def assets(self, account: str, region: str) -> Iterator[Asset]:
        """Its file assets, with the names of account and region filled in.

        Raises:
            AssemblyError: if an asset is a container image, which only Docker can build.
        """
        values = {"AWS::AccountId": account, "AWS::Region": region, "AWS::Partition": "aws"}
        for manifest in sorted(self.folder.glob("*.assets.json")):
            listed = json.loads(manifest.read_text(encoding="utf-8"))
            if listed.get("dockerImages"):
                raise AssemblyError(f"'{manifest.name}' has container image assets, which the rehearsal does not know")
            for asset in listed["files"].values():
                for destination in asset["destinations"].values():
                    yield Asset(
                        bucket=_filled(destination["bucketName"], values),
                        key=_filled(destination["objectKey"], values),
                        path=self.folder / asset["source"]["path"],
                        zipped=asset["source"]["packaging"] == "zip",
                    )

    def _artifacts(self) -> dict[str, Any]:
        manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        artifacts: dict[str, Any] = manifest.get("artifacts", {})
        return artifacts

    def _stack(self, artifact: Mapping[str, Any]) -> StackArtifact:
        properties = artifact["properties"]
        template = json.loads((self.folder / properties["templateFile"]).read_text(encoding="utf-8"))
        account, _, region = artifact["environment"].removeprefix("aws://").partition("/")
        return StackArtifact(
            name=properties.get("stackName", properties["templateFile"].partition(".")[0]),
            template=template,
            parameters=properties.get("parameters", {}),
            account=None if account == "unknown-account" else account,
            region=None if region == "unknown-region" else region,
        )


@dataclass(frozen=True, kw_only=True)
class CdkApp:
    """A CDK app, as its ``cdk.json`` describes it."""

    folder: Path
    command: str
    context: Mapping[str, Any]


def read_app(app: Path) -> CdkApp:
    """The app in a folder.

    Raises:
        AssemblyError: if there is none.
    """
    settings_path = app / "cdk.json"
    if not settings_path.is_file():
        raise AssemblyError(f"'{app}' has no cdk.json: name the folder of a CDK app, or an assembly with --assembly")
    settings = json.loads(settings_path.read_text(encoding="utf-8"))
    command = settings.get("app")
    if not command:
        raise AssemblyError(f"'{settings_path}' has no 'app': say there how the app is started")
    return CdkApp(folder=app, command=command, context=settings.get("context", {}))


def synthesize(app: CdkApp, out: Path) -> Assembly:
    """Run a CDK app, without the CDK CLI.

    Args:
        app: The app.
        out: Where the assembly goes.

    Raises:
        AssemblyError: if it fails; its own output says why.
    """
    # The interpreter that rehearses is the one that has the constructs; Node comes with it.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {
        "PATH": path,
        "CDK_OUTDIR": str(out),
        "CDK_CONTEXT_JSON": json.dumps(app.context),
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }
    done = subprocess.run(
        shlex.split(app.command), cwd=app.folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise AssemblyError(f"'{app.command}' failed in '{app.folder}':\n{done.stderr.strip() or done.stdout.strip()}")
    return Assembly(out)


def _check_one(kind: str, stacks: Mapping[str | None, str]) -> None:
    places = {place: name for place, name in stacks.items() if place is not None}
    if len(places) > 1:
        told = " and ".join(f"'{name}' in {place}" for place, name in places.items())
        raise AssemblyError(
            f"its stacks are in several {kind}s, {told}, and a rehearsal has one: synthesize the app without the "
            f"'env' of the release, so that all stages are in one {kind}"
        )


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("${" + name + "}", value)
    return text
