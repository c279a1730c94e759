"""Submit one SageMaker job and wait for it; a retried stage finds its own jobs again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .contract import StageFailed, Task, fill, job_name

_MOST_ATTEMPTS = 99
_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0
# Which of the two it is differs between SageMaker's APIs.
_NOT_FOUND = ("ValidationException", "ResourceNotFound")


@dataclass(frozen=True)
class Kind:
    """The two kinds of jobs differ in the names of things only."""

    noun: str
    """``Processing`` or ``Training``, as in the API's names."""

    @property
    def log_group(self) -> str:
        """Where SageMaker writes the container's output."""
        return f"/aws/sagemaker/{self.noun}Jobs"

    def create(self, sagemaker: Any, request: Mapping[str, Any]) -> None:
        """Start the job."""
        getattr(sagemaker, f"create_{self.noun.lower()}_job")(**request)

    def describe(self, sagemaker: Any, name: str) -> dict[str, Any] | None:
        """The job of that name, or None."""
        try:
            found: dict[str, Any] = getattr(sagemaker, f"describe_{self.noun.lower()}_job")(
                **{f"{self.noun}JobName": name}
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_FOUND:
                return None
            raise
        return found

    def status(self, job: Mapping[str, Any]) -> str:
        """``InProgress``, ``Completed``, ``Failed``, ``Stopping`` or ``Stopped``."""
        status: str = job[f"{self.noun}JobStatus"]
        return status


PROCESSING = Kind("Processing")
TRAINING = Kind("Training")


def run(
    kind: Kind,
    document: Mapping[str, Any],
    values: Mapping[str, str],
    *,
    model_name: str,
    task: Task,
    data_version: str,
    sagemaker: Any,
    logs: Any,
) -> dict[str, Any]:
    """Run the job of a request document, or take up the one that an earlier try of this stage has started.

    A job of this execution that Completed with the same inputs is used again, one in progress is waited for, and a
    failed or stopped one is followed by the next attempt under a name of its own.

    Args:
        kind: What kind of job it is.
        document: The request, with placeholders.
        values: What the placeholders stand for, except ``JobName`` and ``Inputs``.
        model_name: The model's name.
        task: The verb that the job runs.
        data_version: Part of the job's inputs, for the same prefix may hold other data on a retry.
        sagemaker: A SageMaker client.
        logs: A CloudWatch Logs client.

    Returns:
        The job's description, once it has Completed.

    Raises:
        StageFailed: if the job failed, or its name belongs to another execution.
    """
    request = fill(document, values)
    inputs = hashlib.sha256(json.dumps([request, data_version], sort_keys=True).encode()).hexdigest()
    execution_id = values["ExecutionId"]
    for attempt in range(1, _MOST_ATTEMPTS + 1):
        name = job_name(model_name, task, execution_id, attempt)
        job = kind.describe(sagemaker, name)
        if job is None:
            print(f"{task}: starting {kind.noun.lower()} job {name}", flush=True)
            kind.create(sagemaker, fill(request, {"JobName": name, "Inputs": inputs}))
            return _wait(kind, name, sagemaker, logs)
        if job.get("Environment", {}).get("ML_EXECUTION_ID") != execution_id:
            raise StageFailed(
                f"the {kind.noun.lower()} job name '{name}' is taken by a job of another execution: start a new "
                "execution, which gets a name of its own"
            )
        if job["Environment"].get("ML_INPUTS") == inputs:
            if kind.status(job) == "Completed":
                print(f"{task}: job {name} has Completed with the same inputs, using its results", flush=True)
                return job
            if kind.status(job) == "InProgress":
                print(f"{task}: job {name} is in progress, waiting for it", flush=True)
                return _wait(kind, name, sagemaker, logs)
        print(f"{task}: job {name} is {kind.status(job)}, starting the next attempt", flush=True)
    raise StageFailed(f"'{task}' was tried {_MOST_ATTEMPTS} times in this execution: mend the cause, start a new one")


def _wait(kind: Kind, name: str, sagemaker: Any, logs: Any) -> dict[str, Any]:
    tail = _LogTail(logs, kind.log_group, name)
    delay = _FIRST_DELAY_SECONDS
    while True:
        job = kind.describe(sagemaker, name)
        if job is None:
            raise StageFailed(f"the job '{name}' was deleted while the build waited for it: retry the stage")
        tail.print_new()
        status = kind.status(job)
        if status == "Completed":
            return job
        if status in ("Failed", "Stopped"):
            reasons = (job.get("FailureReason"), job.get("ExitMessage"))
            reason = "; ".join(part for part in reasons if part) or "no reason given"
            raise StageFailed(f"the {kind.noun.lower()} job '{name}' {status.lower()}: {reason}")
        time.sleep(delay)
        delay = min(delay * 1.5, _LONGEST_DELAY_SECONDS)


class _LogTail:
    """Prints what a job's containers have written since the last look."""

    def __init__(self, logs: Any, group: str, job: str) -> None:
        self._logs = logs
        self._group = group
        self._prefix = f"{job}/"
        self._tokens: dict[str, str] = {}

    def print_new(self) -> None:
        try:
            streams = self._logs.describe_log_streams(
                logGroupName=self._group, logStreamNamePrefix=self._prefix, limit=50
            )["logStreams"]
        except ClientError as error:
            # The group appears with the first line that any job in the account writes.
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return
        for stream in streams:
            self._print_stream(stream["logStreamName"])

    def _print_stream(self, stream: str) -> None:
        while True:
            known = {"nextToken": self._tokens[stream]} if stream in self._tokens else {}
            page = self._logs.get_log_events(
                logGroupName=self._group, logStreamName=stream, startFromHead=True, **known
            )
            for event in page["events"]:
                print(f"  {event['message']}", flush=True)
            last, self._tokens[stream] = self._tokens.get(stream), page["nextForwardToken"]
            if not page["events"] or self._tokens[stream] == last:
                return
