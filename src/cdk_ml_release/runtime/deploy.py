"""Approve the model of this execution and write what CloudFormation deploys it with."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import aws, endpoint_stack, program
from .contract import Manifest, ReleaseSettings, StageFailed, run_label
from .endpoint_stack import EndpointStack
from .registry import check_not_rejected, read_manifest

_PATIENCE = aws.Pace(first_seconds=0.5, longest_seconds=15.0, limit_seconds=3600.0)


def deploy(
    env: Mapping[str, str], client: Callable[..., Any] = aws.client, pace: aws.Pace = _PATIENCE
) -> dict[str, str]:
    """Write ``template.json`` and ``configuration.json`` into the artifact, and ``shadow.json`` where there is one.

    Args:
        env: The environment of the CodeBuild project and of the pipeline action.
        client: Gives the client of an AWS service, in a region if one is named.
        pace: How often to look whether the stack can be deployed to, and for how long.

    Returns:
        ``RELEASE_NAME``: what the endpoint's configuration must be called once the release is done.
    """
    settings = ReleaseSettings.from_environment(env)
    manifest = read_manifest(client("s3"), settings.bucket, env["ML_MANIFEST_KEY"])
    text = Path(env["ML_HOME"], "endpoint.template.json").read_text(encoding="utf-8")
    template = json.loads(text)
    # Only the endpoint may be in another account or region: the registry and the bucket are here.
    there = aws.clients_as(settings.target_role, aws.clients_in(settings.region, client))
    cloudformation = there("cloudformation")
    stack = endpoint_stack.ready(cloudformation, settings.stack_name, pace)
    endpoint_stack.check_change(stack, template)
    approve(client("sagemaker"), manifest, settings.endpoint_name, pace)
    # What people know a version by is its number at home, wherever it is copied to.
    version = manifest.version
    if settings.region:
        manifest = _bring(manifest, settings, client, there, pace)
    parameters = {"ModelPackageArn": manifest.model_package_arn, **settings.parameters}
    if "CaptureUri" in parameters:
        # A folder for each model: what was captured says by its key which of two fleets has answered.
        parameters["CaptureUri"] = f"{parameters['CaptureUri']}/{manifest.execution_id}"
    parameters["ReleaseName"] = release_name(settings.endpoint_name, manifest.execution_id, text, parameters)
    stack = endpoint_stack.clear_scaling(cloudformation, stack, template, pace)
    declared = template["Parameters"]
    parameters |= endpoint_stack.release_parameters(stack, version, declared)
    configurations = {"configuration": parameters}
    if "ShadowModelPackageArn" in declared:
        configurations |= shadow(settings.endpoint_name, manifest, stack, text, parameters)
    artifact = Path(env["ML_HOME"], "artifact")
    artifact.mkdir(exist_ok=True)
    (artifact / "template.json").write_text(text, encoding="utf-8")
    for name, values in configurations.items():
        (artifact / f"{name}.json").write_text(json.dumps({"Parameters": values}), encoding="utf-8")
    print(f"{settings.endpoint_name}: releasing {manifest.model_package_arn} as {parameters['ReleaseName']}")
    return {"RELEASE_NAME": parameters["ReleaseName"]}


def _bring(
    manifest: Manifest,
    settings: ReleaseSettings,
    client: Callable[[str], Any],
    there: Callable[[str], Any],
    pace: aws.Pace,
) -> Manifest:
    # Loaded on use: most endpoints are where their model is.
    from . import region

    copied = region.bring(manifest, settings, client, there)
    approve(there("sagemaker"), copied, settings.endpoint_name, pace)
    return copied


def release_name(endpoint_name: str, execution_id: str, template: str, parameters: Mapping[str, str]) -> str:
    """Name model and configuration: other content is another name, for SageMaker replaces neither in place."""
    content = hashlib.sha256(json.dumps([template, dict(parameters)], sort_keys=True).encode()).hexdigest()
    return f"{endpoint_name.lower()}-{run_label(execution_id)}-{content[:6]}"


def shadow(
    endpoint_name: str, manifest: Manifest, stack: EndpointStack, template: str, parameters: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """What is deployed first, where a new version is to be the shadow of the one in service, and what after that.

    Where there is nobody to be the shadow of, the first deployment is the whole release, and the second changes
    nothing.
    """
    arn, serving = manifest.model_package_arn, stack.parameters.get("ModelPackageArn", "")
    # Without a shadow nothing has its name.
    released = {**parameters, "ShadowReleaseName": parameters["ReleaseName"], "ShadowModelPackageArn": ""}
    if not serving or serving == arn:
        return {"configuration": released, "shadow": released}
    beside = {**released, "ModelPackageArn": serving, "ShadowModelPackageArn": arn}
    if "CaptureUri" in released:
        # What is captured are the answers of the version that serves.
        beside["CaptureUri"] = stack.parameters.get("CaptureUri", released["CaptureUri"])
    names = {
        name: release_name(endpoint_name, manifest.execution_id, template, beside | {"for": name})
        for name in ("ReleaseName", "ShadowReleaseName")
    }
    return {"configuration": released, "shadow": beside | names}


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
    check_not_rejected(arn, package["ModelApprovalStatus"])
    if package["ModelApprovalStatus"] != "Approved":
        sagemaker.update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="Approved",
            ApprovalDescription=f"Released to {endpoint_name} by execution {manifest.execution_id}",
        )


if __name__ == "__main__":
    sys.exit(program.run(deploy))
