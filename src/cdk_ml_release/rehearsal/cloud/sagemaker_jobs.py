"""SageMaker's jobs API: real processes behind real names, statuses and refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ...runtime import shapes
from . import transform_job
from .calls import Call
from .container_job import ContainerJob
from .gateway import ApiError, Service
from .hours import timestamp
from .job import Job
from .sagemaker_models import SageMakerModels
from .transform_job import TransformJob
from .workplace import Workplace

_SERVICE = "sagemaker.amazonaws.com"


class SageMakerJobs:
    """The training, processing and transform jobs of the rehearsed account."""

    def __init__(
        self, place: Workplace, models: SageMakerModels, ended: Callable[[Job], None] = lambda job: None
    ) -> None:
        """Start with none; transform jobs run some of ``models``, and ``ended`` is told of every job's end."""
        self._place = place
        self._ended = ended
        self._models = models
        self._jobs: dict[tuple[str, str], Job] = {}

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        found: dict[tuple[str, str], Service] = {}
        for noun in ("Training", "Processing", "Transform"):
            found["sagemaker", f"Create{noun}Job"] = _bound(self._create, noun)
            found["sagemaker", f"Describe{noun}Job"] = _bound(self._describe, noun)
            found["sagemaker", f"Stop{noun}Job"] = _bound(self._stop, noun)
        return found

    @property
    def all(self) -> list[Job]:
        """Every job, in the order of their creation."""
        return list(self._jobs.values())

    def wait(self) -> bool:
        """Wait until every job has ended; whether one had not."""
        running = [job for job in self.all if not job.over.is_set()]
        for job in running:
            job.over.wait()
        return bool(running)

    def _create(self, noun: str, call: Call) -> Mapping[str, Any]:
        request = call.parameters
        found = shapes.problems(f"Create{noun}Job", request)
        if found:
            raise ApiError("ValidationException", "; ".join(found))
        name = request[f"{noun}JobName"]
        if (noun, name) in self._jobs:
            raise ApiError("ResourceInUse", f"{noun} job name {name} is taken: job names must be unique in an account")
        gateway = self._place.gateway
        arn = f"arn:aws:sagemaker:{gateway.region}:{gateway.account}:{noun.lower()}-job/{name.lower()}"
        job: Job
        if noun == "Transform":
            transform_job.check(request)
            model = self._models.resolve(request["ModelName"])
            job = TransformJob(request=request, arn=arn, model=model, place=self._place, told=self._ended)
        else:
            gateway.assume(request["RoleArn"], _SERVICE)
            job = ContainerJob(noun=noun, request=request, arn=arn, place=self._place, told=self._ended)
        self._jobs[noun, name] = job
        job.start()
        return {f"{noun}JobArn": arn}

    def _find(self, noun: str, call: Call) -> Job:
        name = call.parameters[f"{noun}JobName"]
        if (noun, name) not in self._jobs:
            raise ApiError("ValidationException", f"Requested resource not found: {noun.lower()} job {name}")
        return self._jobs[noun, name]

    def _describe(self, noun: str, call: Call) -> Mapping[str, Any]:
        return described(self._find(noun, call))

    def _stop(self, noun: str, call: Call) -> Mapping[str, Any]:
        self._find(noun, call).stopping.set()
        return {}


def described(job: Job) -> dict[str, Any]:
    """A job as SageMaker describes it."""
    noun, status = job.noun, job.status
    shown: dict[str, Any] = {
        **job.request,
        f"{noun}JobArn": job.arn,
        f"{noun}JobStatus": status,
        "CreationTime": timestamp(job.created),
        "LastModifiedTime": timestamp(job.ended or job.created),
        f"{noun}StartTime": timestamp(job.created),
    }
    if job.failure_reason:
        shown["FailureReason"] = job.failure_reason
    if job.exit_message:
        shown["ExitMessage"] = job.exit_message
    if job.ended:
        shown[f"{noun}EndTime"] = timestamp(job.ended)
    if isinstance(job, ContainerJob) and noun == "Training":
        shown["SecondaryStatus"] = _secondary(job, status)
        shown["ModelArtifacts"] = {"S3ModelArtifacts": job.artifacts_uri}
        shown["TrainingTimeInSeconds"] = shown["BillableTimeInSeconds"] = max(1, _seconds(job, job.ended))
    return shown


def _bound(method: Any, noun: str) -> Service:
    return lambda call: method(noun, call)


def _secondary(job: Job, status: str) -> str:
    if status == "Stopped":
        return "Stopped" if job.stopping.is_set() else "MaxRuntimeExceeded"
    return {"InProgress": "Training", "Stopping": "Stopping"}.get(status, status)


def _seconds(job: Job, ended: datetime | None) -> int:
    return round(((ended or job.created) - job.created).total_seconds())
