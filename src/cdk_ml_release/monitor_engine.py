"""MonitorEngine: what compares the captured requests with the baseline."""

from __future__ import annotations

from dataclasses import dataclass, field

from .jobs import ProcessingJob, check_whole_number

# What Model Monitor tells its own container.
_TOLD_BY_SAGEMAKER = {
    "baseline_constraints",
    "baseline_statistics",
    "dataset_format",
    "dataset_source",
    "end_time",
    "output_path",
    "publish_cloudwatch_metrics",
    "sagemaker_endpoint_name",
    "sagemaker_monitoring_schedule_name",
    "start_time",
}


@dataclass(frozen=True, kw_only=True)
class MonitorEngine:
    """How a window is compared.

    Attributes:
        job: How the job of a window runs.
    """

    job: ProcessingJob = field(default_factory=ProcessingJob)

    @classmethod
    def drift_job(cls, *, job: ProcessingJob | None = None, sample: int | None = None) -> DriftJob:
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
        return DriftJob(job=job, sample=sample or 0)

    @classmethod
    def model_monitor(
        cls,
        *,
        job: ProcessingJob | None = None,
        namespace: str = "aws/sagemaker/Endpoints/data-metrics",
        dimensions: tuple[str, str] = ("Endpoint", "MonitoringSchedule"),
        quality_namespace: str = "aws/sagemaker/Endpoints/model-metrics",
        inference_attribute: str = "0",
    ) -> ModelMonitor:
        """SageMaker Model Monitor, for accounts that have it: AWS has closed it to new customers.

        AWS's sources disagree on where its metrics go. The defaults are those of the samples that AWS has deployed; its
        guide names ``/aws/sagemaker/Endpoints/data-metric`` with ``EndpointName`` and ``ScheduleName``. An alarm that
        looks in the wrong place says so: ``-no-data`` goes off although requests arrive. See
        ``docs/model-monitor.md``.

        Args:
            job: How the jobs run: that of the baseline and those of the windows. Default: one ``ml.m5.xlarge``, what
                SageMaker's own SDK takes.
            namespace: Where CloudWatch has the metrics of the data.
            dimensions: What those metrics call the endpoint and the schedule.
            quality_namespace: Where CloudWatch has the metrics of the model's quality.
            inference_attribute: What an answer's prediction is called, for the model's quality: ``0`` for the first
                column of a CSV answer, else its name in a JSON answer.

        Raises:
            ValueError: if a name is empty, or a variable of the job is one of Model Monitor's own.
        """
        job = job or ProcessingJob(instance_type="ml.m5.xlarge")
        for name in sorted(_TOLD_BY_SAGEMAKER & job.environment.keys()):
            raise ValueError(
                f"'environment' must not set '{name}', got {job.environment[name]!r}; Model Monitor tells its "
                "container that itself, so leave it out"
            )
        if len(set(dimensions)) != 2 or not all(dimensions):
            raise ValueError(
                f"'dimensions' must be two names, that of the endpoint and that of the schedule, got {dimensions!r}; "
                "look at the metrics that CloudWatch has"
            )
        names = {
            "namespace": namespace,
            "quality_namespace": quality_namespace,
            "inference_attribute": inference_attribute,
        }
        for argument, name in names.items():
            if not name:
                raise ValueError(f"'{argument}' must be a name, got ''; leave it out for the default")
        return ModelMonitor(job=job, dimensions=dimensions, **names)


@dataclass(frozen=True, kw_only=True)
class DriftJob(MonitorEngine):
    """This library's own engine, as :meth:`MonitorEngine.drift_job` makes it.

    Attributes:
        sample: The most records of a window that are compared, chosen at random; 0 for all.
    """

    sample: int = 0


@dataclass(frozen=True, kw_only=True)
class ModelMonitor(MonitorEngine):
    """SageMaker Model Monitor, as :meth:`MonitorEngine.model_monitor` makes it.

    Attributes:
        namespace: Where CloudWatch has the metrics of the data.
        dimensions: What those metrics call the endpoint and the schedule.
        quality_namespace: Where CloudWatch has the metrics of the model's quality.
        inference_attribute: What an answer's prediction is called.
    """

    namespace: str
    dimensions: tuple[str, str]
    quality_namespace: str
    inference_attribute: str
