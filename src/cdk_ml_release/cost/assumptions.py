"""What no template says: how long, how often, how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

HOURS_PER_MONTH = 730


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What is assumed of the time, the traffic and the storage.

    Attributes:
        releases: Releases a month.
        job_minutes: How long a job's instances run that is not named in ``minutes_by_job``.
        minutes_by_job: How long the instances of single jobs run, by the name of their request document.
        container_minutes: How long the build of a container image takes.
        build_minutes: How long every other build takes, besides its waiting for a job.
        deploy_minutes: How long the update of an endpoint takes, with two fleets side by side.
        shadow_minutes: How long a new version shadows the one in service, where it does.
        monitor_minutes: How long the instance of a monitor's job runs, one for each window.
        requests: Requests to every serverless endpoint a month.
        request_seconds: How long a serverless endpoint works on one.
        bucket_gb: What every bucket stores.
        images_gb: What every image repository stores.
        hosting_volume_gb: The volume of a hosting instance whose template states none.
    """

    releases: float = 4
    job_minutes: float = 10
    minutes_by_job: Mapping[str, float] = field(default_factory=dict)
    container_minutes: float = 5
    build_minutes: float = 2
    deploy_minutes: float = 15
    shadow_minutes: float = 30
    monitor_minutes: float = 5
    requests: float = 10_000
    request_seconds: float = 0.1
    bucket_gb: float = 10
    images_gb: float = 5
    # Source: the SageMaker guide on large models, which asks for a larger volume above 30 GB.
    hosting_volume_gb: float = 30

    def minutes_of(self, job: str) -> float:
        """How long a job's instances run."""
        return self.minutes_by_job.get(job, self.job_minutes)

    def sentences(self) -> Iterator[str]:
        """Each assumption in words, with the option that changes it."""
        jobs = "".join(f", {job} {minutes:g}" for job, minutes in sorted(self.minutes_by_job.items()))
        yield f"a month has {HOURS_PER_MONTH} hours and {self.releases:g} releases (--releases)"
        yield f"a job's instances run {self.job_minutes:g} minutes{jobs} (--job-minutes)"
        yield f"a container image is built in {self.container_minutes:g} minutes (--container-minutes)"
        yield f"every other build takes {self.build_minutes:g} minutes and waits for its job (--build-minutes)"
        yield f"an endpoint is updated in {self.deploy_minutes:g} minutes (--deploy-minutes)"
        yield f"a shadow lasts {self.shadow_minutes:g} minutes, in which a build waits (--shadow-minutes)"
        yield f"a monitor compares a window in {self.monitor_minutes:g} minutes (--monitor-minutes)"
        yield (
            f"a serverless endpoint has {self.requests:g} requests a month (--requests) "
            f"of {self.request_seconds:g} seconds each (--request-seconds)"
        )
        yield f"a bucket holds {self.bucket_gb:g} GB (--bucket-gb)"
        yield f"an image repository holds {self.images_gb:g} GB (--images-gb)"
        size = self.hosting_volume_gb
        yield f"a hosting instance without a disk of its own has a volume of {size:g} GB (--hosting-volume-gb)"
