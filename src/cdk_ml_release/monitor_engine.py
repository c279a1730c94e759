"""MonitorEngine: what compares the captured requests with the baseline."""

from __future__ import annotations

from dataclasses import dataclass, field

from .jobs import ProcessingJob, check_whole_number


@dataclass(frozen=True, kw_only=True)
class MonitorEngine:
    """How a window is compared.

    Attributes:
        job: How the job of a window runs.
        sample: The most records of a window that are compared, chosen at random; 0 for all.
    """

    job: ProcessingJob = field(default_factory=ProcessingJob)
    sample: int = 0

    @classmethod
    def drift_job(cls, *, job: ProcessingJob | None = None, sample: int | None = None) -> MonitorEngine:
        """This library's own: Evidently in a container of its own, run by EventBridge Scheduler, in every account.

        Args:
            job: How the job of a window runs; one instance. Default: see :class:`ProcessingJob`; a window of
                100,000 records needs neither more memory nor more time than that.
            sample: The most records of a window that are compared, chosen at random; reports say when it was used.
                Default: all records.

        Raises:
            ValueError: if there is more than one instance, or the sample is too small to compare.
        """
        job = job or ProcessingJob()
        if job.instance_count != 1:
            raise ValueError(
                f"'job' must have one instance, got {job.instance_count}; a window is compared as a whole, so choose a "
                "larger 'instance_type' or a 'sample'"
            )
        if sample is not None:
            check_whole_number("sample", sample, at_least=1000)
        return cls(job=job, sample=sample or 0)
