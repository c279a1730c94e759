"""Register a model that passed its gates, and write its release manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import storage
from .contract import BuildRun, BuildSettings, Manifest, RunFolder

# What the container contract promises of every model; the registry wants to know.
_CONTENT_TYPES = ["text/csv", "application/json"]


def register(
    settings: BuildSettings, run: BuildRun, metrics: Mapping[str, float], *, sagemaker: Any, s3: Any
) -> Manifest:
    """Make the model of this execution a version that waits for approval; a retry finds the one that it made.

    Returns:
        The manifest, as written to ``release.json``.
    """
    folder = RunFolder(bucket=settings.bucket, execution_id=run.execution_id)
    written = storage.read(s3, settings.bucket, folder.manifest_key)
    if written is not None:
        return Manifest.from_json(written)
    evaluation_uri = folder.uri("evaluation/evaluation.json")
    package = sagemaker.create_model_package(
        ModelPackageGroupName=settings.package_group,
        ModelPackageDescription=f"Execution {run.execution_id}",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": run.image_uri, "ModelDataUrl": run.model_data}],
            "SupportedContentTypes": _CONTENT_TYPES,
            "SupportedResponseMIMETypes": _CONTENT_TYPES,
        },
        ModelMetrics={
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": evaluation_uri}}
        },
        MetadataProperties={"CommitId": run.commit},
        CustomerMetadataProperties={
            "execution": run.execution_id,
            "data-version": run.data_version,
            **{name[:128]: repr(value) for name, value in metrics.items()},
        },
        # The same token again is the same version again, so that a retry registers nothing twice.
        ClientToken=run.execution_id,
    )
    manifest = Manifest(
        execution_id=run.execution_id,
        model_name=settings.model_name,
        model_package_arn=package["ModelPackageArn"],
        image_uri=run.image_uri,
        model_data=run.model_data,
        commit=run.commit,
        data_version=run.data_version,
        evaluation_uri=evaluation_uri,
        predictions_uri=folder.uri("evaluation/predictions.jsonl"),
        metrics=dict(metrics),
    )
    storage.write_once(s3, settings.bucket, folder.manifest_key, manifest.to_json())
    return manifest


def in_service(s3: Any, bucket: str) -> dict[str, Manifest]:
    """The manifests of the models in service, by endpoint name."""
    found = {}
    for entry in storage.keys(s3, bucket, "in-service/"):
        content = storage.read(s3, bucket, entry["Key"])
        if content is not None:
            name = entry["Key"].removeprefix("in-service/").removesuffix(".json")
            found[name] = Manifest.from_json(content)
    return found
