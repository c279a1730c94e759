"""The CodeBuild project that runs one of the runtime's programs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aws_cdk import Aws, Duration, IgnoreMode
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

_RUNTIME = Path(__file__).parent / "runtime"
_PYTHON_VERSION = "3.13"

# boto3 comes with the build image, so that a release downloads nothing but its own asset.
_FETCH = (
    "import boto3, io, os, zipfile; e = os.environ; "
    "b = boto3.client('s3').get_object(Bucket=e['ML_RUNTIME_BUCKET'], Key=e['ML_RUNTIME_KEY'])['Body'].read(); "
    "zipfile.ZipFile(io.BytesIO(b)).extractall(e['ML_HOME'])"
)


class RuntimeProject(Construct):
    """A CodeBuild project that fetches the runtime and runs one of its programs."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        program: str,
        files: Mapping[str, str],
        environment: Mapping[str, str],
        exports: Sequence[str] = (),
        artifact_files: Sequence[str] = (),
        builds_containers: bool = False,
    ) -> None:
        """Define the project, its role and its asset.

        Args:
            scope: The construct that this project belongs to.
            construct_id: Unique among the children of ``scope``.
            program: What follows ``python3 -m``, such as ``runtime.container``; may name environment variables.
            files: Documents that travel beside the runtime: path to content.
            environment: The program's settings.
            exports: Variables that the program exports to later actions.
            artifact_files: What the program leaves in ``$ML_HOME/artifact`` for the output artifact.
            builds_containers: Whether the program calls Docker, which needs a privileged build.
        """
        super().__init__(scope, construct_id)
        asset = _asset(self, files)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:GetObject"], resources=[f"{asset.bucket.bucket_arn}/{asset.s3_object_key}"]
            )
        )
        values = {
            "ML_RUNTIME_BUCKET": asset.s3_bucket_name,
            "ML_RUNTIME_KEY": asset.s3_object_key,
            **environment,
        }
        self.project = codebuild.PipelineProject(
            self,
            "Resource",
            role=self.role,
            build_spec=codebuild.BuildSpec.from_object(_build_spec(program, exports, artifact_files)),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.AMAZON_LINUX_2023_6,
                compute_type=codebuild.ComputeType.SMALL,
                privileged=builds_containers,
            ),
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=value) for name, value in values.items()
            },
            # A build that waits for a job must outlive it; the job's own limit is what ends it.
            timeout=Duration.hours(1 if builds_containers else 36),
        )

    def allow(self, actions: Sequence[str], resources: Sequence[str], conditions: Any = None) -> None:
        """Add a statement to the project's role."""
        self.role.add_to_policy(
            iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)
        )

    def allow_passing(self, role: iam.IRole, service: str) -> None:
        """Let the program hand ``role`` to a service, and to no other one."""
        self.allow(["iam:PassRole"], [role.role_arn], {"StringEquals": {"iam:PassedToService": service}})


def _asset(scope: Construct, files: Mapping[str, str]) -> s3_assets.Asset:
    with TemporaryDirectory() as folder:
        shutil.copytree(
            _RUNTIME, Path(folder, "runtime"), ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "shapes.*")
        )
        for path, content in files.items():
            Path(folder, path).write_text(content, encoding="utf-8")
        # Staged at once, so the folder may go.
        return s3_assets.Asset(scope, "Runtime", path=folder, ignore_mode=IgnoreMode.GLOB)


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


def arn(service: str, resource: str) -> str:
    """The ARN of something in the stack's own account and region."""
    return f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}:{resource}"
