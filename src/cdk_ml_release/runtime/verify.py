"""Check the released endpoint: the requested configuration, and the predictions that were evaluated."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from . import aws, predictions, program, storage
from .contract import ReleaseSettings, StageFailed, endpoint_record_key
from .deploy import read_manifest
from .predictions import Row

_PATIENCE = aws.Pace(first_seconds=0.5, longest_seconds=15.0, limit_seconds=600.0)
_CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
# The faults of InvokeEndpoint that pass (botocore: sagemaker-runtime); a ModelError is the model's own.
_NOT_YET = aws.BUSY | {"InternalDependencyException", "InternalFailure", "ModelNotReadyException", "ServiceUnavailable"}
_LONGEST_QUOTE = 200


def verify(
    env: Mapping[str, str], client: Callable[[str], Any] = aws.client, pace: aws.Pace = _PATIENCE
) -> dict[str, str]:
    """Check the endpoint, then record what it serves.

    Args:
        env: The environment of the CodeBuild project and of the pipeline action.
        client: Gives the client of an AWS service.
        pace: How often to look at an endpoint that is changing, and for how long.

    Returns:
        Nothing: no later action needs a result.

    Raises:
        StageFailed: if the endpoint is not what was released. A first release is taken out of service; a later one
            is left to the stage's roll-back.
    """
    settings = ReleaseSettings.from_environment(env)
    s3 = client("s3")
    manifest = read_manifest(s3, settings.bucket, env["ML_MANIFEST_KEY"])
    record = endpoint_record_key(settings.endpoint_name)
    try:
        check_configuration(client("sagemaker"), settings.endpoint_name, env["ML_RELEASE_NAME"], pace)
        content = storage.read(s3, *storage.split(manifest.predictions_uri))
        rows = predictions.read(content, manifest.predictions_uri)
        replay(client("sagemaker-runtime"), settings.endpoint_name, rows)
    except StageFailed as refusal:
        if storage.read(s3, settings.bucket, record) is not None:
            raise StageFailed(f"{refusal}; going back to the release before") from None
        client("cloudformation").delete_stack(StackName=settings.stack_name)
        raise StageFailed(
            f"{refusal}; taken out of service, for there was no release before: retry all actions of the stage"
        ) from None
    s3.put_object(Bucket=settings.bucket, Key=record, Body=manifest.to_json().encode(), ContentType="application/json")
    print(f"{settings.endpoint_name}: {env['ML_RELEASE_NAME']} is in service, {len(rows)} predictions are as evaluated")
    return {}


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


def replay(runtime: Any, endpoint_name: str, rows: Sequence[Row], retries: aws.Pace = aws.RETRIES) -> None:
    """Send evaluated rows to the endpoint and compare its answers.

    Raises:
        StageFailed: naming the first row that the endpoint answers differently, and how many there are.
    """
    answers = [(row, _answer(runtime, endpoint_name, row, retries)) for row in rows]
    different = [(row, answer) for row, answer in answers if not row.answered_by(answer)]
    if different:
        row, answer = different[0]
        raise StageFailed(
            f"the endpoint '{endpoint_name}' predicts otherwise than the evaluation: to {_quoted(row.input)} it "
            f"answers {_quoted(answer.decode(errors='replace').strip())}, evaluated was "
            f"{_quoted(str(row.prediction))}; {len(different)} of {len(rows)} rows differ, so training and serving do "
            "not prepare the data alike"
        )


def _answer(runtime: Any, endpoint_name: str, row: Row, retries: aws.Pace) -> bytes:
    def ask() -> bytes:
        response = runtime.invoke_endpoint(
            EndpointName=endpoint_name, ContentType=row.content_type, Accept=row.content_type, Body=row.input.encode()
        )
        answer: bytes = response["Body"].read()
        return answer

    try:
        return aws.retried(ask, _NOT_YET, retries)
    except ClientError as error:
        if aws.code(error) in _NOT_YET:
            raise StageFailed(f"the endpoint '{endpoint_name}' does not answer: {aws.message(error)}") from None
        if aws.code(error) in ("ModelError", "ValidationError"):
            raise StageFailed(
                f"the endpoint '{endpoint_name}' refuses the evaluated row {_quoted(row.input)}: {aws.message(error)}"
            ) from None
        raise


def _quoted(text: str) -> str:
    return f"'{text}'" if len(text) <= _LONGEST_QUOTE else f"'{text[:_LONGEST_QUOTE]}...'"


if __name__ == "__main__":
    sys.exit(program.run(verify))
