"""Choose what is released: the model that this execution has built, or a registered version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import aws, evaluation, registry
from .contract import NEW_VERSION, BuildSettings, Manifest, RunFolder


def choose(env: Mapping[str, str], client: Callable[[str], Any] = aws.client) -> dict[str, str]:
    """Find the manifest of the model to release, and say what releasing it means.

    Args:
        env: The environment of the CodeBuild project and of the pipeline action.
        client: Gives the client of an AWS service.

    Returns:
        What the last task of a build returns.

    Raises:
        StageFailed: if there is no such model, or it may not be released.
    """
    settings, version = BuildSettings.from_environment(env), env["ML_MODEL_VERSION"]
    s3 = client("s3")
    serving = registry.in_service(s3, settings.bucket)
    if version == NEW_VERSION:
        folder = RunFolder(bucket=settings.bucket, execution_id=env["ML_EXECUTION_ID"])
        manifest = registry.read_manifest(s3, settings.bucket, folder.manifest_key)
        title = settings.model_name
    else:
        manifest = registry.find_version(settings, version, sagemaker=client("sagemaker"), s3=s3)
        title = _title(manifest, serving)
    summary = evaluation.summary(manifest.metrics, settings.gates, serving, title, manifest.commit)
    print(f"releasing {manifest.model_package_arn}")
    print(summary)
    return exports(settings.bucket, manifest, summary)


def exports(bucket: str, manifest: Manifest, summary: str) -> dict[str, str]:
    """What later actions read of the model that is released."""
    folder = RunFolder(bucket=bucket, execution_id=manifest.execution_id)
    return {
        "DATA_VERSION": manifest.data_version,
        "MODEL_DATA": manifest.model_data,
        "MANIFEST_KEY": folder.manifest_key,
        "EVALUATION_KEY": folder.evaluation_key,
        "SUMMARY": summary,
    }


def _title(chosen: Manifest, serving: Mapping[str, Manifest]) -> str:
    """Words for a version that was built before: going back must not look like something new."""
    goes_back = any(chosen.version < each.version for each in serving.values())
    return f"{'roll back to' if goes_back else 'release'} version {chosen.version} of {chosen.model_name}"
