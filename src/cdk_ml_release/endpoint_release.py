"""SageMakerEndpointRelease: a registered model version becomes the model in service."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import jsii
from aws_cdk import Duration, aws_codepipeline_actions
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from constructs import Construct

from ._codebuild import RuntimeArchive, RuntimeProject
from ._permissions import Allow, acknowledge, arn, pass_to_sagemaker, role, wildcards
from ._sagemaker_role import run_container, sagemaker_role
from .artifact_repo import MlArtifactRepo
from .endpoint_template import VARIANT, EndpointTemplate
from .jobs import check_instance_type, check_whole_number
from .runtime.contract import RUN_LABEL_LENGTH, ReleaseSettings, endpoint_record_key
from .stage import StageInput, check_stage_name

if TYPE_CHECKING:
    from aws_cdk import aws_cloudwatch as cloudwatch

# <endpoint>-<run>-<content> names model and configuration, of which SageMaker allows 63 characters.
_LONGEST_ENDPOINT_NAME = 63 - 1 - RUN_LABEL_LENGTH - 1 - 6
_VERSIONS = "SageMaker numbers the versions"


@jsii.implements(iam.IGrantable)
class SageMakerEndpointRelease(Construct):
    """Deploys the approved model version to an endpoint, checks it there, and goes back if it is not right.

    Attributes:
        repo: The home of the model.
        stage_name: The stage's name in a pipeline: the construct's id.
        endpoint_name: The endpoint's name, which stays the same from release to release.
        stack_name: The name of the CloudFormation stack that holds the endpoint.
        role: What the model's container runs as.
        deployment_role: What CloudFormation deploys with: it can touch this endpoint only.
        rolls_back: A failed release is followed by the last one that succeeded.
    """

    rolls_back = True

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        repo: MlArtifactRepo,
        endpoint_name: str | None = None,
        instance_type: str = "ml.m5.large",
        instance_count: int = 2,
        capture_percentage: int = 100,
    ) -> None:
        """Define the release.

        Args:
            scope: The construct that this release belongs to.
            construct_id: Unique among the children of ``scope``.
            repo: The home of the model.
            endpoint_name: At most 43 small letters, digits and hyphens. Default: the model's name and the
                construct's id.
            instance_type: A SageMaker instance type.
            instance_count: How many instances serve. With two, SageMaker places them in two availability zones.
            capture_percentage: The share of requests and answers that is kept under ``capture/``; 0 for none.

        Raises:
            ValueError: if an argument is outside SageMaker's limits.
        """
        super().__init__(scope, construct_id)
        check_stage_name("construct_id", construct_id)
        name = endpoint_name if endpoint_name is not None else _default_name(repo, construct_id)
        _check_endpoint_name(name)
        check_instance_type("instance_type", instance_type)
        check_whole_number("instance_count", instance_count, at_least=1)
        check_whole_number("capture_percentage", capture_percentage, at_least=0, at_most=100)
        self.repo = repo
        self.stage_name = construct_id
        self.endpoint_name = name
        self.stack_name = f"{name}-endpoint"
        self._endpoint_arn = arn("sagemaker", f"endpoint/{name}")
        self._used = False
        model = self._run_model(captures=capture_percentage > 0)
        self.role = sagemaker_role(self, "Role", model)
        deployment = self._deploy()
        self.deployment_role = role(self, "DeploymentRole", "cloudformation.amazonaws.com", deployment)
        template = EndpointTemplate(
            endpoint_name=name,
            instance_type=instance_type,
            instance_count=instance_count,
            capture_percentage=capture_percentage,
            encrypted=repo.encryption_key is not None,
        ).render()
        settings = self._settings(template["Parameters"])
        archive = RuntimeArchive(self, {"endpoint.template.json": json.dumps(template, indent=1)})
        self._prepare = self._prepare_project(archive, settings)
        self._verify = self._verify_project(archive, settings)
        acknowledge(self, lambda: wildcards(self, [*model, *deployment, *self._prepare.may(), *self._verify.may()]))

    def _run_model(self, *, captures: bool) -> list[Allow]:
        permissions = self.repo.permissions
        return [
            *run_container(permissions, log_group=f"/aws/sagemaker/Endpoints/{self.endpoint_name}"),
            *permissions.read("runs"),
            *(permissions.write("capture/*", "SageMaker names what it captures after the hour") if captures else []),
            *permissions.encrypt_volumes(),
        ]

    def _deploy(self) -> list[Allow]:
        named = self.endpoint_name
        release = "model and configuration are named after the release"
        models = [arn("sagemaker", f"model/{named}-*")]
        configs = [arn("sagemaker", f"endpoint-config/{named}-*")]
        statements = [
            (["Create", "Describe", "Delete"], "Model", models),
            (["Create", "Describe", "Delete"], "EndpointConfig", configs),
            # CreateEndpoint and UpdateEndpoint are checked against the configuration too.
            (["Create", "Update"], "Endpoint", [self._endpoint_arn, *configs]),
            (["Describe", "Delete"], "Endpoint", [self._endpoint_arn]),
            (["Add", "Delete", "List"], "Tags", [self._endpoint_arn, *models, *configs]),
        ]
        return [
            *[
                Allow([f"sagemaker:{verb}{noun}" for verb in verbs], resources, because=release)
                for verbs, noun, resources in statements
            ],
            Allow(["sagemaker:DescribeModelPackage"], [self.repo.package_arn], because=_VERSIONS),
            pass_to_sagemaker(self.role),
            *self.repo.permissions.encrypt_volumes(),
        ]

    def _settings(self, declared: Collection[str]) -> dict[str, str]:
        """What the programs are told: of the endpoint's template, the parameters that it declares."""
        bucket = self.repo.bucket_name
        values = {
            "ModelRoleArn": self.role.role_arn,
            "CaptureUri": f"s3://{bucket}/capture",
            "KmsKeyArn": self.repo.permissions.key_arn or "",
        }
        return ReleaseSettings(
            endpoint_name=self.endpoint_name,
            stack_name=self.stack_name,
            bucket=bucket,
            parameters={name: value for name, value in values.items() if name in declared},
        ).to_environment()

    def _on_stack(self, *actions: str) -> Allow:
        stack = arn("cloudformation", f"stack/{self.stack_name}/*")
        return Allow(actions, [stack], because="CloudFormation ends a stack's ARN in an id that it makes")

    def _prepare_project(self, archive: RuntimeArchive, settings: dict[str, str]) -> RuntimeProject:
        return RuntimeProject(
            self,
            "Prepare",
            program="runtime.deploy",
            archive=archive,
            environment=settings,
            allows=[
                *self.repo.permissions.read("runs"),
                # A stack whose first creation failed cannot be updated: it is cleared away before the next one.
                self._on_stack("cloudformation:DescribeStacks", "cloudformation:DeleteStack"),
                Allow(
                    ["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"],
                    [self.repo.package_arn],
                    because=_VERSIONS,
                ),
            ],
            exports=["RELEASE_NAME"],
            artifact_files=["template.json", "configuration.json"],
        )

    def _verify_project(self, archive: RuntimeArchive, settings: dict[str, str]) -> RuntimeProject:
        permissions = self.repo.permissions
        return RuntimeProject(
            self,
            "Verify",
            program="runtime.verify",
            archive=archive,
            environment=settings,
            allows=[
                *permissions.read("runs", "in-service"),
                *permissions.write(endpoint_record_key(self.endpoint_name)),
                Allow(["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"], [self._endpoint_arn]),
                # A first release that fails its check has nothing to go back to: its stack is deleted.
                self._on_stack("cloudformation:DeleteStack"),
            ],
        )

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The principal that the model runs as."""
        return self.role

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` send requests to the endpoint."""
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["sagemaker:InvokeEndpoint"], resource_arns=[self._endpoint_arn]
        )

    def metric_invocations(self) -> cloudwatch.Metric:
        """Requests sent to the endpoint: a count, sum over 5 minutes."""
        return self._metric("Invocations", "Sum")

    def metric_model_latency(self) -> cloudwatch.Metric:
        """Time that the container took to answer, in microseconds: average over 5 minutes."""
        return self._metric("ModelLatency", "Average")

    def metric_5xx_errors(self) -> cloudwatch.Metric:
        """Share of requests that the container failed to answer, from 0 to 1: average over 5 minutes."""
        return self._metric("Invocation5XXErrors", "Average")

    def _metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        from aws_cdk import aws_cloudwatch as cloudwatch

        return cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=name,
            dimensions_map={"EndpointName": self.endpoint_name, "VariantName": VARIANT},
            statistic=statistic,
            period=Duration.minutes(5),
        )

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        """The stage's actions: Prepare, Deploy, Verify, one after the other.

        Args:
            given: What earlier stages hand on; its ``build`` is whose model is released.

        Raises:
            ValueError: if no build came before, or the stage is in a pipeline already.
        """
        if given.build is None:
            raise ValueError(
                f"the release '{self.stage_name}' must come after an MlBuildStage, got none before it; "
                "move it behind the build whose model it releases"
            )
        if self._used:
            raise ValueError(
                f"the stage '{self.stage_name}' is used twice: its actions are in a pipeline already; "
                "define a second SageMakerEndpointRelease"
            )
        self._used = True
        prepared = codepipeline.Artifact(f"{self.stage_name}Template")
        release = {"ML_RELEASE_NAME": f"#{{{self.stage_name}Prepare.RELEASE_NAME}}"}
        manifest = {"ML_MANIFEST_KEY": given.build.variable("MANIFEST_KEY")}
        return [
            self._prepare.action(
                "Prepare", 1, given.source, manifest, namespace=f"{self.stage_name}Prepare", output=prepared
            ),
            aws_codepipeline_actions.CloudFormationCreateUpdateStackAction(
                action_name="Deploy",
                run_order=2,
                stack_name=self.stack_name,
                template_path=prepared.at_path("template.json"),
                template_configuration=prepared.at_path("configuration.json"),
                admin_permissions=False,
                deployment_role=self.deployment_role,
            ),
            self._verify.action("Verify", 3, given.source, manifest | release, namespace=f"{self.stage_name}Verify"),
        ]


def _default_name(repo: MlArtifactRepo, construct_id: str) -> str:
    return f"{repo.model_name}-{re.sub('[^a-z0-9]+', '-', construct_id.lower()).strip('-')}"


def _check_endpoint_name(name: str) -> None:
    # SageMaker takes capitals too, but spells them differently in names and in ARNs, which permissions are made of.
    if not re.fullmatch(r"[a-z0-9](-*[a-z0-9])*", name) or len(name) > _LONGEST_ENDPOINT_NAME:
        raise ValueError(
            f"'endpoint_name' must be 1 to {_LONGEST_ENDPOINT_NAME} small letters, digits and hyphens known at "
            f"synthesis, got {name!r} ({len(name)}); models and configurations are named after it within "
            "SageMaker's 63 characters"
        )
