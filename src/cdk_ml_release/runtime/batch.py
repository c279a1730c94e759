"""Score a batch with the model of this execution: approve it, make a model of it, run its transform jobs."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from . import aws, deploy, program, storage
from .batch_settings import BatchSettings
from .contract import Manifest, StageFailed, endpoint_record_key, run_label
from .jobs import PACE
from .registry import read_manifest
from .scoring import Scoring
from .transform import Transforms


def batch(env: Mapping[str, str], client: Callable[[str], Any] = aws.client, pace: aws.Pace = PACE) -> dict[str, str]:
    """Score every object under the input prefix.

    Args:
        env: The environment of the CodeBuild project and of the pipeline action.
        client: Gives the client of an AWS service.
        pace: How often to look at a job.

    Returns:
        ``OUTPUT_URI``: where the results are, and ``FAILED_RECORDS``: how many records were refused.

    Raises:
        StageFailed: if there is nothing to score, a job fails otherwise than by its records, or too many are refused.
    """
    settings, execution_id = BatchSettings.from_environment(env), env["ML_EXECUTION_ID"]
    s3, sagemaker = client("s3"), client("sagemaker")
    manifest = read_manifest(s3, settings.bucket, env["ML_MANIFEST_KEY"])
    version = storage.data_version(s3, settings.input_uri)
    deploy.approve(sagemaker, manifest, settings.batch_name)
    model_name = create_model(sagemaker, settings, execution_id, manifest)
    document = json.loads(Path(env["ML_HOME"], "transform.json").read_text(encoding="utf-8"))
    values = {**settings.values, "ExecutionId": execution_id, "ModelName": model_name}
    transforms = Transforms(
        batch_name=settings.batch_name,
        execution_id=execution_id,
        document=document,
        values=values,
        limit_seconds=settings.max_runtime_seconds,
        sagemaker=sagemaker,
        logs=client("logs"),
        pace=pace,
    )
    scoring = Scoring(s3=s3, settings=settings, execution_id=execution_id, transforms=transforms)
    scoring.run(version, by_line=document["TransformInput"]["SplitType"] == "Line")
    s3.put_object(
        Bucket=settings.bucket,
        Key=endpoint_record_key(settings.batch_name),
        Body=manifest.to_json().encode(),
        ContentType="application/json",
    )
    print(f"{settings.batch_name}: scored by {manifest.model_package_arn}, results under {scoring.uri('output')}")
    return {"OUTPUT_URI": scoring.uri("output"), "FAILED_RECORDS": str(len(scoring.refused))}


def create_model(sagemaker: Any, settings: BatchSettings, execution_id: str, manifest: Manifest) -> str:
    """Make a model of the registered version, unless an earlier try of this stage has made it.

    Raises:
        StageFailed: if SageMaker refuses it.
    """
    role = settings.values["ModelRoleArn"]
    content = hashlib.sha256(f"{manifest.model_package_arn} {role}".encode()).hexdigest()
    name = f"{settings.batch_name}-{run_label(execution_id)}-{content[:6]}"
    try:
        sagemaker.describe_model(ModelName=name)
    except ClientError as error:
        # From experience: the model names no error for a model that does not exist.
        if aws.code(error) != "ValidationException":
            raise
        try:
            sagemaker.create_model(
                ModelName=name,
                ExecutionRoleArn=role,
                PrimaryContainer={"ModelPackageName": manifest.model_package_arn},
            )
        except ClientError as refusal:
            if aws.code(refusal) not in ("ResourceLimitExceeded", "ValidationException"):
                raise
            raise StageFailed(f"SageMaker refuses the model '{name}': {aws.message(refusal)}") from None
    return name


if __name__ == "__main__":
    sys.exit(program.run(batch))
