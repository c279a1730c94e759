"""Where an endpoint is, if not where its pipeline is: in another account, or in another region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Environment, Stack, Token
from constructs import Construct

from ._place import stack_of
from ._region_home import RegionHome, region_home
from ._target_environment import TargetEnvironment, target_environment
from .artifact_repo import MlArtifactRepo
from .hosting import Hosting

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2


def other_place(
    scope: Construct,
    env: Environment,
    *,
    endpoint_name: str,
    repo: MlArtifactRepo,
    hosting: Hosting,
    vpc: ec2.IVpc | None,
) -> TargetEnvironment | RegionHome | None:
    """What must be in the account or in the region that ``env`` names, or None if the release is there anyway.

    Raises:
        ValueError: if an endpoint cannot be released to there.
    """
    home = stack_of(scope)
    account = env.account if env.account is not None else home.account
    region = env.region if env.region is not None else home.region
    if account == home.account and region == home.region:
        return None
    unknown = [name for name, value in _places(home, account, region).items() if Token.is_unresolved(value)]
    if unknown:
        raise ValueError(
            f"'env' must name an account and a region, and so must the stack of the release, got no {unknown[0]} "
            "known at synthesis; give both an aws_cdk.Environment(account='111111111111', region='eu-central-1'), and "
            "run 'cdk bootstrap' for the other place as docs/environments.md shows"
        )
    if account == home.account:
        return region_home(scope, region, endpoint_name=endpoint_name, repo=repo, vpc=vpc)
    if region != home.region:
        raise ValueError(
            f"'env' must be in another account or in another region than the release, {home.account} in "
            f"{home.region}, got both, {account} in {region}; leave out 'account' or 'region', or define another "
            "MlPipeline in a stack there"
        )
    return target_environment(scope, account, endpoint_name=endpoint_name, repo=repo, hosting=hosting, vpc=vpc)


def _places(home: Stack, account: str, region: str) -> dict[str, str]:
    return {
        "account of 'env'": account,
        "region of 'env'": region,
        "account of the stack": home.account,
        "region of the stack": home.region,
    }
