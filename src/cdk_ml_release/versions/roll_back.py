"""``ml-release roll-back``: start the pipeline with the version that it is to release."""

from __future__ import annotations

import boto3
from rich.console import Console

from .pipeline import Client, Released, VersionsError, find
from .registry import Serving, serving, version, versions


def roll_back(pipeline: str, model: str | None, to: int | None) -> str:
    """Start an execution that releases a registered version.

    Args:
        pipeline: The pipeline's name.
        model: Which of its models. Default: the only one.
        to: The number of the version. Default: the one that the last endpoint of the pipeline served before.

    Returns:
        The execution's id.

    Raises:
        VersionsError: if there is nothing to go back to.
    """
    client: Client = boto3.Session().client
    released = find(client, pipeline, model)
    newest = versions(client, released.model, 1)
    if not newest:
        raise VersionsError(f"the model '{released.model}' has no registered version yet")
    now = _now(client, released, newest[0].evaluation_uri)
    arn = _before(released, now) if to is None else f"{newest[0].arn.rpartition('/')[0]}/{to}"
    chosen = version(client, arn)
    if chosen.status == "Rejected":
        raise VersionsError(f"version {chosen.number} of '{released.model}' was rejected: choose another one with --to")
    started: str = client("codepipeline").start_pipeline_execution(
        name=pipeline, variables=[{"name": released.variable, "value": str(chosen.number)}]
    )["pipelineExecutionId"]
    instead = f", instead of version {now.record.manifest.version}" if now is not None else ""
    Console(soft_wrap=True).print(
        f"execution {started} of {pipeline} releases version {chosen.number} of {released.model}{instead}; "
        "if the pipeline has an approval, it waits there for you",
        highlight=False,
    )
    return started


def _now(client: Client, released: Released, evaluation_uri: str) -> Serving | None:
    """What the last endpoint of the pipeline serves: the one that users see."""
    if not released.endpoints or not evaluation_uri:
        return None
    found = {each.endpoint: each for each in serving(client, evaluation_uri.split("/")[2])}
    return found.get(released.endpoints[-1])


def _before(released: Released, now: Serving | None) -> str:
    if now is None:
        where = f"'{released.endpoints[-1]}'" if released.endpoints else f"the pipeline '{released.pipeline}'"
        raise VersionsError(f"{where} has no release in service, so none before it: name a version with --to")
    if not now.record.before:
        raise VersionsError(
            f"'{now.endpoint}' has served no version but {now.record.manifest.version}: name another one with --to"
        )
    return now.record.before
