"""Submit one SageMaker job and wait for it; a retried stage finds its own jobs again."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from . import aws
from .contract import StageFailed, Task, fill, job_name
from .logs import LogTail

PACE = aws.Pace()

_MOST_ATTEMPTS = 99
_ENDED = ("Completed", "Failed", "Stopped")
# The model names ResourceNotFound; what answers today is ValidationException (from experience). Were it another
# ValidationException, the creation that follows would be refused with the same one.
_NOT_FOUND = ("ResourceNotFound", "ValidationException")
# What a user can mend: a quota, a role or an address. Anything else keeps its traceback.
_REFUSED = ("ResourceLimitExceeded", "ResourceNotFound", "ValidationException")
# Logs arrive some seconds late; how much later nobody says. Ten seconds is what SageMaker's own SDK waits.
_LONGEST_LAST_WORDS_SECONDS = 10.0
# Two minutes, at the usual pace.
_LOOKS_UNTIL_SHOWN = 20


@dataclass(frozen=True)
class Kind:
    """The two kinds of jobs differ in the names of things only."""

    noun: str
    """``Processing`` or ``Training``, as in the API's names."""

    @property
    def log_group(self) -> str:
        """Where SageMaker writes the container's output."""
        return f"/aws/sagemaker/{self.noun}Jobs"

    def title(self, name: str) -> str:
        """What messages call a job."""
        return f"the {self.noun.lower()} job '{name}'"

    def create(self, sagemaker: Any, request: Mapping[str, Any]) -> None:
        """Start the job."""
        getattr(sagemaker, f"create_{self.noun.lower()}_job")(**request)

    def describe(self, sagemaker: Any, name: str) -> dict[str, Any] | None:
        """The job of that name, or None."""
        describe = getattr(sagemaker, f"describe_{self.noun.lower()}_job")
        try:
            # A build must not end before its job because the account asks SageMaker too much.
            found: dict[str, Any] = aws.retried(lambda: describe(**{f"{self.noun}JobName": name}), aws.BUSY)
        except ClientError as error:
            if aws.code(error) in _NOT_FOUND:
                return None
            raise
        return found

    def status(self, job: Mapping[str, Any]) -> str:
        """``InProgress``, ``Completed``, ``Failed``, ``Stopping``, ``Stopped`` or ``Deleting``."""
        status: str = job[f"{self.noun}JobStatus"]
        return status

    def end(self, job: Mapping[str, Any]) -> str:
        """How a job that did not complete came to its end, in words."""
        limits: Mapping[str, int] = job.get("StoppingCondition", {})
        longest = limits.get("MaxRuntimeInSeconds", math.inf)
        why = job.get("SecondaryStatus")
        if self.status(job) == "Failed":
            told = "failed"
        elif why == "MaxWaitTimeExceeded":
            told = f"waited longer than its {limits['MaxWaitTimeInSeconds']} seconds for spot capacity"
        elif why == "MaxRuntimeExceeded" or (why is None and self._took(job) >= longest):
            told = f"reached its time limit of {longest} seconds: raise 'max_runtime'"
        else:
            told = "was stopped before its end: retry the stage to run it again"
        reasons = [job[part] for part in ("FailureReason", "ExitMessage") if job.get(part)]
        if not reasons and self.status(job) == "Failed":
            reasons = ["no reason given"]
        return ": ".join([told, "; ".join(reasons)]) if reasons else told

    def _took(self, job: Mapping[str, Any]) -> float:
        """Seconds from start to end: all that tells a processing job at its limit from one that somebody stopped."""
        ended = job.get(f"{self.noun}EndTime", job["CreationTime"])
        took: timedelta = ended - job.get(f"{self.noun}StartTime", job["CreationTime"])
        return took.total_seconds()


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
    pace: aws.Pace = PACE,
) -> dict[str, Any]:
    """Run the job of a request document, or take up the one that an earlier try of this stage has started.

    The last job of this execution is used again if it Completed with the same inputs, and waited for if it is in
    progress; a failed, stopped or outdated one is followed by the next attempt under a name of its own.

    Args:
        kind: What kind of job it is.
        document: The request, with placeholders.
        values: What the placeholders stand for, except ``JobName`` and ``Inputs``.
        model_name: The model's name.
        task: The verb that the job runs.
        data_version: Part of the job's inputs, for the same prefix may hold other data on a retry.
        sagemaker: A SageMaker client.
        logs: A CloudWatch Logs client.
        pace: How often the job is looked at.

    Returns:
        The job's description, once it has Completed.

    Raises:
        StageFailed: if the job failed or was refused, or its name belongs to another execution.
    """
    request = fill(document, values)
    inputs = hashlib.sha256(json.dumps([request, data_version], sort_keys=True).encode()).hexdigest()
    watch = _Watch(kind, sagemaker, logs, pace)
    previous: tuple[str, dict[str, Any]] | None = None
    looks = islice(watch.pace, _LOOKS_UNTIL_SHOWN)
    attempt = 1
    while attempt <= _MOST_ATTEMPTS:
        name = job_name(model_name, task, values["ExecutionId"], attempt)
        job = kind.describe(sagemaker, name)
        if job is not None:
            _check_owner(kind, name, job, values["ExecutionId"])
            previous, attempt = (name, job), attempt + 1
            continue
        taken_up = _take_up(watch, task, *previous, inputs) if previous else None
        if taken_up is not None:
            return taken_up
        if _start(watch, task, name, fill(request, {"JobName": name, "Inputs": inputs})):
            return watch.completed(name)
        if next(looks, None) is None:
            raise StageFailed(f"{kind.title(name)} cannot be started, for SageMaker says that it exists, nor be found")
    raise StageFailed(f"'{task}' was tried {_MOST_ATTEMPTS} times in this execution: mend the cause, start a new one")


def _check_owner(kind: Kind, name: str, job: Mapping[str, Any], execution_id: str) -> None:
    if job.get("Environment", {}).get("ML_EXECUTION_ID") != execution_id:
        raise StageFailed(
            f"the {kind.noun.lower()} job name '{name}' is taken by a job of another execution: start a new "
            "execution, which gets a name of its own"
        )


def _take_up(watch: _Watch, task: Task, name: str, job: Mapping[str, Any], inputs: str) -> dict[str, Any] | None:
    """The job of an earlier try, once it has Completed; None if another attempt is needed."""
    status, same = watch.kind.status(job), job["Environment"].get("ML_INPUTS") == inputs
    if same and status == "InProgress":
        print(f"{task}: job {name} is in progress, waiting for it")
        return watch.completed(name)
    if status not in _ENDED:
        # It and the next one would write to the same folder of the run.
        print(f"{task}: job {name} is {status}{'' if same else ' with other inputs'}, waiting for its end")
        job = watch.ended(name)
        status = watch.kind.status(job)
    if same and status == "Completed":
        print(f"{task}: job {name} has Completed with the same inputs, using its results")
        return dict(job)
    print(f"{task}: job {name} {'is ' + status if same else 'had other inputs'}, starting the next attempt")
    return None


def _start(watch: _Watch, task: Task, name: str, request: Mapping[str, Any]) -> bool:
    """Start the job; False if there is one of that name after all."""
    print(f"{task}: starting {watch.kind.noun.lower()} job {name}")
    try:
        watch.kind.create(watch.sagemaker, request)
    except ClientError as error:
        # The answer to an earlier try of this very call may have been lost on its way.
        if aws.code(error) == "ResourceInUse":
            return False
        if aws.code(error) in _REFUSED:
            raise StageFailed(f"SageMaker refuses {watch.kind.title(name)}: {aws.message(error)}") from None
        raise
    return True


@dataclass(frozen=True)
class _Watch:
    """Waits for a job, and prints its log meanwhile."""

    kind: Kind
    sagemaker: Any
    logs: Any
    pace: aws.Pace

    def completed(self, name: str) -> dict[str, Any]:
        """Wait until the job has Completed; any other end is a failure of the stage."""
        job = self.ended(name)
        if self.kind.status(job) != "Completed":
            raise StageFailed(f"{self.kind.title(name)} {self.kind.end(job)}")
        return job

    def ended(self, name: str) -> dict[str, Any]:
        """Wait until the job has come to its end, whichever it is."""
        tail, unseen = LogTail(self.logs, self.kind.log_group, name), 0
        for passed in self.pace:
            job = self.kind.describe(self.sagemaker, name)
            if job is None:
                # A new job may take a moment to show; one that was there before is gone.
                unseen += 1
                if unseen > _LOOKS_UNTIL_SHOWN:
                    break
                continue
            unseen = _LOOKS_UNTIL_SHOWN
            tail.print_new()
            if self.kind.status(job) in _ENDED:
                # A job of seconds, such as a rehearsed one, has a log that comes as fast.
                time.sleep(min(passed / 20, _LONGEST_LAST_WORDS_SECONDS))
                tail.print_new()
                return job
        raise StageFailed(f"{self.kind.title(name)} was deleted while the build waited for it: retry the stage")
