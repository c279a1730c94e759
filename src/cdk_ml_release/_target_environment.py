"""Another account for an endpoint: the roles that live there, and what they may do there and at home."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from aws_cdk import Environment, Stack, Stage, region_info
from aws_cdk import aws_iam as iam
from constructs import Construct

from ._deploy_action import start_deployment
from ._endpoint_permissions import EndpointPermissions
from ._permissions import Allow, RepoPermissions, acknowledge, in_account, wildcards
from ._place import stack_of
from ._resource import include
from ._role import OwnRole
from ._sharing import Sharing, on_key
from .artifact_repo import MlArtifactRepo
from .hosting import Hosting, Serverless

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2

    from ._bucket import PrivateBucket

_ROLES = ("model", "deployment", "pipeline", "release")
_PROJECTS = ("prepare", "verify")
_UNNAMED = "the other account's stack is deployed first and cannot know it, but its own policy says which one it is"


def target_environment(
    scope: Construct,
    account: str,
    *,
    endpoint_name: str,
    repo: MlArtifactRepo,
    hosting: Hosting,
    vpc: ec2.IVpc | None,
) -> TargetEnvironment:
    """The other account that an endpoint is to be in.

    Raises:
        ValueError: if an endpoint cannot be released to there.
    """
    if repo.encryption_key is None:
        raise ValueError(
            f"'env' of another account, {account}, needs a key that both accounts can use, got an MlArtifactRepo "
            f"'{repo.model_name}' without 'encryption_key': SageMaker would encrypt the model with a key that AWS "
            "manages for one account; give MlArtifactRepo and MlPipeline an 'encryption_key'"
        )
    if isinstance(hosting, Serverless):
        raise ValueError(
            f"'env' of another account, {account}, cannot be used with serverless hosting, whose image SageMaker wants "
            "in the endpoint's own account; use RealTime or Asynchronous, or define another MlPipeline in that account"
        )
    if vpc is not None:
        raise ValueError(
            f"'env' of another account, {account}, cannot be used with 'vpc', whose subnets would have to be there; "
            "leave it out, or define another MlPipeline in that account"
        )
    return TargetEnvironment(scope, account=account, endpoint_name=endpoint_name, repo=repo)


class TargetEnvironment:
    """The roles of a release to another account, in a stack of their own there.

    They have names, so that the two stacks need no exports of each other. Four may do things there: the model's
    container, CloudFormation, the pipeline's action that starts CloudFormation, and the programs that prepare and
    verify, which stay at home and assume the fourth.

    Attributes:
        stack: The stack of the roles, deployed before the stacks that name them in policies.
        scope: What the roles belong to there.
        account: The account that the endpoint is in.
        pipeline_role: What the pipeline assumes there, as the pipeline's own stack sees it.
        deployment_role: What CloudFormation deploys with there, likewise.
        names: The names of the roles there, and of the two roles at home that may assume the fourth.
    """

    def __init__(self, scope: Construct, *, account: str, endpoint_name: str, repo: MlArtifactRepo) -> None:
        """Define the stack; its roles come with :meth:`add_roles`."""
        home = stack_of(scope)
        self._home, self._region, self._repo = home.account, home.region, repo
        # Written out: CDK tells another account from its own by ARNs that it can read.
        self._partition = region_info.RegionInfo.get(self._region).partition or "aws"
        self.account = account
        self.names = {each: f"{endpoint_name}-{each}" for each in (*_ROLES, *_PROJECTS)}
        self.stack = Stack(
            Stage.of(scope),
            f"{endpoint_name}-roles",
            stack_name=f"{endpoint_name}-roles",
            description=f"What releases to the endpoint {endpoint_name} need in its account",
            env=Environment(account=account, region=self._region),
        )
        self.scope = Construct(self.stack, "Endpoint")
        # CDK may not change them: what it would add to their policies are names that this stack cannot know.
        self.pipeline_role, self.deployment_role = (
            iam.Role.from_role_arn(scope, construct_id, self._role_arn(account, name), mutable=False)
            for construct_id, name in (("PipelineRole", "pipeline"), ("DeploymentRole", "deployment"))
        )

    def role_arn(self, name: str) -> str:
        """One of the roles there."""
        return self._role_arn(self.account, name)

    def _role_arn(self, account: str, name: str) -> str:
        return f"arn:{self._partition}:iam::{account}:role/{self.names[name]}"

    @property
    def assume(self) -> Allow:
        """Act in the endpoint's account."""
        return Allow(["sts:AssumeRole"], [self.assumed_role_arn])

    @property
    def assumed_role_arn(self) -> str:
        """The role that the programs assume."""
        return self._role_arn(self.account, "release")

    def permissions(self, own: EndpointPermissions) -> tuple[EndpointPermissions, EndpointPermissions]:
        """The permissions of the endpoint's roles as the home knows them, and as they are written there."""
        at_home = f"{self._region}:{self._home}"
        repo = replace(
            own.repo,
            bucket_arn=f"arn:{self._partition}:s3:::*",
            key_arn=f"arn:{self._partition}:kms:{at_home}:key/*",
            images_arn=f"arn:{self._partition}:ecr:{at_home}:repository/{self._repo.model_name}",
        )
        package = f"arn:{self._partition}:sagemaker:{at_home}:model-package/{self._repo.model_name}/*"
        return replace(own, shared=True), replace(own, repo=repo, package_arn=package, shared=True)

    def narrowed(self, allows: Iterable[Allow]) -> list[Allow]:
        """The same, on nothing but buckets of the home account, and with the reason for what they cannot name."""
        bucket = f"arn:{self._partition}:s3:::*"
        found = []
        for each in allows:
            if each.resources[0].startswith(bucket):
                each = in_account(each, self._home)
            found.append(each if each.because else replace(each, because=_UNNAMED))
        return found

    def add_roles(
        self, there: EndpointPermissions, hosting: Hosting, deployment_role_arn: str, others: Iterable[Allow]
    ) -> None:
        """Define what the pipeline and its programs assume.

        Args:
            there: The permissions on the endpoint, as they are written there.
            hosting: How the model is served.
            deployment_role_arn: What CloudFormation deploys with.
            others: What the other roles of the stack may do.
        """
        pipeline = self.narrowed(
            [*start_deployment(there.stack_name, deployment_role_arn), *_read_artifacts(there.repo)]
        )
        release = there.look_after(hosting)
        home = {"Principal": {"AWS": f"arn:${{AWS::Partition}}:iam::{self._home}:root"}}
        # The two roles may not be there yet, so they are a condition: a principal would have to exist.
        projects = [self._role_arn(self._home, each) for each in _PROJECTS]
        programs = home | {"Condition": {"ArnEquals": {"aws:PrincipalArn": projects}}}
        # The name of the pipeline's role is not known here; its account decides who may assume this one.
        OwnRole(self.scope, "PipelineRole", home, pipeline, role_name=self.names["pipeline"])
        OwnRole(self.scope, "ReleaseRole", programs, release, role_name=self.names["release"])
        include(self.scope)
        acknowledge(self.stack, lambda: wildcards(self.stack, [*others, *pipeline, *release]))

    def share(self, model: Iterable[Allow], deployment: Iterable[Allow]) -> None:
        """Let the roles use the home of the model.

        Args:
            model: What the model's role may do, with the ARNs that the home knows.
            deployment: What the deployment's role may do, likewise.
        """
        sharing = Sharing.of(self._repo)
        sharing.let(self._role_arn(self.account, "model"), model, self.stack)
        sharing.let(self._role_arn(self.account, "deployment"), deployment, self.stack)
        sharing.let_service_pull(self.account)

    def let_read(self, artifacts: PrivateBucket) -> None:
        """Let the pipeline's role there read what the actions hand on, in the policies of bucket and key."""
        role_arn = self.role_arn("pipeline")
        for allow in _read_bucket(artifacts.arn):
            artifacts.share(allow.to_json() | {"Principal": {"AWS": role_arn}})
        if artifacts.key is not None:
            artifacts.key.add_to_resource_policy(on_key(_USE_KEY, role_arn))


_USE_KEY = ("kms:Decrypt", "kms:DescribeKey")


def _read_artifacts(repo: RepoPermissions) -> list[Allow]:
    # The pipeline's own bucket and key, whose policies let this role in.
    keys = [repo.key_arn] if repo.key_arn is not None else []
    return [*_read_bucket(repo.bucket_arn), Allow(_USE_KEY, keys)]


def _read_bucket(bucket_arn: str) -> list[Allow]:
    return [
        Allow(["s3:GetObject", "s3:GetObjectVersion"], [f"{bucket_arn}/*"]),
        Allow(["s3:GetBucketLocation", "s3:ListBucket"], [bucket_arn]),
    ]
