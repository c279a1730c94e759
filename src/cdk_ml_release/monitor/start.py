"""Starts a deployed monitor, without waiting for its schedule."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from ..drift.window import Window
from ..runtime import aws
from ..runtime.contract import StageFailed

_SCHEDULED = "--scheduled="


def start(endpoint: str, start_time: str | None = None, end_time: str | None = None) -> str:
    """Run the monitor of an endpoint once, as its schedule would.

    Args:
        endpoint: The endpoint's name.
        start_time: Where the window starts. Default: the window that ended with the last full hour.
        end_time: Where it ends.

    Returns:
        The name of the processing job.

    Raises:
        StageFailed: if the endpoint has no monitor.
    """
    request = _request(endpoint)
    if start_time is not None and end_time is not None:
        window = Window.between(start_time, end_time)
        times = [f"--start={window.start.isoformat()}", f"--end={window.end.isoformat()}"]
        application = request["AppSpecification"]
        given = [each for each in application["ContainerArguments"] if not each.startswith(_SCHEDULED)]
        application["ContainerArguments"] = [*times, *given]
    aws.client("sagemaker").create_processing_job(**request)
    name: str = request["ProcessingJobName"]
    bucket = request["Environment"]["ML_BUCKET"]
    print(f"job {name} compares it now; results: s3://{bucket}/monitoring/{endpoint}/")
    return name


def _request(endpoint: str) -> dict[str, Any]:
    """What the schedule of the monitor asks SageMaker for, as it would now."""
    schedule = f"{endpoint}-monitor"
    try:
        target = aws.client("scheduler").get_schedule(Name=schedule)["Target"]
    except ClientError as error:
        if aws.code(error) == "ResourceNotFoundException":
            raise StageFailed(
                f"the endpoint '{endpoint}' has no monitor in this account and region: there is no schedule "
                f"{schedule}; SageMaker Model Monitor runs by its own"
            ) from None
        raise
    text = target["Input"].replace("<aws.scheduler.execution-id>", uuid.uuid4().hex[:16])
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    request: dict[str, Any] = json.loads(text.replace("<aws.scheduler.scheduled-time>", now))
    return request
