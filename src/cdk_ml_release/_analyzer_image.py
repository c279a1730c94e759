"""The image that SageMaker Model Monitor analyzes with: AWS keeps it in an account of its own in every region."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aws_cdk import Aws, CfnMapping, Stack, Token
from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class AnalyzerImage:
    """The image, by which it is run and by which it may be pulled."""

    uri: str
    repository_arn: str


def analyzer_image(scope: Construct) -> AnalyzerImage:
    """The image of the region that a stack goes to; a stack for every region gets a mapping of all that are known.

    Args:
        scope: The monitor.

    Raises:
        ValueError: if the stack's region has none that is known.
    """
    known = images()
    accounts, repository = known["accounts"], known["repository"]
    region = Stack.of(scope).region
    if Token.is_unresolved(region):
        mapping = {name: {"Account": account} for name, account in accounts.items()}
        account = CfnMapping(scope, "AnalyzerImages", mapping=mapping).find_in_map(Aws.REGION, "Account")
    elif region in accounts:
        account = accounts[region]
    else:
        raise ValueError(
            f"'engine' must not be model_monitor() in a region without Model Monitor's image, got '{region}'; use "
            f"MonitorEngine.drift_job(), or one of {', '.join(accounts)}"
        )
    return AnalyzerImage(
        uri=f"{account}.dkr.ecr.{region}.{Aws.URL_SUFFIX}/{repository}",
        repository_arn=f"arn:{Aws.PARTITION}:ecr:{region}:{account}:repository/{repository}",
    )


@cache
def images() -> dict[str, Any]:
    """The file ``analyzer_images.json``, which says where it comes from."""
    file = Path(__file__).with_name("analyzer_images.json")
    read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return read
