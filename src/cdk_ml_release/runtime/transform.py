"""Run the transform jobs of a batch; a retried stage finds its own jobs again."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from . import aws
from .contract import StageFailed, fill, run_label
from .jobs import Kind
from .logs import LogTail

TRANSFORM = Kind("Transform")

_MOST_ATTEMPTS = 99
_LOOKS_UNTIL_SHOWN = 20
_LONGEST_LAST_WORDS_SECONDS = 10.0
_REFUSED = ("ResourceLimitExceeded", "ResourceNotFound", "ValidationException")
# What is not the records' fault, as far as the reasons of failed jobs show (sagemaker-python-sdk issue 1284,
# amazon-sagemaker-examples issue 755); no reference lists them.
_NOT_THE_RECORDS = re.compile(r"internal\s*(server\s*)?error|capacity", re.IGNORECASE)
# <time>:[sagemaker logs]: <bucket>/<key>: <text> (source: sagemaker-tensorflow-serving-container issue 93).
_TOLD = re.compile(r".*?\[sagemaker logs\]: (?P<object>.*?): (?P<text>.*)")
_LONGEST_REASON = 300


@dataclass(frozen=True, kw_only=True)
class Transforms:
    """The transform jobs of one batch, which differ in what they read and where they write."""

    batch_name: str
    execution_id: str
    document: Mapping[str, Any]
    """The request, with placeholders."""
    values: Mapping[str, str]
    """What the placeholders stand for, except ``JobName``, ``Inputs``, ``InputUri`` and ``OutputUri``."""
    limit_seconds: float
    sagemaker: Any
    logs: Any
    pace: aws.Pace

    def run(
        self, input_uri: str, output_uri: str, version: str, has_results: Callable[[Mapping[str, Any]], bool]
    ) -> dict[str, Any]:
        """Score the objects under a prefix, or take up the job that an earlier try of this stage has started.

        Args:
            input_uri: Whose objects are scored.
            output_uri: Where SageMaker leaves an ``.out`` for every object whose records were all answered.
            version: Identifies the objects' contents, for the same prefix may hold others on a retry.
            has_results: Whether a job has left anything there: if not, a retry runs it again.

        Returns:
            The description of the job that Completed, or that Failed because of records.

        Raises:
            StageFailed: if it was refused, was stopped, took too long, or failed otherwise.
        """
        request = fill(self.document, {**self.values, "InputUri": input_uri, "OutputUri": output_uri})
        inputs = hashlib.sha256(json.dumps([request, version], sort_keys=True).encode()).hexdigest()
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            name = self._name(f"{inputs}-{attempt}")
            job = TRANSFORM.describe(self.sagemaker, name)
            if job is None:
                self._start(name, fill(request, {"JobName": name, "Inputs": inputs}))
                return self._judged(name, self._ended(name))
            self._check_owner(name, job)
            if TRANSFORM.status(job) not in ("Completed", "Failed", "Stopped"):
                print(f"the transform job {name} is {TRANSFORM.status(job)}, waiting for it")
                return self._judged(name, self._ended(name))
            if TRANSFORM.status(job) == "Completed" or (TRANSFORM.status(job) == "Failed" and has_results(job)):
                print(f"the transform job {name} has {TRANSFORM.status(job)} with the same inputs, using its results")
                return job
        raise StageFailed(f"the batch was tried {_MOST_ATTEMPTS} times in this execution: start a new one")

    def _name(self, content: str) -> str:
        """Other inputs and further attempts are other names, of at most 63 characters."""
        digest = hashlib.sha256(content.encode()).hexdigest()
        return f"{self.batch_name}-{run_label(self.execution_id)}-{digest[:6]}"

    def _check_owner(self, name: str, job: Mapping[str, Any]) -> None:
        if job.get("Environment", {}).get("ML_EXECUTION_ID") != self.execution_id:
            raise StageFailed(
                f"the transform job name '{name}' is taken by a job of another execution: start a new execution, "
                "which gets a name of its own"
            )

    def _start(self, name: str, request: Mapping[str, Any]) -> None:
        print(f"starting the transform job {name}")
        try:
            TRANSFORM.create(self.sagemaker, request)
        except ClientError as error:
            # The answer to an earlier try of this very call may have been lost on its way.
            if aws.code(error) == "ResourceInUse":
                return
            if aws.code(error) in _REFUSED:
                raise StageFailed(f"SageMaker refuses {TRANSFORM.title(name)}: {aws.message(error)}") from None
            raise

    def _ended(self, name: str) -> dict[str, Any]:
        """Print the job's log until its end; a job that takes too long is stopped."""
        tail, unseen, stopped = LogTail(self.logs, TRANSFORM.log_group, name), 0, False
        for passed in self.pace:
            job = TRANSFORM.describe(self.sagemaker, name)
            if job is None:
                unseen += 1
                if unseen > _LOOKS_UNTIL_SHOWN:
                    break
                continue
            self._check_owner(name, job)
            tail.print_new()
            if TRANSFORM.status(job) in ("Completed", "Failed", "Stopped"):
                # Logs arrive late: a job of seconds, such as a rehearsed one, has a log that comes as fast.
                time.sleep(min(passed / 20, _LONGEST_LAST_WORDS_SECONDS))
                tail.print_new()
                if stopped and TRANSFORM.status(job) == "Stopped":
                    break
                return job
            if passed > self.limit_seconds and not stopped:
                self.sagemaker.stop_transform_job(TransformJobName=name)
                stopped = True
        if stopped:
            limit = f"{self.limit_seconds:g} seconds"
            raise StageFailed(f"{TRANSFORM.title(name)} reached its time limit of {limit}: raise 'max_runtime'")
        raise StageFailed(f"{TRANSFORM.title(name)} was deleted while the build waited for it: retry the stage")

    def _judged(self, name: str, job: dict[str, Any]) -> dict[str, Any]:
        status, reason = TRANSFORM.status(job), job.get("FailureReason", "")
        if status == "Stopped" or (status == "Failed" and _NOT_THE_RECORDS.search(reason)):
            raise StageFailed(f"{TRANSFORM.title(name)} {TRANSFORM.end(job)}: retry the stage")
        return job

    def reasons(self, name: str) -> dict[str, str]:
        """What the job's data log says of each object that has no results: ``<bucket>/<key>`` to text."""
        told: dict[str, list[str]] = {}
        for line in LogTail(self.logs, TRANSFORM.log_group, name).read("/data-log"):
            found = _TOLD.fullmatch(line)
            if found is not None and found["text"] not in ("", "Message:"):
                told.setdefault(found["object"], []).append(found["text"])
        return {place: "; ".join(dict.fromkeys(texts))[:_LONGEST_REASON] for place, texts in told.items()}
