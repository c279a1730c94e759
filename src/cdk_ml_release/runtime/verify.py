"""Check the released endpoint: the requested configuration, and the predictions that were evaluated."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import boto3
from botocore.exceptions import ClientError

from . import program, storage
from .contract import Manifest, ReleaseSettings, StageFailed, endpoint_record_key
from .deploy import read_manifest

_MOST_ROWS = 50
# Room for another machine's last digits, none for another preprocessing.
_RELATIVE_TOLERANCE = 1e-6
_ABSOLUTE_TOLERANCE = 1e-9


def verify(env: Mapping[str, str]) -> dict[str, str]:
    """Check the endpoint, then record what it serves.

    Raises:
        StageFailed: if the endpoint is not what was released. A first release is taken out of service; a later one
            is left to the stage's roll-back.
    """
    settings = ReleaseSettings.from_environment(env)
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    manifest = read_manifest(s3, settings.bucket, env["ML_MANIFEST_KEY"])
    record = endpoint_record_key(settings.endpoint_name)
    try:
        check_configuration(sagemaker, settings.endpoint_name, env["ML_RELEASE_NAME"])
        count = replay(boto3.client("sagemaker-runtime"), settings.endpoint_name, _rows(s3, manifest))
    except StageFailed as refusal:
        if storage.read(s3, settings.bucket, record) is not None:
            raise StageFailed(f"{refusal}; going back to the release before") from None
        boto3.client("cloudformation").delete_stack(StackName=settings.stack_name)
        raise StageFailed(f"{refusal}; taken out of service, for there was no release before") from None
    s3.put_object(Bucket=settings.bucket, Key=record, Body=manifest.to_json().encode(), ContentType="application/json")
    print(f"{settings.endpoint_name}: {env['ML_RELEASE_NAME']} is in service, {count} predictions are as evaluated")
    return {}


def check_configuration(sagemaker: Any, endpoint_name: str, release_name: str) -> None:
    """Refuse an endpoint that is not in service on the requested configuration: a roll-back looks like success.

    Raises:
        StageFailed: naming what it is instead.
    """
    endpoint = sagemaker.describe_endpoint(EndpointName=endpoint_name)
    status, config = endpoint["EndpointStatus"], endpoint["EndpointConfigName"]
    if status != "InService":
        reason = endpoint.get("FailureReason", "no reason given")
        raise StageFailed(f"the endpoint '{endpoint_name}' is {status}, not InService: {reason}")
    if config != release_name:
        raise StageFailed(f"the endpoint '{endpoint_name}' serves the configuration '{config}', not '{release_name}'")


def replay(runtime: Any, endpoint_name: str, rows: list[dict[str, Any]]) -> int:
    """Send evaluated rows to the endpoint and compare its answers.

    Returns:
        How many rows were compared.

    Raises:
        StageFailed: naming the first row that the endpoint answers differently, and how many there are.
    """
    different = []
    for row in rows:
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=endpoint_name,
                ContentType=row.get("content_type", "text/csv"),
                Accept=row.get("content_type", "text/csv"),
                Body=row["input"].encode(),
            )["Body"].read()
        except ClientError as error:
            raise StageFailed(
                f"the endpoint '{endpoint_name}' refuses the evaluated row '{row['input']}': "
                f"{error.response['Error'].get('Message', error)}"
            ) from None
        if not _same(row["prediction"], answer):
            different.append((row, answer))
    if different:
        row, answer = different[0]
        raise StageFailed(
            f"the endpoint '{endpoint_name}' predicts otherwise than the evaluation: to '{row['input']}' it answers "
            f"{answer.decode(errors='replace').strip()}, evaluated was {row['prediction']}; {len(different)} of "
            f"{len(rows)} rows differ, so training and serving do not prepare the data alike"
        )
    return len(rows)


def _rows(s3: Any, manifest: Manifest) -> list[dict[str, Any]]:
    """At most 50 evaluated rows, spread evenly over the file."""
    content = storage.read(s3, *storage.split(manifest.predictions_uri))
    lines = [line for line in (content or b"").splitlines() if line.strip()]
    if not lines:
        raise StageFailed(f"no evaluated rows in {manifest.predictions_uri}: let 'evaluate' write predictions.jsonl")
    step = max(1, len(lines) // _MOST_ROWS)
    rows = [json.loads(line) for line in lines[::step][:_MOST_ROWS]]
    for row in rows:
        if not isinstance(row, dict) or not {"input", "prediction"} <= row.keys():
            raise StageFailed(f"{manifest.predictions_uri} must hold objects with 'input' and 'prediction', got {row}")
    return rows


def _same(expected: Any, answer: bytes) -> bool:
    wanted, got = list(_leaves(expected)), list(_answered(answer))
    return len(wanted) == len(got) and all(_equal(*pair) for pair in zip(wanted, got, strict=True))


def _answered(answer: bytes) -> Iterator[Any]:
    text = answer.decode(errors="replace").strip()
    try:
        return _leaves(json.loads(text))
    except ValueError:
        return chain.from_iterable(csv.reader(text.splitlines()))


def _leaves(value: Any) -> Iterator[Any]:
    """The outputs in a prediction, whatever lists and objects are around them."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _equal(expected: Any, got: Any) -> bool:
    try:
        return math.isclose(
            float(expected), float(got), rel_tol=_RELATIVE_TOLERANCE, abs_tol=_ABSOLUTE_TOLERANCE
        )
    except (TypeError, ValueError):
        return str(expected) == str(got)


if __name__ == "__main__":
    sys.exit(program.run(verify))
