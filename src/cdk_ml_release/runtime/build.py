"""``python -m runtime.build preprocess|train|evaluate``: one SageMaker job, and after the last one the gate."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import boto3

from . import evaluation, jobs, program, registry, storage
from .contract import BuildRun, BuildSettings, Manifest, RunFolder, StageFailed, Task

_KINDS = {"preprocess": jobs.PROCESSING, "train": jobs.TRAINING, "evaluate": jobs.PROCESSING}


def build(task: Task, env: Mapping[str, str]) -> dict[str, str]:
    """Run one task of the build.

    Returns:
        ``DATA_VERSION``, ``MODEL_DATA``, ``MANIFEST_KEY`` and ``SUMMARY``; what is not known yet is ``none``.
    """
    settings, run = BuildSettings.from_environment(env), BuildRun.from_environment(env)
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    folder = RunFolder(bucket=settings.bucket, execution_id=run.execution_id)
    exports = {
        "DATA_VERSION": run.data_version or storage.data_version(s3, settings.data_uri),
        "MODEL_DATA": run.model_data or "none",
        "MANIFEST_KEY": folder.manifest_key,
        "SUMMARY": "none",
    }
    document = json.loads(Path(env["ML_HOME"], f"{task}.json").read_text(encoding="utf-8"))
    values = {
        **settings.values,
        "ImageUri": run.image_uri,
        "ExecutionId": run.execution_id,
        "RunUri": f"s3://{settings.bucket}/{folder.prefix}",
        "DataUri": settings.data_uri,
        "ModelData": run.model_data,
    }
    job = jobs.run(
        _KINDS[task],
        document,
        values,
        model_name=settings.model_name,
        task=task,
        data_version=exports["DATA_VERSION"],
        sagemaker=sagemaker,
        logs=boto3.client("logs"),
    )
    if task == "train":
        exports["MODEL_DATA"] = job["ModelArtifacts"]["S3ModelArtifacts"]
    if task == "evaluate":
        exports["SUMMARY"] = _judge(settings, run, folder, s3, sagemaker)
    return exports


def _judge(settings: BuildSettings, run: BuildRun, folder: RunFolder, s3: Any, sagemaker: Any) -> str:
    path = "evaluation/evaluation.json"
    content = storage.read(s3, settings.bucket, f"{folder.prefix}/{path}")
    found = evaluation.metrics(content, folder.uri(path), settings.gates)
    evaluation.check_gates(found, settings.gates)
    before: dict[str, Manifest] = registry.in_service(s3, settings.bucket)
    summary = evaluation.summary(found, settings.gates, before, settings.model_name, run.commit)
    manifest = registry.register(settings, run, found, sagemaker=sagemaker, s3=s3)
    print(f"registered {manifest.model_package_arn}")
    print(summary)
    return summary


def main(arguments: list[str]) -> int:
    """Run the task that the command line names."""
    if len(arguments) != 1 or arguments[0] not in _KINDS:
        raise StageFailed(f"usage: python -m runtime.build preprocess|train|evaluate, got {arguments}")
    task: Any = arguments[0]
    return program.run(partial(build, task))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
