"""The request that a batch's transform jobs become: rendered and checked at synth, filled in by each run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .jobs import OWN_VARIABLES, TransformJob, has_local_storage
from .runtime import shapes
from .runtime.contract import fill

# Values as long as the real ones can be.
_SAMPLE = {
    "JobName": "n" * 63,
    "ModelName": "n" * 63,
    "InputUri": f"s3://{'b' * 63}/batch/{'n' * 43}/{'0' * 36}/narrowing/1/in/",
    "OutputUri": f"s3://{'b' * 63}/batch/{'n' * 43}/{'0' * 36}/narrowing/1/out",
    "ExecutionId": "0" * 36,
    "Inputs": "0" * 64,
    "KmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/0",
}


def transform_request(job: TransformJob, *, encrypted: bool) -> dict[str, Any]:
    """Render the request document, with placeholders for what synthesis does not know.

    Args:
        job: How the batch is scored.
        encrypted: Whether a customer managed key encrypts the volumes and the results.

    Raises:
        ValueError: naming what SageMaker would refuse in every run.
    """
    key = "${KmsKeyArn}"
    lines = job.split_type == "Line"
    output: dict[str, Any] = {"S3OutputPath": "${OutputUri}", "AssembleWith": "Line" if lines else "None"}
    resources: dict[str, Any] = {"InstanceType": job.instance_type, "InstanceCount": job.instance_count}
    if job.accept is not None:
        output["Accept"] = job.accept
    if encrypted:
        output["KmsKeyId"] = key
        if not has_local_storage(job.instance_type):
            resources["VolumeKmsKeyId"] = key
    document: dict[str, Any] = {
        "TransformJobName": "${JobName}",
        "ModelName": "${ModelName}",
        "MaxPayloadInMB": job.max_payload_mib,
        "Environment": {**job.environment, **OWN_VARIABLES},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "${InputUri}"}},
            "ContentType": job.content_type,
            "SplitType": job.split_type,
        },
        "TransformOutput": output,
        "TransformResources": resources,
    }
    if lines:
        document["BatchStrategy"] = job.batch_strategy
    if job.max_concurrent_transforms is not None:
        document["MaxConcurrentTransforms"] = job.max_concurrent_transforms
    _check(document)
    return document


def _check(document: Mapping[str, Any]) -> None:
    found = shapes.problems("CreateTransformJob", fill(document, _SAMPLE))
    if found:
        raise ValueError(f"'job' makes a request that SageMaker refuses: {'; '.join(found)}; change it there")
