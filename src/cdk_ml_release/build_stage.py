"""MlBuildStage: from code and data to a registered model version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from constructs import Construct

from ._action import PlainAction
from ._codebuild import RuntimeArchive, RuntimeProject
from ._job_requests import JobRequest, Placement, requests
from ._network import private_network
from ._permissions import Allow, acknowledge, arn, pass_role, wildcards
from ._place import settle
from ._resource import include
from ._sagemaker_role import run_container, sagemaker_role
from .artifact_repo import MlArtifactRepo
from .jobs import ProcessingJob, TrainingJob
from .quality_gate import QualityGate
from .runtime.contract import NEW_VERSION, BuildRun, BuildSettings
from .stage import SingleUse, StageInput, check_stage_name

if TYPE_CHECKING:
    from aws_cdk import aws_codepipeline as codepipeline
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_iam as iam

_EXECUTION_ID = "#{codepipeline.PipelineExecutionId}"


class MlBuildStage(Construct):
    """Builds the container, preprocesses, trains, evaluates, and registers a model that passes its gates.

    Attributes:
        repo: The home of the model.
        stage_name: The stage's name in a pipeline: the construct's id.
        security_group: What the jobs' network interfaces belong to; None without a VPC.
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
            vpc: Whose private subnets the jobs run in, or the isolated ones if there are no others; they must reach
                S3, and SageMaker allows 16. Default: SageMaker's own network.
            container_folder: Where the Dockerfile is in the source, which is the folder that is built.

        Raises:
            ValueError: if there is no gate, the name cannot be a stage's, or SageMaker would refuse a job.
        """
        super().__init__(scope, construct_id)
        settle(self, scope, construct_id)
        check_stage_name("construct_id", construct_id)
        gates = _gates(gate)
        preprocess, train, evaluate = preprocess or ProcessingJob(), train or TrainingJob(), evaluate or ProcessingJob()
        self.repo = repo
        self.stage_name = construct_id
        self.security_group: ec2.ISecurityGroup | None = None
        self._use = SingleUse(construct_id, "MlBuildStage")
        processing = [*self._run_job("ProcessingJobs", vpc), *repo.permissions.read_data()]
        training = self._run_job("TrainingJobs", vpc)
        self._processing_role = sagemaker_role(self, "ProcessingRole", processing)
        self._training_role = sagemaker_role(self, "TrainingRole", training)
        placement, values = self._place(vpc, any(job.instance_count > 1 for job in (preprocess, train, evaluate)))
        archive = self._archive(requests(preprocess, train, evaluate, placement))
        self._container = self._container_project(archive, container_folder)
        self._jobs = self._jobs_project(archive, gates, values)
        include(self)
        acknowledge(self, lambda: wildcards(self, [*processing, *training, *self._container.may(), *self._jobs.may()]))

    def _run_job(self, log_group: str, vpc: ec2.IVpc | None) -> list[Allow]:
        permissions = self.repo.permissions
        return [
            *run_container(permissions, log_group=f"/aws/sagemaker/{log_group}", in_vpc=vpc is not None),
            *permissions.read("runs"),
            *permissions.write("runs/*", "every execution has a folder of its own under runs/"),
            *permissions.encrypt_volumes(),
        ]

    def _archive(self, documents: Sequence[JobRequest]) -> RuntimeArchive:
        for each in documents:
            each.check(self.repo.model_name)
        files = {f"{each.verb}.json": json.dumps(each.document, indent=1) for each in documents}
        schema = self.repo.schema
        more = {"schema.json": schema.to_json()} if schema is not None else {}
        return RuntimeArchive(self, self.stage_name, files | more)

    def _container_project(self, archive: RuntimeArchive, folder: str) -> RuntimeProject:
        permissions = self.repo.permissions
        return RuntimeProject(
            self,
            "Container",
            program="runtime.container",
            archive=archive,
            environment={"ML_REPOSITORY_URI": permissions.images_uri, "ML_CONTAINER_FOLDER": folder},
            allows=[*permissions.pull(), permissions.write_images()],
            exports=["IMAGE_URI"],
            builds_containers=True,
        )

    def _jobs_project(
        self, archive: RuntimeArchive, gates: Sequence[QualityGate], values: dict[str, str]
    ) -> RuntimeProject:
        repo = self.repo
        return RuntimeProject(
            self,
            "Jobs",
            program='runtime.build "$ML_TASK"',
            archive=archive,
            environment=BuildSettings(
                model_name=repo.model_name,
                bucket=repo.permissions.bucket_name,
                data_uri=repo.permissions.data_uri,
                package_group=repo.model_name,
                versions_arn=repo.permissions.versions_arn,
                gates=tuple(each.gate for each in gates),
                values=values,
            ).to_environment(),
            allows=[*self._submit_jobs(), *self._register()],
            exports=["DATA_VERSION", "MODEL_DATA", "MANIFEST_KEY", "EVALUATION_KEY", "SUMMARY"],
        )

    def _place(self, vpc: ec2.IVpc | None, distributed: bool) -> tuple[Placement, dict[str, str]]:
        """Where the jobs run, and what stands for it in their requests once the stack is deployed."""
        values = {"ProcessingRoleArn": self._processing_role.arn, "TrainingRoleArn": self._training_role.arn}
        key_arn = self.repo.permissions.key_arn
        if key_arn is not None:
            values["KmsKeyArn"] = key_arn
        if vpc is None:
            return Placement(encrypted=key_arn is not None), values
        network = private_network(self, vpc, f"Jobs of {self.repo.model_name}")
        if distributed:
            from aws_cdk import aws_ec2 as ec2

            # The instances of one job talk to each other.
            network.group.connections.allow_internally(ec2.Port.all_traffic())
        self.security_group = network.group
        place = Placement(subnets=network.subnets, security_groups=1, encrypted=key_arn is not None)
        return place, values | network.values

    def _submit_jobs(self) -> list[Allow]:
        name = self.repo.model_name
        run = "the names end in the execution's id"
        preprocess, evaluate = (
            arn("sagemaker", f"processing-job/{name}-{verb}-*") for verb in ("preprocess", "evaluate")
        )
        groups = [arn("logs", f"log-group:/aws/sagemaker/{noun}Jobs") for noun in ("Processing", "Training")]
        return [
            Allow(
                ["sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob"],
                [preprocess, evaluate],
                because=run,
            ),
            Allow(
                ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"],
                [arn("sagemaker", f"training-job/{name}-train-*")],
                because=run,
            ),
            pass_role("sagemaker.amazonaws.com", self._processing_role.arn, self._training_role.arn),
            Allow(
                ["logs:DescribeLogStreams", "logs:GetLogEvents"],
                [text for group in groups for text in (f"{group}:*", f"{group}:log-stream:{name}-*")],
                because="SageMaker names the log streams after the jobs",
            ),
        ]

    def _register(self) -> list[Allow]:
        repo, permissions = self.repo, self.repo.permissions
        run = "every execution has a folder of its own under runs/"
        return [
            *permissions.list_data(),
            *permissions.read("runs", "in-service"),
            *permissions.write("runs/*/release.json", run),
            *(permissions.write("runs/*/baseline/*", run) if repo.schema is not None else []),
            *permissions.register(),
        ]

    @property
    def processing_role(self) -> iam.IRole:
        """What the preprocessing and evaluation containers run as."""
        return self._processing_role.construct

    @property
    def training_role(self) -> iam.IRole:
        """What the training container runs as."""
        return self._training_role.construct

    def variable(self, name: str) -> str:
        """The pipeline variable that later actions read a result of this build from.

        An execution that releases a registered version skips the build, and then has no such variable: stages ask
        :meth:`StageInput.variable`, which knows.

        Args:
            name: ``SUMMARY`` (the metrics in words, at most 400 characters), ``MANIFEST_KEY`` (the key of
                ``release.json`` in the repo's bucket) or ``EVALUATION_KEY`` (that of ``evaluation.json``).
        """
        return f"#{{{self.stage_name}Evaluate.{name}}}"

    def choose(self, given: StageInput, *, namespace: str) -> PlainAction:
        """An action that chooses what is released: this build's model, or the registered version that is asked for.

        Args:
            given: What earlier stages hand on.
            namespace: Where later actions find the choice.
        """
        asked = {"ML_EXECUTION_ID": _EXECUTION_ID, "ML_MODEL_VERSION": given.version or NEW_VERSION}
        return self._jobs.action("Choose", 1, given, asked | {"ML_TASK": "choose"}, namespace=namespace)

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        """The stage's actions: Container, Preprocess, Train, Evaluate, one after the other.

        Args:
            given: What earlier stages hand on.

        Raises:
            ValueError: if the stage is in a pipeline already.
        """
        return [each.construct() for each in self.plain_actions(given)]

    def plain_actions(self, given: StageInput) -> list[PlainAction]:
        """The same, for :class:`MlPipeline`."""
        self._use.begin()
        names = {task: f"{self.stage_name}{task}" for task in ("Container", "Preprocess", "Train", "Evaluate")}
        image = BuildRun(
            execution_id=_EXECUTION_ID, image_uri=f"#{{{names['Container']}.IMAGE_URI}}", commit=given.commit
        ).to_environment()
        data = image | {"ML_DATA_VERSION": f"#{{{names['Preprocess']}.DATA_VERSION}}"}
        model = data | {"ML_MODEL_DATA": f"#{{{names['Train']}.MODEL_DATA}}"}
        runs = (
            ("Container", self._container, {"ML_EXECUTION_ID": _EXECUTION_ID}),
            ("Preprocess", self._jobs, image | {"ML_TASK": "preprocess"}),
            ("Train", self._jobs, data | {"ML_TASK": "train"}),
            ("Evaluate", self._jobs, model | {"ML_TASK": "evaluate"}),
        )
        return [
            project.action(name, order, given, environment, namespace=names[name])
            for order, (name, project, environment) in enumerate(runs, start=1)
        ]


def _gates(gate: QualityGate | Sequence[QualityGate]) -> Sequence[QualityGate]:
    gates = [gate] if isinstance(gate, QualityGate) else list(gate)
    if not gates:
        raise ValueError(
            "'gate' must hold at least one limit, got none; use QualityGate.at_most('regression_metrics.rmse.value', 2)"
        )
    limits = [replace(each.gate, limit=0.0) for each in gates]
    for each in limits:
        if limits.count(each) > 1:
            raise ValueError(
                f"'gate' must limit a metric once, got '{each.metric}' {each.comparison} twice; keep one of them"
            )
    return gates
