"""MlBuildStage: from code and data to a registered model version."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from ._codebuild import RuntimeProject, arn
from ._sagemaker_role import sagemaker_role
from .artifact_repo import MlArtifactRepo
from .jobs import Placement, ProcessingJob, TrainingJob, check_request, requests
from .quality_gate import QualityGate
from .runtime.contract import BuildRun, BuildSettings
from .stage import StageInput, check_stage_name

_EXECUTION_ID = "#{codepipeline.PipelineExecutionId}"


class MlBuildStage(Construct):
    """Builds the container, preprocesses, trains, evaluates, and registers a model that passes its gates.

    Attributes:
        repo: The home of the model.
        stage_name: The stage's name in a pipeline: the construct's id.
        processing_role: What the preprocessing and evaluation containers run as.
        training_role: What the training container runs as.
        security_group: What the jobs' network interfaces belong to, where there is a VPC.
        rolls_back: A failed build leaves nothing behind that a roll-back would mend.
    """

    rolls_back = False

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        repo: MlArtifactRepo,
        gate: QualityGate | Sequence[QualityGate],
        preprocess: ProcessingJob | None = None,
        train: TrainingJob | None = None,
        evaluate: ProcessingJob | None = None,
        vpc: ec2.IVpc | None = None,
        container_folder: str = ".",
    ) -> None:
        """Define the stage.

        Args:
            scope: The construct that this stage belongs to.
            construct_id: Unique among the children of ``scope``.
            repo: The home of the model.
            gate: The limits that a model must keep, one or several.
            preprocess: How the preprocessing job runs. Default: see :class:`ProcessingJob`.
            train: How the training job runs. Default: see :class:`TrainingJob`.
            evaluate: How the evaluation job runs. Default: see :class:`ProcessingJob`.
            vpc: Whose private subnets the jobs run in. Default: SageMaker's own network.
            container_folder: Where the Dockerfile is in the source.

        Raises:
            ValueError: if there is no gate, or SageMaker would refuse a job.
        """
        super().__init__(scope, construct_id)
        check_stage_name("construct_id", construct_id)
        self.repo = repo
        self.stage_name = construct_id
        self._used = False
        self._vpc = vpc
        self.processing_role = self._job_role("ProcessingRole", "ProcessingJobs")
        self.training_role = self._job_role("TrainingRole", "TrainingJobs")
        repo.grant_read_data(self.processing_role)
        self._container = self._container_project(container_folder)
        self._jobs = self._jobs_project(
            _gates(gate), preprocess or ProcessingJob(), train or TrainingJob(), evaluate or ProcessingJob()
        )

    def _job_role(self, construct_id: str, log_group: str) -> iam.Role:
        role = sagemaker_role(
            self, construct_id, self.repo, log_group=f"/aws/sagemaker/{log_group}", vpc=self._vpc
        )
        self.repo.grant_read_runs(role)
        self.repo.grant_write(role, "runs/*")
        return role

    def _container_project(self, folder: str) -> RuntimeProject:
        container = RuntimeProject(
            self,
            "Container",
            program="runtime.container",
            files={},
            environment={"ML_REPOSITORY_URI": self.repo.images.repository_uri, "ML_CONTAINER_FOLDER": folder},
            exports=["IMAGE_URI"],
            builds_containers=True,
        )
        self.repo.grant_pull(container.role)
        container.allow(
            [
                "ecr:CompleteLayerUpload",
                "ecr:DescribeImages",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            [self.repo.images.repository_arn],
        )
        return container

    def _jobs_project(
        self, gates: Sequence[QualityGate], preprocess: ProcessingJob, train: TrainingJob, evaluate: ProcessingJob
    ) -> RuntimeProject:
        repo = self.repo
        placement, values = self._placement()
        documents = requests(preprocess, train, evaluate, placement)
        for verb, operation, request in documents:
            check_request(operation, verb, request, repo.model_name)
        jobs = RuntimeProject(
            self,
            "Jobs",
            program='runtime.build "$ML_TASK"',
            files={f"{verb}.json": json.dumps(request, indent=1) for verb, _, request in documents},
            environment=BuildSettings(
                model_name=repo.model_name,
                bucket=repo.bucket.bucket_name,
                data_uri=repo.data_bucket.s3_url_for_object(repo.data_prefix),
                package_group=repo.model_name,
                gates=tuple(each.gate for each in gates),
                values=values,
            ).to_environment(),
            exports=["DATA_VERSION", "MODEL_DATA", "MANIFEST_KEY", "SUMMARY"],
        )
        self._allow_jobs(jobs)
        self._allow_registration(jobs)
        return jobs

    def _placement(self) -> tuple[Placement, dict[str, str]]:
        values = {"ProcessingRoleArn": self.processing_role.role_arn, "TrainingRoleArn": self.training_role.role_arn}
        key = self.repo.encryption_key
        if key is not None:
            values["KmsKeyArn"] = key.key_arn
            for role in (self.processing_role, self.training_role):
                # Encrypted volumes are attached through grants (source: SageMaker's guide on roles).
                key.grant(role, "kms:CreateGrant")
        if self._vpc is None:
            return Placement(encrypted=key is not None), values
        self.security_group = ec2.SecurityGroup(self, "SecurityGroup", vpc=self._vpc)
        subnets = self._vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS).subnet_ids
        values |= {f"Subnet{index}": subnet for index, subnet in enumerate(subnets)}
        values["SecurityGroup0"] = self.security_group.security_group_id
        return Placement(subnets=len(subnets), security_groups=1, encrypted=key is not None), values

    def _allow_jobs(self, jobs: RuntimeProject) -> None:
        name = self.repo.model_name
        jobs.allow(
            ["sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob"],
            [arn("sagemaker", f"processing-job/{name}-{verb}-*") for verb in ("preprocess", "evaluate")],
        )
        jobs.allow(
            ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"],
            [arn("sagemaker", f"training-job/{name}-train-*")],
        )
        for role in (self.processing_role, self.training_role):
            jobs.allow_passing(role, "sagemaker.amazonaws.com")
        groups = ("/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs")
        jobs.allow(
            ["logs:DescribeLogStreams", "logs:GetLogEvents"],
            [
                arn("logs", f"log-group:{group}:{streams}")
                for group in groups
                for streams in ("*", f"log-stream:{name}-*")
            ],
        )

    def _allow_registration(self, jobs: RuntimeProject) -> None:
        repo = self.repo
        repo.grant_read_data(jobs.role)
        repo.grant_read_runs(jobs.role)
        repo.grant_write(jobs.role, "runs/*/release.json")
        jobs.allow(["s3:ListBucket"], [repo.bucket.bucket_arn], {"StringLike": {"s3:prefix": ["in-service/*"]}})
        jobs.allow(["s3:GetObject"], [repo.bucket.arn_for_objects("in-service/*")])
        jobs.allow(["sagemaker:CreateModelPackage"], [repo.package_group_arn, repo.package_arn])

    def variable(self, name: str) -> str:
        """The pipeline variable that later actions read a result of this build from.

        Args:
            name: ``SUMMARY`` (the metrics in words, at most 400 characters) or ``MANIFEST_KEY`` (the key of
                ``release.json`` in the repo's bucket).
        """
        return f"#{{{self.stage_name}Evaluate.{name}}}"

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        """The stage's actions: Container, Preprocess, Train, Evaluate, one after the other.

        Args:
            given: What earlier stages hand on.

        Raises:
            ValueError: if the stage is in a pipeline already.
        """
        if self._used:
            raise ValueError(
                f"the stage '{self.stage_name}' is used twice: its actions are in a pipeline already; "
                "define a second MlBuildStage"
            )
        self._used = True
        names = {task: f"{self.stage_name}{task}" for task in ("Container", "Preprocess", "Train")}
        image = BuildRun(
            execution_id=_EXECUTION_ID, image_uri=f"#{{{names['Container']}.IMAGE_URI}}", commit=given.commit
        ).to_environment()
        data = image | {"ML_DATA_VERSION": f"#{{{names['Preprocess']}.DATA_VERSION}}"}
        model = data | {"ML_MODEL_DATA": f"#{{{names['Train']}.MODEL_DATA}}"}
        return [
            self._action("Container", 1, self._container, given, {"ML_EXECUTION_ID": _EXECUTION_ID}),
            self._action("Preprocess", 2, self._jobs, given, image | {"ML_TASK": "preprocess"}),
            self._action("Train", 3, self._jobs, given, data | {"ML_TASK": "train"}),
            self._action("Evaluate", 4, self._jobs, given, model | {"ML_TASK": "evaluate"}),
        ]

    def _action(
        self, name: str, order: int, runs: RuntimeProject, given: StageInput, environment: dict[str, str]
    ) -> actions.CodeBuildAction:
        return actions.CodeBuildAction(
            action_name=name,
            run_order=order,
            project=runs.project,
            input=given.source,
            environment_variables={
                key: codebuild.BuildEnvironmentVariable(value=value) for key, value in environment.items()
            },
            variables_namespace=f"{self.stage_name}{name}",
        )


def _gates(gate: QualityGate | Sequence[QualityGate]) -> Sequence[QualityGate]:
    gates = [gate] if isinstance(gate, QualityGate) else list(gate)
    if not gates:
        raise ValueError(
            "'gate' must hold at least one limit, got none; use QualityGate.at_most('regression_metrics.rmse.value', 2)"
        )
    metrics = [(each.gate.metric, each.gate.comparison) for each in gates]
    for metric, comparison in metrics:
        if metrics.count((metric, comparison)) > 1:
            raise ValueError(f"'gate' must limit a metric once, got '{metric}' {comparison} twice; keep one of them")
    return gates
