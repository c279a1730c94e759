"""What a rehearsal leaves behind: ``report.json`` for programs, ``report.html`` for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from ..runtime.contract import Manifest, RunFolder
from .pipelines.execution import Execution
from .rehearsal import Rehearsal


def report(rehearsal: Rehearsal) -> dict[str, Any]:
    """The whole rehearsal as a JSON value."""
    executions = [execution for walker in rehearsal.walkers.values() for execution in walker.executions]
    return {
        "status": "Succeeded" if rehearsal.walkers and rehearsal.succeeded else "Failed",
        "pipeline": ", ".join(rehearsal.walkers),
        "seconds": rehearsal.seconds,
        "job_seconds": round(sum(job.process_seconds for job in rehearsal.jobs.all), 2),
        "executions": [_execution(each) for each in executions],
        "jobs": [
            {"name": job.name, "kind": job.noun, "status": job.status, "seconds": round(job.process_seconds, 2)}
            for job in rehearsal.jobs.all
        ],
        "metrics": _metrics(rehearsal, executions),
        "endpoints": [
            {
                "name": endpoint.name,
                "status": endpoint.status,
                "config": endpoint.config,
                "model_package_arn": rehearsal.endpoints.model_package_arn(endpoint),
            }
            for endpoint in rehearsal.endpoints.all
        ],
        "releases": [release.to_json() for release in rehearsal.endpoints.releases],
        "traffic": [stream.to_json() for stream in rehearsal.streams],
        "predictions": [asdict(prediction) for prediction in rehearsal.predictions],
    }


def write_report(content: dict[str, Any], folder: Path) -> None:
    """Write both reports into a folder."""
    (folder / "report.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    page = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    (folder / "report.html").write_text(page.get_template("report.html").render(content), encoding="utf-8")


def _execution(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.id,
        "trigger": execution.trigger,
        "status": execution.status,
        "seconds": execution.seconds,
        "stages": [asdict(stage) for stage in execution.stages],
    }


def _metrics(rehearsal: Rehearsal, executions: list[Execution]) -> dict[str, float]:
    """The metrics of the newest manifest that an execution has written."""
    s3 = rehearsal.gateway.client("s3")
    for execution in reversed(executions):
        for bucket in rehearsal.run_buckets():
            key = RunFolder(bucket=bucket, execution_id=execution.id).manifest_key
            try:
                content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except s3.exceptions.NoSuchKey:
                continue
            metrics = Manifest.from_json(content).metrics
            return {name.removesuffix(".value"): value for name, value in metrics.items()}
    return {}
