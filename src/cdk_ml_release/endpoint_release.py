"""SageMakerEndpointRelease: a registered model version becomes the model in service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Unpack

import jsii
from aws_cdk import aws_iam as iam
from constructs import Construct

from ._action import PlainAction
from ._codebuild import RuntimeArchive
from ._deploy_action import deploy_action
from ._endpoint_metrics import MetricOptions, endpoint_metric
from ._endpoint_permissions import EndpointPermissions
from ._endpoint_roles import EndpointRoles
from ._monitor_alarms import monitor_widgets
from ._network import private_network
from ._permissions import acknowledge, grant, wildcards
from ._place import settle
from ._release_name import checked_release_name
from ._release_plan import release_plan
from ._resource import include
from .artifact_repo import MlArtifactRepo
from .auto_rollback import AutoRollback
from .endpoint_template import EndpointTemplate
from .hosting import Asynchronous, Hosting, RealTime
from .runtime.contract import ReleaseSettings
from .scaling import Scaling
from .stage import SingleUse, StageInput, build_before, check_stage_name
from .traffic import TrafficShift

if TYPE_CHECKING:
    from aws_cdk import Environment, Stack
    from aws_cdk import aws_cloudwatch as cloudwatch
    from aws_cdk import aws_codepipeline as codepipeline
    from aws_cdk import aws_ec2 as ec2

    from ._bucket import PrivateBucket
    from ._region_home import RegionHome
    from ._target_environment import TargetEnvironment


@jsii.implements(iam.IGrantable)
class SageMakerEndpointRelease(Construct):
    """Deploys the approved model version to an endpoint, checks it there, and goes back if it is not right.

    Attributes:
        repo: The home of the model.
        stage_name: The stage's name in a pipeline: the construct's id.
        endpoint_name: The endpoint's name, which stays the same from release to release.
        stack_name: The name of the CloudFormation stack that holds the endpoint.
        hosting: How the model is served.
        captures: Whether requests and answers are kept, so that they can be monitored.
        roles_stack: The stack of these roles, if the endpoint is in another account; else None. A pipeline of your
            own, in a stack of its own, must depend on it.
        home_stack: The stack of what the endpoint reads, if it is in another region; else None. A pipeline of your
            own, in a stack of its own, must depend on it.
        security_group: What the containers' network interfaces belong to; None without a VPC.
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
        hosting: Hosting | None = None,
        traffic: TrafficShift | None = None,
        auto_rollback: AutoRollback | None = None,
        scaling: Scaling | None = None,
        capture_percentage: int | None = None,
        vpc: ec2.IVpc | None = None,
        network_isolation: bool = False,
        dashboard: bool = True,
        env: Environment | None = None,
    ) -> None:
        """Define the release.

        Args:
            scope: The construct that this release belongs to.
            construct_id: Unique among the children of ``scope``.
            repo: The home of the model.
            endpoint_name: At most 43 small letters, digits and hyphens. Default: the model's name and the
                construct's id.
            hosting: :class:`RealTime`, :class:`Asynchronous` or :class:`Serverless`. Default: two instances that
                answer in real time.
            traffic: How requests move to a new version. Default: a canary of one instance, or all at once where
                there is only one instance; the old fleet stays at hand for 10 minutes.
            auto_rollback: What an update is taken back for. Default: see :class:`AutoRollback`.
            scaling: How the number of instances follows the traffic. Default: it stays as it is.
            capture_percentage: The share of requests and answers that is kept under ``capture/``; 0 for none.
                Default: 100 for real-time hosting, else none.
            vpc: Whose private subnets the containers run in; they must reach S3. Default: SageMaker's own network.
            network_isolation: Whether the containers reach no network at all.
            dashboard: Whether there is a CloudWatch dashboard named after the endpoint; an account's first three are
                free.
            env: The account or the region that the endpoint is in, if it is another one; not both at once. The
                pipeline, its programs and the model's home stay here, see ``docs/environments.md``.

                In another account, a stack ``<endpoint_name>-roles`` holds the roles that must be there. To deploy it
                with this account's credentials, that account must trust this one:
                ``cdk bootstrap aws://<account>/<region> --trust <this account>``. Repo and pipeline need an
                ``encryption_key``; a key that is imported must let the roles use it already, for its policy cannot
                be changed from here.

                In another region, a stack ``<endpoint_name>-home`` holds a bucket, an image repository, a model
                package group and, if the repo has an ``encryption_key``, a key. Prepare copies there what is
                released. Default: this stack's own account and region.

        Raises:
            ValueError: if an argument is outside SageMaker's limits, or two cannot be combined.
        """
        super().__init__(scope, construct_id)
        settle(self, scope, construct_id)
        check_stage_name("construct_id", construct_id)
        name = checked_release_name(
            "endpoint_name", endpoint_name, repo.model_name, construct_id, "models and configurations"
        )
        self.hosting = hosting if hosting is not None else RealTime()
        plan = release_plan(
            self.hosting,
            traffic=traffic,
            auto_rollback=auto_rollback,
            scaling=scaling,
            capture_percentage=capture_percentage,
            isolated=vpc is not None or network_isolation,
        )
        self.repo = repo
        self.stage_name = construct_id
        self.endpoint_name = name
        self.stack_name = f"{name}-endpoint"
        self._use = SingleUse(construct_id, "SageMakerEndpointRelease")
        self._target, self._region = self._other_place(env, vpc) if env is not None else (None, None)
        self.roles_stack: Stack | None = self._target.stack if self._target is not None else None
        self.home_stack: Stack | None = self._region.stack if self._region is not None else None
        self._shadows = isinstance(self.hosting, RealTime) and self.hosting.shadow is not None
        home = repo.permissions
        permissions = EndpointPermissions(
            endpoint_name=name, stack_name=self.stack_name, repo=home, package_arn=home.package_arn
        )
        network = private_network(self, vpc, f"Endpoint {name}") if vpc is not None else None
        self.security_group: ec2.ISecurityGroup | None = network.group if network is not None else None
        roles = EndpointRoles(
            scope=self,
            permissions=permissions,
            target=self._target,
            region=self._region,
            hosting=self.hosting,
            scales=scaling is not None,
        )
        self._permissions = roles.there
        self._role, self._deployment_role, may = roles.define(
            captures=plan.capture_percentage > 0,
            in_vpc=vpc is not None,
            alarms=plan.traffic is not None,
            dashboard=dashboard,
        )
        template = EndpointTemplate(
            endpoint_name=name,
            hosting=self.hosting,
            traffic=plan.traffic,
            auto_rollback=plan.auto_rollback,
            scaling=scaling,
            capture_percentage=plan.capture_percentage,
            encrypted=repo.encryption_key is not None,
            subnets=network.subnets if network is not None else 0,
            network_isolation=network_isolation,
            dashboard=dashboard,
            widgets=monitor_widgets(name) if self._may_be_watched(plan.capture_percentage) else (),
        ).render()
        self.captures = plan.capture_percentage > 0
        known = self._known(plan.auto_rollback) | (network.values if network is not None else {})
        settings = ReleaseSettings(
            endpoint_name=name,
            stack_name=self.stack_name,
            bucket=home.bucket_name,
            parameters={each: value for each, value in known.items() if each in template["Parameters"]},
            target_role=self._target.assumed_role_arn if self._target is not None else "",
            **(self._region.settings if self._region is not None else {}),
        )
        archive = RuntimeArchive(self, construct_id, {"endpoint.template.json": json.dumps(template, indent=1)})
        files = ["template.json", "configuration.json", *(["shadow.json"] if self._shadows else [])]
        self._prepare = roles.prepare(archive, settings, files)
        self._verify = roles.verify(archive, settings)
        include(self)
        acknowledge(self, lambda: wildcards(self, [*may, *self._prepare.may(), *self._verify.may()]))

    def _may_be_watched(self, capture_percentage: int) -> bool:
        # A monitor is where the pipeline is.
        at_home = self._target is None and self._region is None
        return at_home and self.repo.schema is not None and capture_percentage > 0

    def _other_place(
        self, env: Environment, vpc: ec2.IVpc | None
    ) -> tuple[TargetEnvironment | None, RegionHome | None]:
        # Loaded on use: most releases are where their pipeline is.
        from ._other_place import other_place
        from ._region_home import RegionHome

        place = other_place(self, env, endpoint_name=self.endpoint_name, repo=self.repo, hosting=self.hosting, vpc=vpc)
        return (None, place) if isinstance(place, RegionHome) else (place, None)

    def _known(self, auto_rollback: AutoRollback | None) -> dict[str, str]:
        """What the deployed stack knows of the endpoint's parameters."""
        repo = self._permissions.repo
        bucket = repo.bucket_name
        key = self._region.key_id if self._region is not None else repo.key_arn
        values = {
            "ModelRoleArn": self._role.arn if self._target is None else self._target.role_arn("model"),
            "CaptureUri": f"s3://{bucket}/capture",
            "AsyncUri": f"s3://{bucket}/async/{self.endpoint_name}",
            "KmsKeyArn": key or "",
        }
        alarms = auto_rollback.alarms if auto_rollback is not None else ()
        values |= {f"Alarm{index}": alarm.alarm_name for index, alarm in enumerate(alarms)}
        if isinstance(self.hosting, Asynchronous):
            topics = {"SuccessTopicArn": self.hosting.success_topic, "ErrorTopicArn": self.hosting.error_topic}
            values |= {name: topic.topic_arn for name, topic in topics.items() if topic is not None}
        return values

    def share_artifacts(self, artifacts: PrivateBucket) -> None:
        """Let the role in another account that starts CloudFormation read what the pipeline's actions hand on."""
        if self._target is not None:
            self._target.let_read(artifacts)

    @property
    def role(self) -> iam.IRole:
        """What the model's container runs as."""
        return self._role.construct

    @property
    def deployment_role(self) -> iam.IRole:
        """What CloudFormation deploys with: it can touch this endpoint only."""
        return self._deployment_role.construct

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The principal that the model runs as."""
        return self.role

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` send requests to the endpoint, and exchange objects with an asynchronous one.

        Args:
            grantee: A principal of the endpoint's account: no other can be let in.

        Raises:
            ValueError: if the endpoint is asynchronous and in another account.
        """
        if self._target is not None and isinstance(self.hosting, Asynchronous):
            raise ValueError(
                f"'grantee' must be able to write to the repo's bucket, got an asynchronous endpoint in "
                f"{self._target.account}, whose callers are not in the bucket's account; give them permissions of "
                "their own, or define another MlPipeline in that account"
            )
        return grant(grantee, self._permissions.invoke(self.hosting))

    def _metric(self, name: str, statistic: str, options: MetricOptions) -> cloudwatch.Metric:
        account = self._target.account if self._target is not None else None
        region = self._region.region if self._region is not None else None
        return endpoint_metric(self.endpoint_name, name, statistic, options, account=account, region=region)

    def metric_invocations(self, **options: Unpack[MetricOptions]) -> cloudwatch.Metric:
        """Requests sent to the endpoint: a count, sum over 5 minutes."""
        return self._metric("Invocations", "Sum", options)

    def metric_4xx_errors(self, **options: Unpack[MetricOptions]) -> cloudwatch.Metric:
        """Share of requests that the container refused, from 0 to 1: average over 5 minutes."""
        return self._metric("Invocation4XXErrors", "Average", options)

    def metric_5xx_errors(self, **options: Unpack[MetricOptions]) -> cloudwatch.Metric:
        """Share of requests that the container failed to answer, from 0 to 1: average over 5 minutes."""
        return self._metric("Invocation5XXErrors", "Average", options)

    def metric_model_latency(self, **options: Unpack[MetricOptions]) -> cloudwatch.Metric:
        """Time that the container took to answer, in microseconds: 99th percentile over 5 minutes."""
        return self._metric("ModelLatency", "p99", options)

    def metric_overhead_latency(self, **options: Unpack[MetricOptions]) -> cloudwatch.Metric:
        """Time that SageMaker added to the container's, in microseconds: 99th percentile over 5 minutes."""
        return self._metric("OverheadLatency", "p99", options)

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        """The stage's actions: Prepare, Deploy, Verify, one after the other; with a shadow, Shadow before Deploy.

        Args:
            given: What earlier stages hand on; its ``build`` is whose model is released.

        Raises:
            ValueError: if no build came before, or the stage is in a pipeline already.
        """
        return [each.construct() for each in self.plain_actions(given)]

    def plain_actions(self, given: StageInput) -> list[PlainAction]:
        """The same, for :class:`MlPipeline`."""
        build_before(given, self.stage_name, "release", "releases")
        self._use.begin()
        target, prepared = self._target, f"{self.stage_name}Template"
        release = {"ML_RELEASE_NAME": f"#{{{self.stage_name}Prepare.RELEASE_NAME}}"}
        manifest = {"ML_MANIFEST_KEY": given.variable("MANIFEST_KEY")}
        steps = ({"Shadow": "shadow.json"} if self._shadows else {}) | {"Deploy": "configuration.json"}
        deployments = [
            deploy_action(
                name,
                order,
                stack_name=self.stack_name,
                prepared=prepared,
                configuration=configuration,
                deployment_role_arn=self._deployment_role.arn if target is None else target.role_arn("deployment"),
                role=target.pipeline_role if target is not None else None,
                role_arn=target.role_arn("pipeline") if target is not None else None,
                store=self._region.store if self._region is not None else None,
            )
            for order, (name, configuration) in enumerate(steps.items(), start=2)
        ]
        return [
            self._prepare.action("Prepare", 1, given, manifest, namespace=f"{self.stage_name}Prepare", output=prepared),
            *deployments,
            self._verify.action(
                "Verify", len(deployments) + 2, given, manifest | release, namespace=f"{self.stage_name}Verify"
            ),
        ]
