"""What a rehearsal leaves behind: ``report.json`` for programs, ``report.html`` for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..cost import estimate
from ..cost.assembly import CostError
from ..runtime.contract import Gate, Manifest, RunFolder
from .cloud.releases import Release
from .page.page import render
from .pipelines.execution import Execution, StageRun
from .rehearsal import Rehearsal
from .window_reports import bring_report


def report(rehearsal: Rehearsal, refusal: str = "") -> dict[str, Any]:
    """The whole rehearsal as a JSON value; the reports of its windows are copied into its folder.

    Args:
        rehearsal: A rehearsal that is still on its stage.
        refusal: Why it could not go on, if so.
    """
    walkers = rehearsal.walkers.items()
    executions = [execution for _, walker in walkers for execution in walker.executions]
    manifests = list(_manifests(rehearsal, executions))
    succeeded = bool(walkers) and rehearsal.succeeded and not refusal
    s3, began = rehearsal.gateway.client("s3"), rehearsal.chronicle.began
    return {
        "status": "Succeeded" if succeeded else "Failed",
        "reason": "" if succeeded else refusal or _reason(executions),
        "pipeline": ", ".join(rehearsal.walkers),
        "seconds": rehearsal.seconds,
        "job_seconds": round(sum(job.process_seconds for job in rehearsal.jobs.all), 2),
        "executions": [_execution(each, began) for each in executions],
        "jobs": [
            {"name": job.name, "kind": job.noun, "status": job.status, "seconds": round(job.process_seconds, 2)}
            for job in rehearsal.jobs.all
        ],
        "metrics": _metrics(manifests[-1]) if manifests else {},
        "gates": list(_gates(rehearsal)),
        "versions": [_version(each) for each in manifests],
        "endpoints": [
            {
                "name": endpoint.name,
                "status": endpoint.status,
                "config": endpoint.config,
                "model_package_arn": rehearsal.endpoints.model_package_arn(endpoint),
            }
            for endpoint in rehearsal.endpoints.all
        ],
        "releases": [_release(each, began) for each in rehearsal.endpoints.releases],
        "traffic": [stream.to_json() for stream in rehearsal.streams],
        "sent": [each.to_json() for each in rehearsal.sent],
        "windows": [each | {"report": bring_report(s3, each, rehearsal.out)} for each in rehearsal.windows],
        "predictions": [asdict(prediction) for prediction in rehearsal.predictions],
        "cost": _cost(rehearsal.assembly.folder),
        "log": rehearsal.log,
    }


def write_report(content: dict[str, Any], folder: Path) -> None:
    """Write both reports into a folder."""
    (folder / "report.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(render(content), encoding="utf-8")


def _reason(executions: list[Execution]) -> str:
    """Why the last execution that did not succeed did not."""
    failed = [each for each in executions if each.status != "Succeeded"]
    return next(_failures(failed[-1].stages), "") if failed else ""


def _failures(stages: list[StageRun]) -> Iterator[str]:
    for stage in stages:
        if stage.status == "Failed":
            yield from (f"{stage.name} / {run.name}: {run.message}" for run in stage.actions if run.status == "Failed")
            yield f"{stage.name}: {stage.message}"


def _execution(execution: Execution, began: float) -> dict[str, Any]:
    planned = [stage.name for stage in execution.plan.stages]
    reached = planned.index(execution.stages[-1].name) + 1 if execution.stages else 0
    return {
        "id": execution.id,
        "pipeline": execution.plan.name,
        "trigger": execution.trigger,
        "status": execution.status,
        "at": round(execution.began - began, 2),
        "seconds": execution.seconds,
        "stages": [asdict(stage) for stage in execution.stages],
        "not_reached": [] if execution.is_roll_back else planned[reached:],
    }


def _release(release: Release, began: float) -> dict[str, Any]:
    return release.to_json() | {"at": round(release.began - began, 2)}


def _manifests(rehearsal: Rehearsal, executions: list[Execution]) -> Iterator[Manifest]:
    """What executions have built, in their order."""
    s3 = rehearsal.gateway.client("s3")
    for execution in executions:
        for bucket in sorted(rehearsal.run_buckets()):
            key = RunFolder(bucket=bucket, execution_id=execution.id).manifest_key
            try:
                content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except s3.exceptions.NoSuchKey:
                continue
            yield Manifest.from_json(content)


def _version(manifest: Manifest) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "model_package_arn": manifest.model_package_arn,
        "execution_id": manifest.execution_id,
        "metrics": _metrics(manifest),
    }


def _metrics(manifest: Manifest) -> dict[str, float]:
    return {name.removesuffix(".value"): value for name, value in manifest.metrics.items()}


def _gates(rehearsal: Rehearsal) -> Iterator[dict[str, str]]:
    """The limits that a model must keep, each once."""
    for declared in sorted(rehearsal.places.gates()):
        for gate in (Gate(**each) for each in json.loads(declared)):
            metric = gate.metric.removesuffix(".value")
            yield {"metric": metric, "comparison": gate.comparison, "rule": gate.rule}


def _cost(assembly: Path) -> Mapping[str, Any]:
    """The estimate, or why there is none."""
    try:
        return estimate(assembly).to_data()
    except CostError as refusal:
        return {"refused": str(refusal)}
