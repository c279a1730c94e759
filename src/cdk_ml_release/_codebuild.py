"""The CodeBuild project that runs one of the runtime's programs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aws_cdk import ArnFormat, Duration, IgnoreMode, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from ._permissions import Allow, role

_RUNTIME = Path(__file__).parent / "runtime"
_PYTHON_VERSION = "3.13"

# boto3 comes with the build image, so that a release downloads nothing but its own asset.
_FETCH = (
    "import boto3, io, os, zipfile; e = os.environ; "
    "b = boto3.client('s3').get_object(Bucket=e['ML_RUNTIME_BUCKET'], Key=e['ML_RUNTIME_KEY'])['Body'].read(); "
    "zipfile.ZipFile(io.BytesIO(b)).extractall(e['ML_HOME'])"
)


class RuntimeProject(Construct):
    """A CodeBuild project that fetches the runtime and runs one of its programs.

    Attributes:
        role: What the program runs as.
        allows: All that the role may do, except on the artifacts of the pipeline that it will be in.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        program: str,
        environment: Mapping[str, str],
        allows: Sequence[Allow],
        files: Mapping[str, str] | None = None,
        exports: Sequence[str] = (),
        artifact_files: Sequence[str] = (),
        builds_containers: bool = False,
    ) -> None:
        """Define the project, its role and its asset.

        Args:
            scope: The construct that this project belongs to.
            construct_id: Unique among the children of ``scope``.
            program: What follows ``python3 -m``, such as ``runtime.container``; may name environment variables.
            environment: The program's settings.
            allows: What the program may do.
            files: Documents that travel beside the runtime: path to content.
            exports: Variables that the program exports to later actions.
            artifact_files: What the program leaves in ``$ML_HOME/artifact`` for the output artifact.
            builds_containers: Whether the program calls Docker, which needs a privileged build.
        """
        super().__init__(scope, construct_id)
        bucket_name, key, object_arn = _asset(self, files or {})
        self.allows = [Allow(["s3:GetObject"], [object_arn]), *allows]
        self.role = role(self, "Role", "codebuild.amazonaws.com", self.allows)
        values = {"ML_RUNTIME_BUCKET": bucket_name, "ML_RUNTIME_KEY": key, **environment}
        self.project = codebuild.PipelineProject(
            self,
            "Resource",
            role=self.role,
            build_spec=codebuild.BuildSpec.from_object(_build_spec(program, exports, artifact_files)),
            environment=codebuild.BuildEnvironment(
                build_image=_image(), compute_type=codebuild.ComputeType.SMALL, privileged=builds_containers
            ),
            environment_variables=_variables(values),
            grant_report_group_permissions=False,
            # A build that waits for a job must outlive it; the job's own limit is what ends it.
            timeout=Duration.hours(1 if builds_containers else 36),
        )
        self.allows.append(self._write_log())

    def _write_log(self) -> Allow:
        """What CDK lets the role do for every project."""
        group = Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"/aws/codebuild/{self.project.project_name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        verbs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
        return Allow(verbs, [group], because="CodeBuild names the log streams after the builds")

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


@cache
def _image() -> codebuild.IBuildImage:
    return codebuild.LinuxBuildImage.AMAZON_LINUX_2023_6


@cache
def _runtime() -> TemporaryDirectory[str]:
    """The programs alone, in one folder for the whole process: CDK stages a folder that it knows no second time."""
    folder: TemporaryDirectory[str] = TemporaryDirectory()
    # The shapes serve the synthesis only, and what Python compiled would change the asset's hash.
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc", "shapes.*")
    shutil.copytree(_RUNTIME, Path(folder.name, "runtime"), ignore=unwanted)
    return folder


def _asset(scope: Construct, files: Mapping[str, str]) -> tuple[str, str, str]:
    """Bucket, key and ARN of the archive that holds the programs and ``files``."""
    if not files:
        return _archive(scope, _runtime().name)
    with TemporaryDirectory() as folder:
        shutil.copytree(_runtime().name, folder, dirs_exist_ok=True)
        for path, content in files.items():
            Path(folder, path).write_text(content, encoding="utf-8")
        # Staged at once, so the folder may go.
        return _archive(scope, folder)


def _archive(scope: Construct, folder: str) -> tuple[str, str, str]:
    asset = s3_assets.Asset(scope, "Runtime", path=folder, ignore_mode=IgnoreMode.GLOB)
    key = asset.s3_object_key
    return asset.s3_bucket_name, key, f"{asset.bucket.bucket_arn}/{key}"


def _build_spec(program: str, exports: Sequence[str], artifact_files: Sequence[str]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "version": "0.2",
        "phases": {
            "install": {
                "runtime-versions": {"python": _PYTHON_VERSION},
                "commands": ["export ML_HOME=$(mktemp -d)", f'python3 -c "{_FETCH}"'],
            },
            "build": {
                "commands": [
                    f'PYTHONPATH="$ML_HOME" python3 -m {program}',
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
