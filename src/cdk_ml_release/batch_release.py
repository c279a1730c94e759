"""BatchTransformRelease: a registered model version scores a batch, without an endpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsii
from aws_cdk import aws_iam as iam
from constructs import Construct

from ._action import PlainAction
from ._bucket import check_key_prefix
from ._codebuild import RuntimeArchive, RuntimeProject
from ._permissions import Allow, acknowledge, arn, grant, pass_role, read_prefixes, wildcards
from ._place import settle
from ._release_name import checked_release_name
from ._resource import include
from ._sagemaker_role import run_container, sagemaker_role
from ._transform_request import transform_request
from .artifact_repo import MlArtifactRepo
from .jobs import TransformJob, check_whole_number
from .runtime.batch_settings import BatchSettings
from .runtime.contract import endpoint_record_key
from .stage import SingleUse, StageInput, build_before, check_stage_name

if TYPE_CHECKING:
    from aws_cdk import aws_codepipeline as codepipeline
    from aws_cdk import aws_s3 as s3

_EXECUTION_ID = "#{codepipeline.PipelineExecutionId}"


@jsii.implements(iam.IGrantable)
class BatchTransformRelease(Construct):
    """Approves the model version and scores the objects under an input prefix with it, by SageMaker's batch transform.

    Each execution leaves its results under ``batch/<batch name>/<execution id>/output/`` in the repo's bucket: for
    ``a.csv`` under the input prefix ``a.csv.out``. A record that the model refuses leaves its line in there empty, and
    is written to ``.../failed/a.csv.jsonl`` with its number and the reason; all other records are scored.

    Attributes:
        repo: The home of the model.
        stage_name: The stage's name in a pipeline: the construct's id.
        batch_name: What models, jobs and the folder of the results are named after.
        rolls_back: A failed batch leaves the results of earlier ones as they are: there is nothing to go back to.
    """

    rolls_back = False

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        repo: MlArtifactRepo,
        input_prefix: str = "batch-input/",
        input_bucket: s3.IBucket | None = None,
        job: TransformJob | None = None,
        max_failed_records: int = 100,
        batch_name: str | None = None,
    ) -> None:
        """Define the release.

        Args:
            scope: The construct that this release belongs to.
            construct_id: Unique among the children of ``scope``.
            repo: The home of the model.
            input_prefix: Every object under this key prefix is scored.
            input_bucket: Where the input is. Default: the repo's bucket.
            job: How the batch is scored. Default: see :class:`TransformJob`.
            max_failed_records: If more records than these are refused, the stage fails: then it is the model, or the
                wrong input. To find them, SageMaker runs further jobs on the objects that they are in.
            batch_name: At most 43 small letters, digits and hyphens. Default: the model's name and the construct's id.

        Raises:
            ValueError: if an argument is outside SageMaker's limits.
        """
        super().__init__(scope, construct_id)
        settle(self, scope, construct_id)
        check_stage_name("construct_id", construct_id)
        name = checked_release_name("batch_name", batch_name, repo.model_name, construct_id, "models and jobs")
        _check_input_prefix(input_prefix, own=input_bucket is None)
        check_whole_number("max_failed_records", max_failed_records, at_least=0, at_most=1000)
        job = job or TransformJob()
        self.repo = repo
        self.stage_name = construct_id
        self.batch_name = name
        self._use = SingleUse(construct_id, "BatchTransformRelease")
        self._input = self._read_input(input_bucket, input_prefix)
        model = self._run_model()
        self._role = sagemaker_role(self, "Role", model)
        document = transform_request(job, encrypted=repo.encryption_key is not None)
        bucket_name = repo.permissions.bucket_name if input_bucket is None else input_bucket.bucket_name
        settings = BatchSettings(
            batch_name=name,
            bucket=repo.permissions.bucket_name,
            input_uri=f"s3://{bucket_name}/{input_prefix}",
            max_failed_records=max_failed_records,
            max_runtime_seconds=job.max_runtime_seconds,
            values=self._values(),
        )
        self._transform = RuntimeProject(
            self,
            "Transform",
            program="runtime.batch",
            archive=RuntimeArchive(self, construct_id, {"transform.json": json.dumps(document, indent=1)}),
            environment=settings.to_environment(),
            allows=[*self._score(), *self._submit_jobs()],
            exports=["OUTPUT_URI", "FAILED_RECORDS"],
        )
        include(self)
        acknowledge(self, lambda: wildcards(self, [*model, *self._transform.may()]))

    def _values(self) -> dict[str, str]:
        key_arn = self.repo.permissions.key_arn
        return {"ModelRoleArn": self._role.arn} | ({"KmsKeyArn": key_arn} if key_arn is not None else {})

    def _read_input(self, bucket: s3.IBucket | None, prefix: str) -> list[Allow]:
        because = "the input is whatever was uploaded under its prefix"
        permissions = self.repo.permissions
        if bucket is None:
            return read_prefixes(permissions.bucket_arn, [prefix], permissions.key_arn, because)
        key = bucket.encryption_key
        return read_prefixes(bucket.bucket_arn, [prefix], key.key_arn if key is not None else None, because)

    def _run_model(self) -> list[Allow]:
        permissions = self.repo.permissions
        return [
            *run_container(permissions, log_group="/aws/sagemaker/TransformJobs"),
            *permissions.read("runs", f"batch/{self.batch_name}"),
            *self._input,
            *self._write_results(),
            *permissions.encrypt_volumes(),
        ]

    def _write_results(self) -> list[Allow]:
        because = "every execution has a folder of its own, with an object for each of the input"
        return self.repo.permissions.write(f"batch/{self.batch_name}/*", because)

    def _score(self) -> list[Allow]:
        permissions = self.repo.permissions
        return [
            *permissions.read("runs", f"batch/{self.batch_name}"),
            *self._input,
            *self._write_results(),
            *permissions.write(endpoint_record_key(self.batch_name)),
            Allow(
                ["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"],
                [self.repo.permissions.package_arn],
                because="SageMaker numbers the versions",
            ),
        ]

    def _submit_jobs(self) -> list[Allow]:
        name, group = self.batch_name, arn("logs", "log-group:/aws/sagemaker/TransformJobs")
        because = "models and jobs are named after the execution"
        job = [f"sagemaker:{verb}TransformJob" for verb in ("Create", "Describe", "Stop")]
        return [
            Allow(
                ["sagemaker:CreateModel", "sagemaker:DescribeModel"],
                [arn("sagemaker", f"model/{name}-*")],
                None,
                because,
            ),
            Allow(job, [arn("sagemaker", f"transform-job/{name}-*")], because=because),
            pass_role("sagemaker.amazonaws.com", self._role.arn),
            Allow(
                ["logs:DescribeLogStreams", "logs:GetLogEvents"],
                [f"{group}:*", f"{group}:log-stream:{name}-*"],
                because="SageMaker names the log streams after the jobs",
            ),
        ]

    @property
    def role(self) -> iam.IRole:
        """What the model's container runs as."""
        return self._role.construct

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The principal that the model runs as."""
        return self.role

    def grant_read_results(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` list and read the results of every execution, and decrypt them where there is a key."""
        return grant(grantee, self.repo.permissions.read(f"batch/{self.batch_name}"))

    def variable(self, name: str) -> str:
        """The pipeline variable that later actions read a result of this batch from.

        Args:
            name: ``OUTPUT_URI`` (where the results of the execution are) or ``FAILED_RECORDS`` (how many records
                were refused).
        """
        return f"#{{{self.stage_name}Transform.{name}}}"

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        """The stage's one action: Transform.

        Args:
            given: What earlier stages hand on; its ``build`` is whose model scores.

        Raises:
            ValueError: if no build came before, or the stage is in a pipeline already.
        """
        return [each.construct() for each in self.plain_actions(given)]

    def plain_actions(self, given: StageInput) -> list[PlainAction]:
        """The same, for :class:`MlPipeline`."""
        build_before(given, self.stage_name, "release", "releases")
        self._use.begin()
        environment = {"ML_EXECUTION_ID": _EXECUTION_ID, "ML_MANIFEST_KEY": given.variable("MANIFEST_KEY")}
        namespace = f"{self.stage_name}Transform"
        return [self._transform.action("Transform", 1, given, environment, namespace=namespace)]


def _check_input_prefix(prefix: str, *, own: bool) -> None:
    check_key_prefix("input_prefix", prefix, example="batch-input/")
    if own and prefix.startswith("batch/"):
        raise ValueError(
            f"'input_prefix' must not be under 'batch/', where the results go, got {prefix!r}; use 'batch-input/'"
        )
