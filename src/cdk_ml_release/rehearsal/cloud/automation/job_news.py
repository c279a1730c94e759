"""Job news: SageMaker tells EventBridge how a job has ended."""

from __future__ import annotations

from typing import Any

from ..job import Job
from ..sagemaker_jobs import described
from .event_bus import EventBus

__all__ = ["tell_end"]


def tell_end(bus: EventBus, job: Job) -> None:
    """Put the event of a job's end on a bus."""
    detail = {key: _in_milliseconds(key, value) for key, value in described(job).items()}
    kind = f"SageMaker {job.noun} Job State Change"
    bus.put("aws.sagemaker", kind, detail, [job.arn], cause=f"job {job.name} {job.status.lower()}")


def _in_milliseconds(name: str, value: Any) -> Any:
    # As in the examples of SageMaker's guide, where the API has seconds.
    return round(value * 1000) if name.endswith("Time") and isinstance(value, float) else value
