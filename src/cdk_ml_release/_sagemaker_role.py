"""The roles that SageMaker assumes to run a model's container."""

from __future__ import annotations

from collections.abc import Iterable

from constructs import Construct

from ._permissions import Allow, RepoPermissions, arn
from ._role import OwnRole, service_role

# Source: the SageMaker guide's list for jobs in a VPC.
_VPC = Allow(
    [
        "ec2:CreateNetworkInterface",
        "ec2:CreateNetworkInterfacePermission",
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeVpcs",
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroups",
    ],
    ["*"],
    because="SageMaker refuses a role whose network actions have a resource or a condition",
)

_METRICS = Allow(
    ["cloudwatch:PutMetricData"],
    ["*"],
    {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
    because="metrics have no resource; the namespaces are SageMaker's",
)


def run_container(permissions: RepoPermissions, *, log_group: str, in_vpc: bool = False) -> list[Allow]:
    """What every container needs: to pull its image, to write its log and its metrics.

    Args:
        permissions: Those on the repo that the image is in.
        log_group: Name of the log group that SageMaker writes for it.
        in_vpc: Whether it uses the user's network.
    """
    group = arn("logs", f"log-group:{log_group}", permissions.region)
    log = Allow(
        ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        [group, f"{group}:log-stream:*"],
        because="SageMaker names the log streams after the job or the instance",
    )
    return [*permissions.pull(), log, _METRICS, *([_VPC] if in_vpc else [])]


def sagemaker_role(
    scope: Construct, construct_id: str, allows: Iterable[Allow], *, role_name: str | None = None
) -> OwnRole:
    """A role that SageMaker assumes, on behalf of this account only: AWS's guide warns of the confused deputy."""
    service = "sagemaker.amazonaws.com"
    return service_role(scope, construct_id, service, allows, own_account_only=True, role_name=role_name)
