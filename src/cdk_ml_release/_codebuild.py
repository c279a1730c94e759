"""The CodeBuild project that runs one of the runtime's programs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aws_cdk import ArnFormat, AssetStaging, Duration, FileAssetPackaging, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from constructs import Construct

from ._permissions import Allow, bucket_arn, role

_PYTHON_VERSION = "3.13"

# boto3 comes with the build image, so that a release downloads nothing but its own asset. What is fetched runs in the
# same process, for boto3 takes as long to load as many a program takes to run.
_FETCH_AND_RUN = (
    "import boto3, io, os, runpy, sys, zipfile; e = os.environ; "
    "b = boto3.client('s3').get_object(Bucket=e['ML_RUNTIME_BUCKET'], Key=e['ML_RUNTIME_KEY'])['Body'].read(); "
    "zipfile.ZipFile(io.BytesIO(b)).extractall(e['ML_HOME']); sys.path.insert(0, e['ML_HOME']); "
    "del sys.argv[0]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def copy_room(name: str, target: Path) -> None:
    """Copy one of this package's rooms to where it is to run."""
    # The shapes serve the synthesis only, and what Python compiled would change the asset's hash.
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc", "shapes.*")
    shutil.copytree(Path(__file__).parent / name, target, ignore=unwanted)


class RuntimeArchive:
    """The programs and a stage's documents, in one archive among the app's assets."""

    def __init__(
        self, scope: Construct, files: Mapping[str, str], folders: Mapping[str, Callable[[Path], None]] | None = None
    ) -> None:
        """Stage the archive.

        Args:
            scope: The stage whose projects fetch it.
            files: Documents that travel beside the programs: path to content.
            folders: Folders that travel beside them: path to what fills one.
        """
        with TemporaryDirectory() as folder:
            copy_room("runtime", Path(folder, "runtime"))
            for path, content in files.items():
                Path(folder, path).write_text(content, encoding="utf-8")
            for path, furnish in (folders or {}).items():
                furnish(Path(folder, path))
            # Staged at once, so the folder may go.
            staged = AssetStaging(scope, "Runtime", source_path=folder)
        stack = Stack.of(scope)
        # What CDK's own Asset does; that also loads the facts on all regions, which takes longer than the rest of it.
        asset = stack.synthesizer.add_file_asset(
            source_hash=staged.asset_hash,
            file_name=staged.relative_staged_path(stack),
            packaging=FileAssetPackaging.ZIP_DIRECTORY,
        )
        self.variables = {"ML_RUNTIME_BUCKET": asset.bucket_name, "ML_RUNTIME_KEY": asset.object_key}
        self.read = Allow(["s3:GetObject"], [f"{bucket_arn(asset.bucket_name)}/{asset.object_key}"])


class RuntimeProject(Construct):
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
            scope: The construct that this project belongs to.
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
        super().__init__(scope, construct_id)
        self._allows = [archive.read, *allows]
        self.project = codebuild.PipelineProject(
            self,
            "Resource",
            role=role(self, "Role", "codebuild.amazonaws.com", self._allows, role_name=role_name),
            build_spec=codebuild.BuildSpec.from_object(_build_spec(program, exports, artifact_files)),
            environment=codebuild.BuildEnvironment(
                build_image=_image(), compute_type=codebuild.ComputeType.SMALL, privileged=builds_containers
            ),
            environment_variables=_variables(archive.variables | dict(environment)),
            grant_report_group_permissions=False,
            # A build that waits for a job must outlive it; the job's own limit is what ends it.
            timeout=_hours(1 if builds_containers else 36),
        )

    def may(self) -> list[Allow]:
        """All that the project may do, except on the artifacts of the pipeline that it will be in."""
        log = Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"/aws/codebuild/{self.project.project_name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        written = Allow(["logs:PutLogEvents"], [log], because="CodeBuild names the log streams after the builds")
        return [*self._allows, written]

    def action(
        self,
        action_name: str,
        run_order: int,
        source: codepipeline.Artifact,
        environment: Mapping[str, str],
        *,
        namespace: str,
        output: codepipeline.Artifact | None = None,
    ) -> actions.CodeBuildAction:
        """An action that runs the program.

        Args:
            action_name: Its name in the stage.
            run_order: Its place in the stage.
            source: The model's code, which the program starts in.
            environment: What only an execution knows.
            namespace: Where later actions find what the program exports.
            output: What takes the program's artifact files.
        """
        return actions.CodeBuildAction(
            action_name=action_name,
            run_order=run_order,
            project=self.project,
            input=source,
            outputs=[output] if output is not None else None,
            environment_variables=_variables(environment),
            variables_namespace=namespace,
        )


def _variables(values: Mapping[str, str]) -> dict[str, codebuild.BuildEnvironmentVariable]:
    return {name: codebuild.BuildEnvironmentVariable(value=value) for name, value in values.items()}


# The same objects for every project: each new one is a round trip to the CDK kernel.
@cache
def _hours(count: int) -> Duration:
    return Duration.hours(count)


@cache
def _image() -> codebuild.IBuildImage:
    return codebuild.LinuxBuildImage.AMAZON_LINUX_2023_6


def _build_spec(program: str, exports: Sequence[str], artifact_files: Sequence[str]) -> dict[str, Any]:
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
    return spec
