"""``python -m runtime.build preprocess|train|evaluate``: one SageMaker job, and after the last one the gate.

``python -m runtime.build choose`` runs no job: it chooses what the execution releases.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from . import aws, baseline, choice, evaluation, jobs, predictions, program, registry, storage
from .contract import BuildRun, BuildSettings, RunFolder, Task
from .schema import Schema

_KINDS: dict[Task, jobs.Kind] = {"preprocess": jobs.PROCESSING, "train": jobs.TRAINING, "evaluate": jobs.PROCESSING}


def build(
    task: Task, env: Mapping[str, str], client: Callable[[str], Any] = aws.client, pace: aws.Pace = jobs.PACE
) -> dict[str, str]:
    """Run one task of the build.

    Args:
        task: Which one.
        env: The environment of the CodeBuild project and of the pipeline action.
        client: Gives the client of an AWS service.
        pace: How often to look at the job.

    Returns:
        ``DATA_VERSION``, ``MODEL_DATA``, ``MANIFEST_KEY``, ``EVALUATION_KEY`` and ``SUMMARY``; what is not known yet
        is ``none``, for a pipeline variable must not be empty.
    """
    settings, run = BuildSettings.from_environment(env), BuildRun.from_environment(env)
    s3, sagemaker = client("s3"), client("sagemaker")
    folder = RunFolder(bucket=settings.bucket, execution_id=run.execution_id)
    exports = {
        "DATA_VERSION": run.data_version or storage.data_version(s3, settings.data_uri),
        "MODEL_DATA": run.model_data or "none",
        "MANIFEST_KEY": folder.manifest_key,
        "EVALUATION_KEY": folder.evaluation_key,
        "SUMMARY": "none",
    }
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
        json.loads(Path(env["ML_HOME"], f"{task}.json").read_text(encoding="utf-8")),
        values,
        model_name=settings.model_name,
        task=task,
        data_version=exports["DATA_VERSION"],
        sagemaker=sagemaker,
        logs=client("logs"),
        pace=pace,
    )
    if task == "train":
        exports["MODEL_DATA"] = job["ModelArtifacts"]["S3ModelArtifacts"]
    if task == "evaluate":
        declared = Path(env["ML_HOME"], "schema.json")
        schema = Schema.from_json(declared.read_text(encoding="utf-8")) if declared.is_file() else None
        exports["SUMMARY"] = _judge(settings, run, folder, schema, s3=s3, sagemaker=sagemaker)
    return exports


def _judge(
    settings: BuildSettings, run: BuildRun, folder: RunFolder, schema: Schema | None, *, s3: Any, sagemaker: Any
) -> str:
    """Register the model if it passes its gates, and say how good it is."""

    def written(path: str) -> tuple[bytes | None, str]:
        return storage.read(s3, settings.bucket, f"{folder.prefix}/{path}"), folder.uri(path)

    found = evaluation.metrics(*written("evaluation/evaluation.json"), settings.gates)
    before = registry.in_service(s3, settings.bucket)
    evaluation.check_gates(found, settings.gates, before)
    # The endpoint will be asked these rows. Better to miss them now than after an approval and a deployment.
    predictions.read(*written("evaluation/predictions.jsonl"))
    if schema is not None:
        baseline.write(s3, folder, schema)
    summary = evaluation.summary(found, settings.gates, before, settings.model_name, run.commit)
    manifest = registry.register(settings, run, found, watched=schema is not None, sagemaker=sagemaker, s3=s3)
    print(f"registered {manifest.model_package_arn}")
    print(summary)
    return summary


def main(arguments: list[str]) -> int:
    """Run the task that the command line names."""
    if arguments == ["choose"]:
        return program.run(choice.choose)
    for task in _KINDS:
        if arguments == [task]:
            return program.run(partial(build, task))
    print(f"usage: python -m runtime.build {'|'.join(_KINDS)}|choose", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
