"""Approve the model of this execution and write what CloudFormation deploys it with."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from . import aws, program, storage
from .contract import Manifest, ReleaseSettings, StageFailed, run_label

_PATIENCE = aws.Pace(first_seconds=0.5, longest_seconds=15.0, limit_seconds=3600.0)


def deploy(
    env: Mapping[str, str], client: Callable[[str], Any] = aws.client, pace: aws.Pace = _PATIENCE
) -> dict[str, str]:
    """Write ``template.json`` and ``configuration.json`` into the artifact.

    Args:
        env: The environment of the CodeBuild project and of the pipeline action.
        client: Gives the client of an AWS service.
        pace: How often to look whether the stack can be deployed to, and for how long.

    Returns:
        ``RELEASE_NAME``: what the endpoint's configuration must be called once the release is done.
    """
    settings = ReleaseSettings.from_environment(env)
    manifest = read_manifest(client("s3"), settings.bucket, env["ML_MANIFEST_KEY"])
    clear_stack(client("cloudformation"), settings.stack_name, pace)
    approve(client("sagemaker"), manifest, settings.endpoint_name, pace)
    template = Path(env["ML_HOME"], "endpoint.template.json").read_text(encoding="utf-8")
    parameters = {"ModelPackageArn": manifest.model_package_arn, **settings.parameters}
    parameters["ReleaseName"] = release_name(settings.endpoint_name, manifest.execution_id, template, parameters)
    artifact = Path(env["ML_HOME"], "artifact")
    artifact.mkdir(exist_ok=True)
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


def clear_stack(cloudformation: Any, stack_name: str, pace: aws.Pace = _PATIENCE) -> None:
    """Leave the stack as one that CloudFormation can create or update.

    A stack whose first creation failed never served and cannot be updated: it is deleted. One that something else
    is changing is waited for.

    Raises:
        StageFailed: if the stack needs a person.
    """
    asked = False
    for _ in pace:
        status = _stack_status(cloudformation, stack_name)
        if status == "UPDATE_ROLLBACK_FAILED":
            raise StageFailed(
                f"the stack '{stack_name}' is {status}: continue its roll-back in CloudFormation, then retry the stage"
            )
        if status == "DELETE_FAILED" and asked:
            raise StageFailed(f"the stack '{stack_name}' cannot be deleted: delete it by hand, then retry the stage")
        if status in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"):
            # Asked once: a deletion may take a moment to show, and its failure is not asked for again.
            if not asked:
                print(f"deleting the stack {stack_name}, whose creation failed before")
                cloudformation.delete_stack(StackName=stack_name)
                asked = True
        elif not status.endswith("_IN_PROGRESS"):
            return
    raise StageFailed(
        f"the stack '{stack_name}' is still {status} after {pace.limit_seconds / 60:g} minutes: wait for its end or "
        "delete it, then retry the stage"
    )


def _stack_status(cloudformation: Any, stack_name: str) -> str:
    """The status of the stack, empty if there is no such stack."""
    try:
        status: str = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        # The code alone also stands for a malformed request (from experience; the model names no error).
        if aws.code(error) == "ValidationError" and "does not exist" in aws.message(error):
            return ""
        raise
    return status


def approve(sagemaker: Any, manifest: Manifest, endpoint_name: str, pace: aws.Pace = _PATIENCE) -> None:
    """Approve the model version, unless it is approved already.

    Raises:
        StageFailed: if a person has rejected it, or it cannot be deployed.
    """
    arn = manifest.model_package_arn
    for _ in pace:
        package = sagemaker.describe_model_package(ModelPackageName=arn)
        if package.get("ModelPackageStatus") not in ("Pending", "InProgress"):
            break
    if package.get("ModelPackageStatus", "Completed") != "Completed":
        raise StageFailed(f"the model version {arn} is {package['ModelPackageStatus']}: release another one")
    if package["ModelApprovalStatus"] == "Rejected":
        raise StageFailed(f"the model version {arn} was rejected: release another one, or approve it in the registry")
    if package["ModelApprovalStatus"] != "Approved":
        sagemaker.update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="Approved",
            ApprovalDescription=f"Released to {endpoint_name} by execution {manifest.execution_id}",
        )


if __name__ == "__main__":
    sys.exit(program.run(deploy))
