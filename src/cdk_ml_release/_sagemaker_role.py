"""The roles that SageMaker assumes to run a model's container."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from ._codebuild import arn
from .artifact_repo import MlArtifactRepo

# Source: the SageMaker guide's list for jobs in a VPC. SageMaker's own validation refuses them with conditions or
# resources, so they stand on "*".
_VPC_ACTIONS = [
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcs",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
]


def sagemaker_role(
    scope: Construct, construct_id: str, repo: MlArtifactRepo, *, log_group: str, vpc: ec2.IVpc | None = None
) -> iam.Role:
    """A role that runs a container of ``repo``: it can pull the image, write its log and its metrics.

    Args:
        scope: The construct that the role belongs to.
        construct_id: Unique among the children of ``scope``.
        repo: Whose image the container is made of.
        log_group: Name of the log group that SageMaker writes, which may end in ``*``.
        vpc: Whose network the container uses, if any.
    """
    role = iam.Role(
        scope,
        construct_id,
        # Only on behalf of this account: the confused deputy that AWS's guide warns of.
        assumed_by=iam.ServicePrincipal(
            "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        ),
    )
    repo.grant_pull(role)
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            resources=[arn("logs", f"log-group:{log_group}"), arn("logs", f"log-group:{log_group}:log-stream:*")],
        )
    )
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        )
    )
    if vpc is not None:
        role.add_to_policy(iam.PolicyStatement(actions=_VPC_ACTIONS, resources=["*"]))
    return role
