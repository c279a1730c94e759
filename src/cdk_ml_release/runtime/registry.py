"""Register a model that passed its gates, and write its release manifest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from . import aws, storage
from .contract import NEW_VERSION, BuildRun, BuildSettings, Manifest, RunFolder, StageFailed

# What the container contract promises of every model; the registry wants to know.
_CONTENT_TYPES = ["text/csv", "application/json"]
# The limits of CustomerMetadataProperties, and ClientToken's (botocore: CustomerMetadataMap, ClientToken).
_MOST_PROPERTIES = 50
_LONGEST_KEY, _LONGEST_VALUE = 128, 256
_NOT_ALLOWED = re.compile(r"[^\w .:/=+\-@]")
_TOKEN_LENGTH = 36
_EXECUTION = "execution"
"""The property of a version that leads to its run, and so to its manifest."""


def register(
    settings: BuildSettings,
    run: BuildRun,
    metrics: Mapping[str, float],
    *,
    watched: bool = False,
    sagemaker: Any,
    s3: Any,
) -> Manifest:
    """Make the model of this execution a version that waits for approval; a retry finds the one that it made.

    Args:
        settings: What the build knows from synth.
        run: What it is made of.
        metrics: How good it is.
        watched: Whether the run has a baseline, which the version is then registered with.
        sagemaker: A SageMaker client.
        s3: An S3 client.

    Returns:
        The manifest, as written to ``release.json``.

    Raises:
        StageFailed: if this execution has registered another model: a retry with other data is another release.
    """
    folder = RunFolder(bucket=settings.bucket, execution_id=run.execution_id)
    wanted = Manifest(
        execution_id=run.execution_id,
        model_name=settings.model_name,
        model_package_arn="",
        image_uri=run.image_uri,
        model_data=run.model_data,
        commit=run.commit,
        data_version=run.data_version,
        evaluation_uri=folder.uri("evaluation/evaluation.json"),
        predictions_uri=folder.uri("evaluation/predictions.jsonl"),
        metrics=dict(metrics),
    )
    written = storage.read(s3, settings.bucket, folder.manifest_key)
    if written is None:
        arn = _create_version(sagemaker, settings.package_group, wanted, folder if watched else None)
        manifest = replace(wanted, model_package_arn=arn)
        if storage.write_once(s3, settings.bucket, folder.manifest_key, manifest.to_json()):
            return manifest
        written = storage.read(s3, settings.bucket, folder.manifest_key)
    manifest = Manifest.from_json(written or b"")
    if replace(manifest, model_package_arn="") != wanted:
        raise StageFailed(
            f"this execution has registered {manifest.model_package_arn} already, from other inputs: start a new "
            "execution, for a release is registered once"
        )
    return manifest


def _create_version(sagemaker: Any, group: str, model: Manifest, watched: RunFolder | None) -> str:
    baseline = _baseline(watched) if watched is not None else {}
    request = {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"Execution {model.execution_id}",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [{"Image": model.image_uri, "ModelDataUrl": model.model_data}],
            "SupportedContentTypes": _CONTENT_TYPES,
            "SupportedResponseMIMETypes": _CONTENT_TYPES,
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": _metrics_source(model.evaluation_uri)}, **baseline},
        **({"DriftCheckBaselines": baseline} if baseline else {}),
        "MetadataProperties": {"CommitId": model.commit},
        "CustomerMetadataProperties": _properties(model),
    }
    return create_version(sagemaker, request)


def create_version(sagemaker: Any, request: Mapping[str, Any], gone: str = "") -> str:
    """Register a version, and tell its ARN.

    The same request again is the same version again: a retry whose manifest was not written registers nothing twice.

    Args:
        sagemaker: A SageMaker client.
        request: What the version is registered by.
        gone: A version that the same request has made before and that is not there any more, if there is one.
    """
    content = json.dumps(request, sort_keys=True) + gone
    token = hashlib.sha256(content.encode()).hexdigest()[:_TOKEN_LENGTH]
    package = aws.retried(
        lambda: sagemaker.create_model_package(**request, ClientToken=token),
        # Another execution registers in the same group just now.
        {"ConflictException"},
    )
    arn: str = package["ModelPackageArn"]
    return arn


def _baseline(folder: RunFolder) -> dict[str, Any]:
    parts = {"Statistics": "baseline/statistics.json", "Constraints": "baseline/constraints.json"}
    return {"ModelDataQuality": {part: _metrics_source(folder.uri(path)) for part, path in parts.items()}}


def _metrics_source(uri: str) -> dict[str, str]:
    return {"ContentType": "application/json", "S3Uri": uri}


def _properties(model: Manifest) -> dict[str, str]:
    told = {_EXECUTION: model.execution_id, "data-version": model.data_version}
    told |= {name: repr(value) for name, value in model.metrics.items()}
    allowed: dict[str, str] = {}
    for name, value in told.items():
        key = _NOT_ALLOWED.sub("_", name)[:_LONGEST_KEY]
        if value and len(allowed) < _MOST_PROPERTIES:
            allowed.setdefault(key, _NOT_ALLOWED.sub("_", value)[:_LONGEST_VALUE])
    return allowed


def read_manifest(s3: Any, bucket: str, key: str) -> Manifest:
    """The manifest of the model to release.

    Raises:
        StageFailed: if there is none: the build did not register a model.
    """
    content = storage.read(s3, bucket, key)
    if content is None:
        raise StageFailed(f"no release manifest at s3://{bucket}/{key}: the build must register a model first")
    return Manifest.from_json(content)


def find_version(settings: BuildSettings, version: str, *, sagemaker: Any, s3: Any) -> Manifest:
    """The manifest of a registered version, by its number or its ARN.

    Raises:
        StageFailed: if the model has no such version, a person has rejected it, or no build of this model made it.
    """
    name = settings.model_name
    number = version.removeprefix(f"{settings.versions_arn}/")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", number):
        raise StageFailed(
            f"the version to release must be '{NEW_VERSION}' or the number of a version of '{name}', got '{version}': "
            f"'ml-release versions --model {name}' lists them"
        )
    arn = f"{settings.versions_arn}/{number}"
    try:
        package = sagemaker.describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        # From experience: the model names no error for a version that does not exist.
        if aws.code(error) == "ValidationException":
            raise StageFailed(
                f"the model '{name}' has no version {number}: 'ml-release versions --model {name}' lists those it has"
            ) from None
        raise
    check_not_rejected(arn, package["ModelApprovalStatus"])
    execution = package.get("CustomerMetadataProperties", {}).get(_EXECUTION)
    if execution is None:
        raise StageFailed(f"the model version {arn} was registered by no build of this library: release another one")
    manifest = read_manifest(
        s3, settings.bucket, RunFolder(bucket=settings.bucket, execution_id=execution).manifest_key
    )
    if manifest.model_package_arn != arn:
        raise StageFailed(
            f"the model version {arn} names execution {execution}, which registered {manifest.model_package_arn}: "
            "release another one"
        )
    return manifest


def check_not_rejected(arn: str, status: str) -> None:
    """Refuse a version that a person has rejected.

    Raises:
        StageFailed: naming it.
    """
    if status == "Rejected":
        raise StageFailed(f"the model version {arn} was rejected: release another one, or approve it in the registry")


def in_service(s3: Any, bucket: str) -> dict[str, Manifest]:
    """The manifests of the models in service, by endpoint name."""
    found = {}
    for entry in storage.keys(s3, bucket, "in-service/"):
        content = storage.read(s3, bucket, entry["Key"])
        if content is not None:
            name = entry["Key"].removeprefix("in-service/").removesuffix(".json")
            found[name] = Manifest.from_json(content)
    return found
