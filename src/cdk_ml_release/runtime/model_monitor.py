"""Make SageMaker Model Monitor's baseline of the model that is released, and write what CloudFormation deploys."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import aws, baseline, endpoint_stack, jobs, monitor, program, sample, storage
from .cells import ColumnType, Value
from .contract import Manifest, RunFolder, StageFailed
from .deploy import release_name
from .model_monitor_stage import FOLDER, ModelMonitorStage
from .registry import read_manifest
from .sample import Columns
from .schema import Schema


def model_monitor(
    env: Mapping[str, str], client: Callable[[str], Any] = aws.client, pace: aws.Pace = jobs.PACE
) -> dict[str, str]:
    """Write ``template.json`` and ``configuration.json`` into the artifact.

    Args:
        env: The environment of the CodeBuild project and of the pipeline action.
        client: Gives the client of an AWS service.
        pace: How often to look at the job, and whether the stack can be deployed to.

    Returns:
        ``DEFINITION_NAME``: what the job definitions are called.

    Raises:
        StageFailed: if the model has no baseline that its rows can be read by, or the job fails.
    """
    settings, home, s3 = ModelMonitorStage.from_environment(env), Path(env["ML_HOME"]), client("s3")
    manifest = read_manifest(s3, settings.bucket, env["ML_MANIFEST_KEY"])
    folder = RunFolder(bucket=settings.bucket, execution_id=manifest.execution_id)
    _analyze(settings, home, folder, client, pace)
    constraints = {"constraints.json": _constraints(s3, folder, settings.distance)}
    if (home / "model-quality.json").is_file():
        constraints["model-quality.json"] = (home / "model-quality.json").read_text(encoding="utf-8")
    for name, text in constraints.items():
        _put(s3, folder, f"{settings.endpoint_name}/{name}", text)
    endpoint_stack.ready(client("cloudformation"), settings.stack_name, pace)
    name = _write_artifact(settings, home, folder, manifest)
    monitor.sign_of_life(client("cloudwatch"), settings.endpoint_name)
    print(f"{settings.endpoint_name}: watched by {name} for {manifest.model_package_arn}")
    return {"DEFINITION_NAME": name}


def reference(schema: Schema, columns: Columns) -> str:
    """The evaluated rows as Model Monitor reads them: CSV with a header, the prediction first, as in its captures.

    Args:
        schema: The columns of the model.
        columns: Their values.
    """
    kinds = {schema.prediction: schema.prediction_type, **schema.features}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(kinds)
    values = zip(*(columns[name] for name in kinds), strict=True)
    writer.writerows([_cell(value, kind) for value, kind in zip(row, kinds.values(), strict=True)] for row in values)
    return text.getvalue()


def _cell(value: Value, kind: ColumnType) -> str:
    if value is None:
        return ""
    # As a client writes it: what looks whole would else be of another type than the requests.
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return str(int(value)) if whole and kind != "category" else str(value)


def _analyze(
    settings: ModelMonitorStage, home: Path, folder: RunFolder, client: Callable[[str], Any], pace: aws.Pace
) -> None:
    """Run the job that makes the baseline, unless it has Completed with the same rows."""
    s3 = client("s3")
    place = baseline.key(folder.execution_id, "schema.json")
    schema = baseline.read_schema(storage.read(s3, folder.bucket, place), f"s3://{folder.bucket}/{place}")
    path = "evaluation/predictions.jsonl"
    evaluated = storage.read(s3, folder.bucket, f"{folder.prefix}/{path}") or b""
    rows = reference(schema, sample.read(schema, evaluated.split(b"\n"), folder.uri(path)))
    _put(s3, folder, "data/baseline.csv", rows)
    jobs.run(
        jobs.PROCESSING,
        json.loads((home / "baseline.json").read_text(encoding="utf-8")),
        {**settings.values, "ExecutionId": folder.execution_id, "BaselineUri": folder.uri(FOLDER)},
        model_name=settings.model_name,
        task="baseline",
        data_version=hashlib.sha256(rows.encode()).hexdigest(),
        sagemaker=client("sagemaker"),
        logs=client("logs"),
        pace=pace,
    )


def _constraints(s3: Any, folder: RunFolder, distance: float) -> str:
    """The constraints that the job suggests, with the limit that the alarms have."""
    path = f"{FOLDER}/suggested/constraints.json"
    content = storage.read(s3, folder.bucket, f"{folder.prefix}/{path}")
    if content is None:
        raise StageFailed(f"the baseline job wrote no {folder.uri(path)}: see its log, then retry the stage")
    try:
        document = json.loads(content)
        config = document["monitoring_config"]
        limits = config["distribution_constraints"]
    except (ValueError, KeyError, TypeError):
        raise StageFailed(
            f"{folder.uri(path)} is not what Model Monitor writes: see the log of the baseline job"
        ) from None
    config |= {"emit_metrics": "Enabled", "evaluate_constraints": "Enabled"}
    limits |= {"perform_comparison": "Enabled", "comparison_threshold": distance}
    if "categorical_comparison_threshold" in limits:
        limits["categorical_comparison_threshold"] = distance
    return json.dumps(document, indent=2) + "\n"


def _put(s3: Any, folder: RunFolder, path: str, text: str) -> None:
    kind = "text/csv" if path.endswith(".csv") else "application/json"
    key = f"{folder.prefix}/{FOLDER}/{path}"
    s3.put_object(Bucket=folder.bucket, Key=key, Body=text.encode(), ContentType=kind)


def _write_artifact(settings: ModelMonitorStage, home: Path, folder: RunFolder, manifest: Manifest) -> str:
    """Write template and parameters; returns what the job definitions are called."""
    text = (home / "monitor.template.json").read_text(encoding="utf-8")
    known = {**settings.values, "BaselineUri": folder.uri(FOLDER)}
    # SageMaker changes no definition in place: other content is another name.
    known["DefinitionName"] = release_name(settings.endpoint_name, manifest.execution_id, text, known)
    parameters = {name: known[name] for name in json.loads(text)["Parameters"]}
    artifact = home / "artifact"
    artifact.mkdir(exist_ok=True)
    (artifact / "template.json").write_text(text, encoding="utf-8")
    (artifact / "configuration.json").write_text(json.dumps({"Parameters": parameters}), encoding="utf-8")
    return known["DefinitionName"]


if __name__ == "__main__":
    sys.exit(program.run(model_monitor))
