"""The part of a user's network that containers run in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from constructs import Construct

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2


@dataclass(frozen=True, kw_only=True)
class Network:
    """Private subnets and the security group of what runs in them.

    Attributes:
        group: What the network interfaces belong to.
        subnets: How many subnets there are.
        values: The ids, as ``Subnet0`` and on and ``SecurityGroup0``.
    """

    group: ec2.SecurityGroup
    subnets: int
    values: dict[str, str]


def private_network(scope: Construct, vpc: ec2.IVpc, description: str) -> Network:
    """A security group of its own in the private subnets of a network, or in the isolated ones.

    Args:
        scope: The construct that the security group belongs to.
        vpc: The network.
        description: What runs there.

    Raises:
        ValueError: if the network has public subnets only.
    """
    from aws_cdk import aws_ec2 as ec2

    subnets = vpc.private_subnets or vpc.isolated_subnets
    if not subnets:
        raise ValueError(
            "'vpc' must have private or isolated subnets, got one that has neither; containers have no public "
            "addresses, so add subnets of another type to it"
        )
    group = ec2.SecurityGroup(scope, "SecurityGroup", vpc=vpc, description=description)
    ids = {f"Subnet{index}": subnet.subnet_id for index, subnet in enumerate(subnets)}
    return Network(group=group, subnets=len(subnets), values=ids | {"SecurityGroup0": group.security_group_id})
