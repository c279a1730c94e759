"""A model in the region of its endpoint: SageMaker reads image, data and version of a model nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from . import aws, image, registry, storage
from .contract import Manifest, ReleaseSettings, RunFolder, StageFailed

# What is of the place where a container's image and data are (botocore: ModelPackageContainerDefinition).
_OF_THE_PLACE = frozenset({"Image", "ImageDigest", "ModelDataUrl", "ModelDataSource", "ModelDataETag"})
_FURTHER_DATA = frozenset({"AdditionalModelDataSources", "AdditionalS3DataSource"})


def bring(
    manifest: Manifest, settings: ReleaseSettings, client: Callable[[str], Any], there: Callable[[str], Any]
) -> Manifest:
    """Copy a model to the region of its endpoint, as far as it is not there.

    Its version there is found again by its manifest, which lies under the same key as at home: a retried stage copies
    nothing twice and registers nothing twice.

    Args:
        manifest: The model at home.
        settings: Where it goes.
        client: Gives the client of an AWS service at home.
        there: Gives the client of a service in that region.

    Returns:
        The manifest of the model there: with the version, the image and the data of that region.

    Raises:
        StageFailed: if something does not arrive; nothing is registered then.
    """
    wanted = replace(
        manifest,
        model_package_arn="",
        image_uri=image.copy(
            client("ecr"), there("ecr"), manifest.image_uri, settings.region_images, manifest.execution_id
        ),
        model_data=_copy_data(client("s3"), there("s3"), manifest.model_data, settings.region_bucket),
    )
    s3, sagemaker = there("s3"), there("sagemaker")
    key = RunFolder(bucket=settings.region_bucket, execution_id=manifest.execution_id).manifest_key
    written = storage.read(s3, settings.region_bucket, key)
    gone = ""
    if written is not None:
        before = Manifest.from_json(written)
        if replace(before, model_package_arn="") == wanted and _is_there(sagemaker, before.model_package_arn):
            return before
        gone = before.model_package_arn
    request = _request(client("sagemaker"), manifest.model_package_arn, wanted, settings.region_group)
    arn = registry.create_version(sagemaker, request, gone)
    copied = replace(wanted, model_package_arn=arn)
    s3.put_object(
        Bucket=settings.region_bucket, Key=key, Body=copied.to_json().encode(), ContentType="application/json"
    )
    print(f"registered {manifest.model_package_arn} in {settings.region} as {arn}")
    return copied


def _copy_data(source: Any, target: Any, uri: str, bucket: str) -> str:
    """Copy the model data, unless it is there: S3 has an object as a whole or not at all."""
    home, key = storage.split(uri)
    copied = f"s3://{bucket}/{key}"
    if any(entry["Key"] == key for entry in storage.keys(target, bucket, key)):
        return copied
    if all(entry["Key"] != key for entry in storage.keys(source, home, key)):
        raise StageFailed(f"the model data {uri} is not there any more: release another version")
    print(f"copying {uri} to {copied}")
    # From bucket to bucket, in parts where it is large: the data does not come through this build.
    target.copy({"Bucket": home, "Key": key}, bucket, key, SourceClient=source)
    return copied


def _request(sagemaker: Any, arn: str, wanted: Manifest, group: str) -> dict[str, Any]:
    """What a version is registered by there: the one at home, with image and data of there."""
    version = sagemaker.describe_model_package(ModelPackageName=arn)
    specification = version["InferenceSpecification"]
    container, *others = specification["Containers"]
    if others or not _FURTHER_DATA.isdisjoint(container):
        raise StageFailed(
            f"the model version {arn} is more than one container with its model data, and no more is copied to "
            "another region: release another version"
        )
    kept = {name: value for name, value in container.items() if name not in _OF_THE_PLACE}
    moved = {"Image": wanted.image_uri, "ModelDataUrl": wanted.model_data}
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"Copy of {arn}",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {**specification, "Containers": [kept | moved]},
        "CustomerMetadataProperties": version.get("CustomerMetadataProperties", {}),
    }


def _is_there(sagemaker: Any, arn: str) -> bool:
    try:
        sagemaker.describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        # From experience: the model names no error for a version that does not exist.
        if aws.code(error) == "ValidationException":
            return False
        raise
    return True
