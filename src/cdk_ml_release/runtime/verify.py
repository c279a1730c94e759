"""Check the released endpoint: the requested configuration, and the predictions that were evaluated."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from . import aws, endpoint_log, in_service, predictions, program, restore, storage
from .asking import Ask, AtOnce, ThroughQueue, quoted
from .contract import ReleaseSettings, StageFailed, endpoint_record_key
from .in_service import Record
from .predictions import Row
from .registry import read_manifest

_PATIENCE = aws.Pace(first_seconds=0.5, longest_seconds=15.0, limit_seconds=600.0)
_CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
_MOST_ROWS = 3
# SageMaker's own limit of an update is eight hours; a build must end before, and say how far it came.
_LONGEST_WAY_BACK_SECONDS = 7 * 3600.0


def verify(
    env: Mapping[str, str], client: Callable[..., Any] = aws.client, pace: aws.Pace = _PATIENCE
) -> dict[str, str]:
    """Check the endpoint, then record what it serves.

    Args:
        env: The environment of the CodeBuild project and of the pipeline action.
        client: Gives the client of an AWS service, in a region if one is named.
        pace: How often to look at an endpoint that is changing, and for how long.

    Returns:
        Nothing: no later action needs a result.

    Raises:
        StageFailed: if the endpoint is not what was released. A first release is taken out of service, after a later
            one the endpoint is put back on the release that was in service before.
    """
    settings = ReleaseSettings.from_environment(env)
    s3 = client("s3")
    manifest = read_manifest(s3, settings.bucket, env["ML_MANIFEST_KEY"])
    # Only the endpoint may be in another account or region, the latter with a bucket of its own.
    near = aws.clients_in(settings.region, client)
    there = aws.clients_as(settings.target_role, near)
    cloudformation = there("cloudformation")
    written = storage.read(s3, settings.bucket, endpoint_record_key(settings.endpoint_name))
    before = Record.from_json(written) if written is not None else None
    try:
        check_configuration(there("sagemaker"), settings.endpoint_name, env["ML_RELEASE_NAME"], pace)
        content = storage.read(s3, *storage.split(manifest.predictions_uri))
        rows = predictions.read(content, manifest.predictions_uri)
        ask = _ask(settings, env["ML_RELEASE_NAME"], near("s3"), there("sagemaker-runtime"), pace)
        replay(ask, settings.endpoint_name, rows)
    except StageFailed as refusal:
        # Read first: going back takes the fleet away that has written it.
        lines = endpoint_log.last_lines(there("logs"), settings.endpoint_name, pace)
        log = f"; its log ends: {' | '.join(lines)}" if lines else ""
        undone = take_back(cloudformation, settings.stack_name, env["ML_RELEASE_NAME"], before, pace)
        raise StageFailed(f"{refusal}{log}; {undone}") from None
    template, parameters = restore.deployed(cloudformation, settings.stack_name)
    record = Record(
        manifest=manifest,
        template=template,
        parameters=parameters,
        before=before.followed_by(manifest) if before is not None else "",
    )
    in_service.write(s3, settings.bucket, settings.endpoint_name, record)
    print(f"{settings.endpoint_name}: {env['ML_RELEASE_NAME']} is in service, {len(rows)} predictions are as evaluated")
    return {}


def take_back(
    cloudformation: Any, stack_name: str, release_name: str, before: Record | None, pace: aws.Pace = _PATIENCE
) -> str:
    """Undo a release that is not right.

    Args:
        cloudformation: A CloudFormation client.
        stack_name: The endpoint's stack.
        release_name: What was released.
        before: What was in service before, if anything was.
        pace: How often to look at the stack; it is waited for as long as an update takes.

    Returns:
        What was done, in words.
    """
    if before is None:
        cloudformation.delete_stack(StackName=stack_name)
        return "taken out of service, for there was no release before: retry all actions of the stage"
    version = before.manifest.version
    if before.release_name == release_name:
        return f"this was the release in service before, version {version}: release another version"
    try:
        restore.restore(cloudformation, stack_name, before, replace(pace, limit_seconds=_LONGEST_WAY_BACK_SECONDS))
    except StageFailed as problem:
        return f"going back to version {version} is left to the stage's roll-back, for {problem}"
    return f"version {version} is back in service, to which the stage rolls back"


def check_configuration(sagemaker: Any, endpoint_name: str, release_name: str, pace: aws.Pace = _PATIENCE) -> None:
    """Refuse an endpoint that is not in service on the requested configuration: a roll-back looks like success.

    Raises:
        StageFailed: naming what it is instead.
    """
    for _ in pace:
        try:
            endpoint = sagemaker.describe_endpoint(EndpointName=endpoint_name)
        except ClientError as error:
            # From experience: the model names no error for an endpoint that does not exist.
            if aws.code(error) == "ValidationException":
                raise StageFailed(f"there is no endpoint '{endpoint_name}': {aws.message(error)}") from None
            raise
        if endpoint["EndpointStatus"] not in _CHANGING:
            break
    # SageMaker promises every endpoint a status, but not a configuration (botocore: DescribeEndpointOutput).
    status, config = endpoint["EndpointStatus"], endpoint.get("EndpointConfigName", "none")
    if status != "InService":
        reason = endpoint.get("FailureReason", "no reason given")
        raise StageFailed(f"the endpoint '{endpoint_name}' is {status}, not InService: {reason}")
    if config != release_name:
        raise StageFailed(f"the endpoint '{endpoint_name}' serves the configuration '{config}', not '{release_name}'")


def replay(ask: Ask, endpoint_name: str, rows: Sequence[Row]) -> None:
    """Ask the endpoint evaluated rows and compare its answers.

    Raises:
        StageFailed: naming the first rows that the endpoint answers differently, and how many there are.
    """
    different = [(row, answer) for row, answer in zip(rows, ask(rows), strict=True) if not row.answered_by(answer)]
    if different:
        told = [
            f"to {quoted(row.input)} it answers {quoted(answer.decode(errors='replace').strip())}, evaluated was "
            f"{quoted(str(row.prediction))}"
            for row, answer in different[:_MOST_ROWS]
        ]
        raise StageFailed(
            f"the endpoint '{endpoint_name}' predicts otherwise than the evaluation: {'; '.join(told)}; "
            f"{len(different)} of {len(rows)} rows differ, so training and serving do not prepare the data alike"
        )


def _ask(settings: ReleaseSettings, release_name: str, s3: Any, runtime: Any, pace: aws.Pace) -> Ask:
    """The way to ask the endpoint, which its template's parameters tell."""
    uri = settings.parameters.get("AsyncUri")
    if uri is None:
        return AtOnce(runtime=runtime, endpoint_name=settings.endpoint_name)
    return ThroughQueue(
        runtime=runtime, s3=s3, endpoint_name=settings.endpoint_name, uri=uri, label=release_name, pace=pace
    )


if __name__ == "__main__":
    sys.exit(program.run(verify))
