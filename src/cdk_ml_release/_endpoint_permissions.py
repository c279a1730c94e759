"""What a release may do: to deploy its own endpoint, and nothing beside it."""

from __future__ import annotations

from dataclasses import dataclass

from ._permissions import Allow, RepoPermissions, arn, global_arn, pass_role
from ._sagemaker_role import run_container
from .hosting import Asynchronous, Hosting

VERSIONS = "SageMaker numbers the versions"


@dataclass(frozen=True, kw_only=True)
class EndpointPermissions:
    """The statements for the roles of one endpoint's release."""

    endpoint_name: str
    stack_name: str
    repo: RepoPermissions
    package_arn: str
    shared: bool = False
    """Whether the versions are another account's, which must let models be made of them."""

    def _arn(self, service: str, resource: str) -> str:
        # The endpoint is where the home of the model is that it reads.
        return arn(service, resource, self.repo.region)

    @property
    def endpoint_arn(self) -> str:
        """The ARN of the endpoint."""
        return self._arn("sagemaker", f"endpoint/{self.endpoint_name}")

    def run_model(self, hosting: Hosting, *, captures: bool, in_vpc: bool) -> list[Allow]:
        """What the model's container, and SageMaker on its behalf, needs."""
        name = self.endpoint_name
        capture = self.repo.write("capture/*", "SageMaker names what it captures after the hour")
        return [
            *run_container(self.repo, log_group=f"/aws/sagemaker/Endpoints/{name}", in_vpc=in_vpc),
            *self.repo.read("runs"),
            *(capture if captures else []),
            *(self._queue(hosting) if isinstance(hosting, Asynchronous) else []),
            *self.repo.encrypt_volumes(),
        ]

    def _queue(self, hosting: Asynchronous) -> list[Allow]:
        topics = [topic.topic_arn for topic in (hosting.success_topic, hosting.error_topic) if topic is not None]
        where = f"async/{self.endpoint_name}"
        return [
            *self.repo.read(f"{where}/input"),
            *self.repo.write(f"{where}/*", "SageMaker names outputs and failures after the request"),
            *([Allow(["sns:Publish"], topics)] if topics else []),
        ]

    def deploy(self, model_role_arn: str, *, scales: bool, alarms: bool, dashboard: bool) -> list[Allow]:
        """What CloudFormation needs to create, update and delete the endpoint's stack."""
        name = self.endpoint_name
        release = "model and configuration are named after the release"
        models = [self._arn("sagemaker", f"model/{name}-*")]
        configs = [self._arn("sagemaker", f"endpoint-config/{name}-*")]
        statements = [
            (["Create", "Describe", "Delete"], "Model", models),
            (["Create", "Describe", "Delete"], "EndpointConfig", configs),
            # CreateEndpoint and UpdateEndpoint are checked against the configuration too.
            (["Create", "Update"], "Endpoint", [self.endpoint_arn, *configs]),
            (["Describe", "Delete"], "Endpoint", [self.endpoint_arn]),
            (["Add", "Delete", "List"], "Tags", [self.endpoint_arn, *models, *configs]),
        ]
        return [
            *[
                Allow([f"sagemaker:{verb}{noun}" for verb in verbs], resources, because=release)
                for verbs, noun, resources in statements
            ],
            self._use_version(),
            pass_role("sagemaker.amazonaws.com", model_role_arn),
            *self.repo.encrypt_volumes(),
            *(self._alarms(scales) if alarms or scales else []),
            *(self._scale() if scales else []),
            *(self._dashboard() if dashboard else []),
        ]

    def _use_version(self) -> Allow:
        # Source: the SageMaker guide's policy for the versions of another account.
        verbs = ["sagemaker:DescribeModelPackage", *(["sagemaker:CreateModel"] if self.shared else [])]
        return Allow(verbs, [self.package_arn], because=VERSIONS)

    def _alarms(self, scales: bool) -> list[Allow]:
        own = self._arn("cloudwatch", f"alarm:{self.stack_name}-*")
        # Source: the Application Auto Scaling guide; it makes a target's alarms in the name of its caller.
        tracked = self._arn("cloudwatch", f"alarm:TargetTracking-endpoint/{self.endpoint_name}/*")
        because = "CloudFormation and Application Auto Scaling end the names of alarms in ids that they make"
        changed = [own, tracked] if scales else [own]
        tags = ["cloudwatch:ListTagsForResource", "cloudwatch:TagResource", "cloudwatch:UntagResource"]
        return [
            Allow(["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", *tags], changed, because=because),
            Allow(
                ["cloudwatch:DescribeAlarms"],
                [self._arn("cloudwatch", "alarm:*")],
                because="SageMaker looks at the alarms of an update in the name of its caller, your own among them",
            ),
        ]

    def _scale(self) -> list[Allow]:
        target = self._arn("application-autoscaling", "scalable-target/*")
        service = "sagemaker.application-autoscaling.amazonaws.com"
        linked = "aws-service-role/sagemaker.application-autoscaling.amazonaws.com"
        change = ["RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy"]
        schedule = ["PutScheduledAction", "DeleteScheduledAction", "TagResource", "ListTagsForResource"]
        look = ["DescribeScalableTargets", "DescribeScalingPolicies", "DescribeScheduledActions"]
        return [
            Allow(
                [f"application-autoscaling:{verb}" for verb in (*change, *schedule)],
                [target],
                because="Application Auto Scaling gives its targets ids of its own",
            ),
            Allow(
                [f"application-autoscaling:{verb}" for verb in look],
                ["*"],
                because="these calls have no resource",
            ),
            # Registering a target goes through SageMaker's own calls.
            Allow(["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"], [self.endpoint_arn]),
            Allow(
                ["iam:CreateServiceLinkedRole"],
                [global_arn("iam", f"role/{linked}/*")],
                {"StringEquals": {"iam:AWSServiceName": service}},
                because="AWS names the role that its service scales with, made with the first target of an account",
            ),
        ]

    def _dashboard(self) -> list[Allow]:
        verbs = ["cloudwatch:PutDashboard", "cloudwatch:GetDashboard", "cloudwatch:DeleteDashboards"]
        return [Allow(verbs, [global_arn("cloudwatch", f"dashboard/{self.endpoint_name}")])]

    def invoke(self, hosting: Hosting) -> list[Allow]:
        """Send requests to the endpoint; to an asynchronous one as objects, and read what becomes of them."""
        return [self._call(hosting), *self.exchange(hosting)]

    def _call(self, hosting: Hosting) -> Allow:
        way = "Async" if isinstance(hosting, Asynchronous) else ""
        return Allow([f"sagemaker:InvokeEndpoint{way}"], [self.endpoint_arn])

    def exchange(self, hosting: Hosting) -> list[Allow]:
        """Write the objects that an asynchronous endpoint is asked with, and read what becomes of them."""
        if not isinstance(hosting, Asynchronous):
            return []
        where = f"async/{self.endpoint_name}"
        return [*self.repo.write(f"{where}/input/*", "callers name their inputs"), *self.repo.read(where)]

    def make_ready(self, *, scales: bool) -> Allow:
        """Make the endpoint's stack one that can be updated."""
        # A stack whose first creation failed cannot be updated: it is cleared away before the next one.
        # Scaling is taken away before an update that it would make fail.
        return self._on_stack("DescribeStacks", "DeleteStack", *(["UpdateStack"] if scales else []))

    def look_after(self, hosting: Hosting) -> list[Allow]:
        """Check the endpoint, and undo a release of it that is not right."""
        return [
            Allow(["sagemaker:DescribeEndpoint"], [self.endpoint_arn]),
            self._call(hosting),
            self._read_log(),
            # What fails its check goes back to the release before, or is deleted if there was none.
            self._on_stack("DescribeStacks", "GetTemplate", "UpdateStack", "DeleteStack"),
        ]

    def _on_stack(self, *verbs: str) -> Allow:
        stack = self._arn("cloudformation", f"stack/{self.stack_name}/*")
        actions = [f"cloudformation:{verb}" for verb in verbs]
        return Allow(actions, [stack], because="CloudFormation ends a stack's ARN in an id that it makes")

    def _read_log(self) -> Allow:
        group = self._arn("logs", f"log-group:/aws/sagemaker/Endpoints/{self.endpoint_name}")
        return Allow(["logs:FilterLogEvents"], [f"{group}:*"], because="an ARN of a log group ends in its streams")

    def approve(self) -> Allow:
        """Approve versions of the model."""
        verbs = ["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"]
        return Allow(verbs, [self.package_arn], because=VERSIONS)
