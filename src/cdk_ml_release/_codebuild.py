"""The CodeBuild project that runs one of the runtime's programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constructs import Construct

from ._action import ArtifactUse, PlainAction
from ._asset import add_folder
from ._permissions import Allow, arn, bucket_arn, write_log
from ._resource import Resource
from ._role import service_role

if TYPE_CHECKING:
    from .stage import StageInput

_PYTHON_VERSION = "3.13"
_IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:6.0"

# boto3 comes with the build image, so that a release downloads nothing but its own asset. What is fetched runs in the
# same process, for boto3 takes as long to load as many a program takes to run.
_FETCH_AND_RUN = (
    "import boto3, io, os, runpy, sys, zipfile; e = os.environ; "
    "b = boto3.client('s3').get_object(Bucket=e['ML_RUNTIME_BUCKET'], Key=e['ML_RUNTIME_KEY'])['Body'].read(); "
    "zipfile.ZipFile(io.BytesIO(b)).extractall(e['ML_HOME']); sys.path.insert(0, e['ML_HOME']); "
    "del sys.argv[0]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


_NOT_FOR_BUILDS = ("shapes", "data_folder")
"""The shapes serve the synthesis only, and data is copied by a function of its own."""


@cache
def room(name: str) -> Mapping[str, bytes]:
    """One of this package's rooms, to run elsewhere: path to content."""
    package = Path(__file__).parent
    # What Python compiled would change the asset's hash.
    wanted = [
        path
        for path in sorted((package / name).rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and path.stem not in _NOT_FOR_BUILDS
    ]
    return {path.relative_to(package).as_posix(): path.read_bytes() for path in wanted}


class RuntimeArchive:
    """The programs and a stage's documents, in one archive among the app's assets."""

    def __init__(
        self, scope: Construct, stage_name: str, files: Mapping[str, str], more: Mapping[str, bytes] | None = None
    ) -> None:
        """Stage the archive.

        Args:
            scope: The stage whose projects fetch it.
            stage_name: The stage's name.
            files: Documents that travel beside the programs: path to content.
            more: Whatever else travels beside them: path to content.
        """
        documents = {path: content.encode() for path, content in files.items()}
        asset = add_folder(scope, {**room("runtime"), **documents, **(more or {})})
        self.stage_name = stage_name
        self.variables = {"ML_RUNTIME_BUCKET": asset.bucket_name, "ML_RUNTIME_KEY": asset.key}
        self.read = Allow(["s3:GetObject"], [f"{bucket_arn(asset.bucket_name)}/{asset.key}"])


class RuntimeProject:
    """A CodeBuild project that fetches the runtime and runs one of its programs."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        program: str,
        archive: RuntimeArchive,
        environment: Mapping[str, str],
        allows: Sequence[Allow],
        exports: Sequence[str] = (),
        artifact_files: Sequence[str] = (),
        builds_containers: bool = False,
        role_name: str | None = None,
    ) -> None:
        """Define the project and its role.

        Args:
            scope: The stage that this project belongs to.
            construct_id: Unique among the children of ``scope``.
            program: What follows ``python3 -m``, such as ``runtime.container``; may name environment variables.
            archive: What the program is in.
            environment: The program's settings.
            allows: What the program may do.
            exports: Variables that the program exports to later actions.
            artifact_files: What the program leaves in ``$ML_HOME/artifact`` for the output artifact.
            builds_containers: Whether the program calls Docker, which needs a privileged build.
            role_name: What its role is called. Default: CloudFormation makes a name.
        """
        # By a name of its own: a role whose policy named the project could not be there before the project.
        log_group = f"/aws/codebuild/${{AWS::StackName}}-{archive.stage_name}{construct_id}"
        self._allows = [archive.read, *allows, write_log(log_group, "CodeBuild names the log streams after the builds")]
        service = "codebuild.amazonaws.com"
        self._role = service_role(scope, f"{construct_id}Role", service, self._allows, role_name=role_name)
        properties = {
            "ServiceRole": self._role.arn,
            "Source": {"Type": "CODEPIPELINE", "BuildSpec": build_spec(program, exports, artifact_files)},
            "Artifacts": {"Type": "CODEPIPELINE"},
            "Environment": {
                "Type": "LINUX_CONTAINER",
                "Image": _IMAGE,
                "ImagePullCredentialsType": "CODEBUILD",
                "ComputeType": "BUILD_GENERAL1_SMALL",
                "PrivilegedMode": builds_containers,
                "EnvironmentVariables": [
                    {"Name": name, "Type": "PLAINTEXT", "Value": value}
                    for name, value in {**archive.variables, **environment}.items()
                ],
            },
            "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": log_group}},
            # What a project encrypts with if its pipeline has no key either.
            "EncryptionKey": "alias/aws/s3",
            # A build that waits for a job must outlive it; the job's own limit is what ends it.
            "TimeoutInMinutes": 60 if builds_containers else 36 * 60,
        }
        self._project = Resource(scope, construct_id, "AWS::CodeBuild::Project", properties)

    def may(self) -> list[Allow]:
        """All that the project may do, except on the artifacts of the pipeline that it will be in."""
        return self._allows

    def action(
        self,
        action_name: str,
        run_order: int,
        given: StageInput,
        environment: Mapping[str, str],
        *,
        namespace: str,
        output: str | None = None,
    ) -> PlainAction:
        """An action that runs the program.

        Args:
            action_name: Its name in the stage.
            run_order: Its place in the stage.
            given: Whose source is the model's code, which the program starts in.
            environment: What only an execution knows.
            namespace: Where later actions find what the program exports.
            output: The artifact that takes the program's files.
        """
        variables = [{"name": name, "type": "PLAINTEXT", "value": value} for name, value in environment.items()]
        verbs = ["codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"]
        return PlainAction(
            name=action_name,
            run_order=run_order,
            category="Build",
            provider="CodeBuild",
            configuration={
                "ProjectName": self._project.ref,
                "EnvironmentVariables": json.dumps(variables, separators=(",", ":")) if variables else None,
            },
            inputs=[given.source_name],
            outputs=[output] if output is not None else [],
            namespace=namespace,
            # Made from the name, which the action needs anyway.
            allows=[Allow(verbs, [arn("codebuild", f"project/{self._project.ref}")])],
            uses=ArtifactUse(role=self._role, writes=output is not None, project=self._project),
        )


def build_spec(program: str, exports: Sequence[str], artifact_files: Sequence[str]) -> str:
    """What the project does: fetch the runtime, run the program, hand on what it leaves."""
    # -P: the build starts in the model's folder, whose files must not hide the standard library's.
    spec: dict[str, Any] = {
        "version": "0.2",
        "phases": {
            "install": {
                "runtime-versions": {"python": _PYTHON_VERSION},
                "commands": ["export ML_HOME=$(mktemp -d)"],
            },
            "build": {
                "commands": [
                    f'python3 -P -c "{_FETCH_AND_RUN}" {program}',
                    *(['set -a && . "$ML_HOME/exports" && set +a'] if exports else []),
                    *(['cp -R "$ML_HOME/artifact" "$CODEBUILD_SRC_DIR/ml-artifact"'] if artifact_files else []),
                ]
            },
        },
    }
    if exports:
        spec["env"] = {"exported-variables": list(exports)}
    if artifact_files:
        spec["artifacts"] = {"base-directory": "ml-artifact", "files": list(artifact_files)}
    return json.dumps(spec, indent=2)
