"""The registered versions of a model, and which endpoints serve them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from ..runtime.in_service import Record
from .pipeline import Client, VersionsError

# The properties of a version that are not metrics.
_NO_METRICS = ("execution", "data-version")


@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered version."""

    number: int
    arn: str
    status: str
    created: datetime
    commit: str
    metrics: dict[str, str]
    evaluation_uri: str


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What an endpoint serves."""

    endpoint: str
    record: Record
    state: str
    """Empty if all is well, or what is not."""


def versions(client: Client, model: str, most: int) -> list[Version]:
    """The newest registered versions.

    Raises:
        VersionsError: if there is no such model.
    """
    sagemaker = client("sagemaker")
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=model, SortBy="CreationTime", SortOrder="Descending"
    )
    try:
        summaries = list(islice((each for page in pages for each in page["ModelPackageSummaryList"]), most))
    except ClientError as error:
        # From experience: the model names no error for a group that does not exist.
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            raise VersionsError(f"there is no model '{model}' in the registry of this account and region") from None
        raise
    return [version(client, summary["ModelPackageArn"]) for summary in summaries]


def version(client: Client, arn: str) -> Version:
    """One registered version.

    Raises:
        VersionsError: if there is no such version.
    """
    try:
        package = client("sagemaker").describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            model, number = arn.split("/")[-2:]
            raise VersionsError(f"the model '{model}' has no version {number}") from None
        raise
    properties = package.get("CustomerMetadataProperties", {})
    statistics = package.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {})
    return Version(
        number=int(arn.rpartition("/")[2]),
        arn=arn,
        status=package["ModelApprovalStatus"],
        created=package["CreationTime"],
        commit=package.get("MetadataProperties", {}).get("CommitId", ""),
        metrics={name: value for name, value in properties.items() if name not in _NO_METRICS},
        evaluation_uri=statistics.get("S3Uri", ""),
    )


def serving(client: Client, bucket: str) -> list[Serving]:
    """What was verified to serve, at the endpoints that still exist."""
    s3 = client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="in-service/")
    found = []
    for entry in (entry for page in pages for entry in page.get("Contents", ())):
        endpoint = entry["Key"].removeprefix("in-service/").removesuffix(".json")
        record = Record.from_json(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
        found += [Serving(endpoint=endpoint, record=record, state=state) for state in _states(client, endpoint, record)]
    return found


def _states(client: Client, endpoint: str, record: Record) -> Iterator[str]:
    try:
        described: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            return
        raise
    if described["EndpointStatus"] != "InService":
        yield described["EndpointStatus"]
    elif record.release_name and described.get("EndpointConfigName") != record.release_name:
        yield "not verified"
    else:
        yield ""
