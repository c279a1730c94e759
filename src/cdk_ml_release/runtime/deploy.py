"""Approve the model of this execution and write what CloudFormation deploys it with."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from . import program, storage
from .contract import Manifest, ReleaseSettings, StageFailed, run_label

_DELETION_SECONDS = 3600
_DELAY_SECONDS = 2.0


def deploy(env: Mapping[str, str]) -> dict[str, str]:
    """Write ``template.json`` and ``configuration.json`` into the artifact.

    Returns:
        ``RELEASE_NAME``: what the endpoint's configuration must be called once the release is done.
    """
    settings = ReleaseSettings.from_environment(env)
    manifest = read_manifest(boto3.client("s3"), settings.bucket, env["ML_MANIFEST_KEY"])
    _clear_failed_creation(boto3.client("cloudformation"), settings.stack_name)
    _approve(boto3.client("sagemaker"), manifest, settings.endpoint_name)
    template = Path(env["ML_HOME"], "endpoint.template.json").read_text(encoding="utf-8")
    parameters = {
        "ModelPackageArn": manifest.model_package_arn,
        "ModelRoleArn": settings.model_role,
        "CaptureUri": settings.capture_uri,
        "KmsKeyArn": settings.kms_key,
    }
    declared = json.loads(template)["Parameters"]
    parameters = {name: value for name, value in parameters.items() if name in declared}
    parameters["ReleaseName"] = release_name(settings.endpoint_name, manifest.execution_id, template, parameters)
    artifact = Path(env["ML_HOME"], "artifact")
    artifact.mkdir()
    (artifact / "template.json").write_text(template, encoding="utf-8")
    (artifact / "configuration.json").write_text(json.dumps({"Parameters": parameters}), encoding="utf-8")
    print(f"{settings.endpoint_name}: releasing {manifest.model_package_arn} as {parameters['ReleaseName']}")
    return {"RELEASE_NAME": parameters["ReleaseName"]}


def read_manifest(s3: Any, bucket: str, key: str) -> Manifest:
    """The manifest of the model to release.

    Raises:
        StageFailed: if there is none: the build did not register a model.
    """
    content = storage.read(s3, bucket, key)
    if content is None:
        raise StageFailed(f"no release manifest at s3://{bucket}/{key}: the build must register a model first")
    return Manifest.from_json(content)


def release_name(endpoint_name: str, execution_id: str, template: str, parameters: Mapping[str, str]) -> str:
    """Name model and configuration: other content is another name, for SageMaker replaces neither in place."""
    content = hashlib.sha256(json.dumps([template, dict(parameters)], sort_keys=True).encode()).hexdigest()
    return f"{endpoint_name.lower()}-{run_label(execution_id)}-{content[:6]}"


def _clear_failed_creation(cloudformation: Any, stack_name: str) -> None:
    """Delete a stack whose first creation failed: it never served, and CloudFormation cannot update it."""
    deadline = time.monotonic() + _DELETION_SECONDS
    while (status := _stack_status(cloudformation, stack_name)) in ("ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise StageFailed(f"the stack '{stack_name}' is {status} for an hour: delete it, then retry the stage")
        if status == "ROLLBACK_COMPLETE":
            print(f"deleting the stack {stack_name}, whose creation failed before")
            cloudformation.delete_stack(StackName=stack_name)
        time.sleep(_DELAY_SECONDS)


def _stack_status(cloudformation: Any, stack_name: str) -> str | None:
    try:
        status: str = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        # CloudFormation's way to say that there is no such stack.
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return status


def _approve(sagemaker: Any, manifest: Manifest, endpoint_name: str) -> None:
    arn = manifest.model_package_arn
    status = sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"]
    if status == "Rejected":
        raise StageFailed(f"the model version {arn} was rejected: release another one, or approve it in the registry")
    if status != "Approved":
        sagemaker.update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="Approved",
            ApprovalDescription=f"Released to {endpoint_name} by execution {manifest.execution_id}",
        )


if __name__ == "__main__":
    sys.exit(program.run(deploy))
