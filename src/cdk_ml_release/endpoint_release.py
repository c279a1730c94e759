"""SageMakerEndpointRelease: a registered model version becomes the model in service."""

from __future__ import annotations

import re

import jsii
from aws_cdk import Duration, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from ._codebuild import RuntimeProject, arn
from ._sagemaker_role import sagemaker_role
from .artifact_repo import MlArtifactRepo
from .endpoint_template import VARIANT, EndpointTemplate
from .jobs import check_instance_type, check_whole_number
from .runtime.contract import RUN_LABEL_LENGTH, ReleaseSettings, endpoint_record_key
from .stage import StageInput, check_stage_name

# <endpoint>-<run>-<content> names model and configuration, of which SageMaker allows 63 characters.
_LONGEST_ENDPOINT_NAME = 63 - 1 - RUN_LABEL_LENGTH - 1 - 6


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
            endpoint_name: At most 43 letters, digits and hyphens. Default: the model's name and the construct's id.
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
        self._endpoint_arn = arn("sagemaker", f"endpoint/{name.lower()}")
        self._stack_arn = arn("cloudformation", f"stack/{self.stack_name}/*")
        self._used = False
        self.role = self._model_role()
        self.deployment_role = self._deployment_role()
        settings = self._settings()
        template = EndpointTemplate(
            endpoint_name=name,
            instance_type=instance_type,
            instance_count=instance_count,
            capture_percentage=capture_percentage,
            encrypted=repo.encryption_key is not None,
        ).render()
        self._prepare = self._prepare_project(settings, template)
        self._verify = self._verify_project(settings)

    def _model_role(self) -> iam.Role:
        role = sagemaker_role(self, "Role", self.repo, log_group=f"/aws/sagemaker/Endpoints/{self.endpoint_name}")
        self.repo.grant_read_runs(role)
        self.repo.grant_write(role, "capture/*")
        return role

    def _deployment_role(self) -> iam.Role:
        role = iam.Role(self, "DeploymentRole", assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"))
        named = self.endpoint_name.lower()
        models = [arn("sagemaker", f"model/{named}-*")]
        configs = [arn("sagemaker", f"endpoint-config/{named}-*")]
        lists = ["sagemaker:AddTags", "sagemaker:DeleteTags", "sagemaker:ListTags"]
        statements = [
            (["Create", "Describe", "Delete"], "Model", models),
            (["Create", "Describe", "Delete"], "EndpointConfig", configs),
            # CreateEndpoint and UpdateEndpoint are checked against the configuration too.
            (["Create", "Update"], "Endpoint", [self._endpoint_arn, *configs]),
            (["Describe", "Delete"], "Endpoint", [self._endpoint_arn]),
        ]
        for verbs, noun, resources in statements:
            role.add_to_policy(
                iam.PolicyStatement(actions=[f"sagemaker:{verb}{noun}" for verb in verbs], resources=resources)
            )
        role.add_to_policy(iam.PolicyStatement(actions=lists, resources=[self._endpoint_arn, *models, *configs]))
        role.add_to_policy(
            iam.PolicyStatement(actions=["sagemaker:DescribeModelPackage"], resources=[self.repo.package_arn])
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
        )
        return role

    def _settings(self) -> dict[str, str]:
        key = self.repo.encryption_key
        return ReleaseSettings(
            endpoint_name=self.endpoint_name,
            stack_name=self.stack_name,
            bucket=self.repo.bucket.bucket_name,
            model_role=self.role.role_arn,
            capture_uri=self.repo.bucket.s3_url_for_object("capture"),
            kms_key=key.key_arn if key is not None else "",
        ).to_environment()

    def _prepare_project(self, settings: dict[str, str], template: str) -> RuntimeProject:
        prepare = RuntimeProject(
            self,
            "Prepare",
            program="runtime.deploy",
            files={"endpoint.template.json": template},
            environment=settings,
            exports=["RELEASE_NAME"],
            artifact_files=["template.json", "configuration.json"],
        )
        self.repo.grant_read_runs(prepare.role)
        # A stack whose first creation failed cannot be updated: it is cleared away before the next one.
        prepare.allow(["cloudformation:DescribeStacks", "cloudformation:DeleteStack"], [self._stack_arn])
        prepare.allow(["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"], [self.repo.package_arn])
        return prepare

    def _verify_project(self, settings: dict[str, str]) -> RuntimeProject:
        verify = RuntimeProject(self, "Verify", program="runtime.verify", files={}, environment=settings)
        repo = self.repo
        repo.grant_read_runs(verify.role)
        repo.grant_write(verify.role, endpoint_record_key(self.endpoint_name))
        verify.allow(["s3:GetObject"], [repo.bucket.arn_for_objects(endpoint_record_key(self.endpoint_name))])
        verify.allow(["s3:ListBucket"], [repo.bucket.bucket_arn], {"StringLike": {"s3:prefix": ["in-service/*"]}})
        verify.allow(["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"], [self._endpoint_arn])
        # A first release that fails its check has nothing to go back to: its stack is deleted.
        verify.allow(["cloudformation:DeleteStack"], [self._stack_arn])
        return verify

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
        prepared = codepipeline.Artifact(f"{re.sub('[^A-Za-z0-9_-]', '_', self.stage_name)}Template")
        release = {"ML_RELEASE_NAME": f"#{{{self.stage_name}Prepare.RELEASE_NAME}}"}
        manifest = {"ML_MANIFEST_KEY": given.build.variable("MANIFEST_KEY")}
        return [
            self._build_action("Prepare", 1, self._prepare, given, manifest, prepared),
            actions.CloudFormationCreateUpdateStackAction(
                action_name="Deploy",
                run_order=2,
                stack_name=self.stack_name,
                template_path=prepared.at_path("template.json"),
                template_configuration=prepared.at_path("configuration.json"),
                admin_permissions=False,
                deployment_role=self.deployment_role,
            ),
            self._build_action("Verify", 3, self._verify, given, manifest | release, None),
        ]

    def _build_action(
        self,
        name: str,
        order: int,
        runs: RuntimeProject,
        given: StageInput,
        environment: dict[str, str],
        output: codepipeline.Artifact | None,
    ) -> actions.CodeBuildAction:
        return actions.CodeBuildAction(
            action_name=name,
            run_order=order,
            project=runs.project,
            input=given.source,
            outputs=[output] if output is not None else None,
            variables_namespace=f"{self.stage_name}{name}",
            environment_variables={
                key: codebuild.BuildEnvironmentVariable(value=value) for key, value in environment.items()
            },
        )


def _default_name(repo: MlArtifactRepo, construct_id: str) -> str:
    return f"{repo.model_name}-{re.sub('[^a-z0-9]+', '-', construct_id.lower()).strip('-')}"


def _check_endpoint_name(name: str) -> None:
    right = not Token.is_unresolved(name) and re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", name)
    if not right or len(name) > _LONGEST_ENDPOINT_NAME:
        raise ValueError(
            f"'endpoint_name' must be 1 to {_LONGEST_ENDPOINT_NAME} letters, digits and hyphens known at synthesis, "
            f"got {name!r} ({len(name)}); models and configurations are named after it within SageMaker's 63 characters"
        )
