"""Hosting: the ways in which SageMaker can serve a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from aws_cdk import Duration

from .jobs import check_instance_type, check_whole_number, has_local_storage, whole_seconds

if TYPE_CHECKING:
    from aws_cdk import aws_sns as sns


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """The new version answers beside the one in service for a time, before it takes over; nobody gets its answers.

    The stage fails, and the version in service stays, when an alarm of :class:`AutoRollback` goes off for the shadow:
    SageMaker waits and watches, as it does after every update. A first release has nobody to be the shadow of.

    Attributes:
        percent: The share of requests that the shadow gets a copy of, from 1 to 100.
        time: How long, from 5 minutes to an hour. Default: 30 minutes.
        instance_count: How many instances the shadow has.
    """

    percent: int = 100
    time: Duration | None = None
    instance_count: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            ValueError: if a number or the time is out of range.
        """
        check_whole_number("percent", self.percent, at_least=1, at_most=100)
        check_whole_number("instance_count", self.instance_count, at_least=1)
        if self.seconds < 300:
            raise ValueError(
                f"'time' of the shadow must be at least 300 seconds, got {self.seconds}; metrics come once a minute"
            )

    @property
    def seconds(self) -> int:
        """How long the shadow answers, in seconds."""
        # SageMaker's longest wait.
        return whole_seconds("time", self.time, 1800, at_most=3600)


@dataclass(frozen=True, kw_only=True)
class RealTime:
    """Instances that are always there and answer at once.

    Attributes:
        instance_type: A SageMaker instance type.
        instance_count: How many instances serve. With two, SageMaker places them in two availability zones.
        shadow: Whether a new version is first the shadow of the one in service. Default: it is not.
    """

    instance_type: str = "ml.m5.large"
    instance_count: int = 2
    shadow: Shadow | None = None

    name: ClassVar[str] = "real-time"
    lowest_capacity: ClassVar[int] = 1
    metrics: ClassVar[tuple[str, ...]] = ("invocations", "concurrency")

    def __post_init__(self) -> None:
        """Refuse what SageMaker would refuse.

        Raises:
            ValueError: if the instance type or the count cannot be right.
        """
        check_instance_type("instance_type", self.instance_type)
        check_whole_number("instance_count", self.instance_count, at_least=1)

    def variant(self) -> dict[str, Any]:
        """What the variant says of its capacity."""
        return {"InstanceType": self.instance_type, "InitialInstanceCount": self.instance_count}

    @property
    def encrypts_volumes(self) -> bool:
        """Whether SageMaker takes a key for the volumes: disks in the machine encrypt themselves."""
        return not has_local_storage(self.instance_type)


@dataclass(frozen=True, kw_only=True)
class Asynchronous(RealTime):
    """Instances that take requests from a queue: each input is an object in S3, and so is each output.

    Outputs are under ``async/<endpoint>/output/`` in the repo's bucket, failures under ``async/<endpoint>/failure/``.

    Attributes:
        instance_type: A SageMaker instance type.
        instance_count: How many instances a new endpoint starts with; :class:`Scaling` may reduce them to none.
        max_concurrency_per_instance: Requests that an instance works on at one time, from 1 to 1000. Default:
            SageMaker chooses.
        success_topic: Is told of every output.
        error_topic: Is told of every failure.
    """

    instance_count: int = 1
    max_concurrency_per_instance: int | None = None
    success_topic: sns.ITopic | None = None
    error_topic: sns.ITopic | None = None

    name: ClassVar[str] = "asynchronous"
    lowest_capacity: ClassVar[int] = 0
    metrics: ClassVar[tuple[str, ...]] = ("backlog",)

    def __post_init__(self) -> None:
        """Refuse what SageMaker would refuse.

        Raises:
            ValueError: if a type or a count cannot be right, or a shadow is asked for.
        """
        super().__post_init__()
        if self.max_concurrency_per_instance is not None:
            check_whole_number(
                "max_concurrency_per_instance", self.max_concurrency_per_instance, at_least=1, at_most=1000
            )
        if self.shadow is not None:
            raise ValueError(
                f"'shadow' cannot be used with asynchronous hosting, got {self.shadow!r}: SageMaker copies the "
                "requests of real-time endpoints only; leave it out"
            )


@dataclass(frozen=True, kw_only=True)
class Serverless:
    """No instances of one's own: capacity comes with the requests, and nothing is paid while there are none.

    Attributes:
        memory_mib: 1024, 2048, 3072, 4096, 5120 or 6144; processors come in proportion.
        max_concurrency: How many requests are answered at one time, from 1 to 200; others are refused.
        provisioned_concurrency: How many of them find a warm container. Default: none, so the first request waits.
    """

    memory_mib: int = 2048
    max_concurrency: int = 20
    provisioned_concurrency: int | None = None

    name: ClassVar[str] = "serverless"

    def __post_init__(self) -> None:
        """Refuse what SageMaker would refuse.

        Raises:
            ValueError: if a size or a count is out of range.
        """
        # Source: botocore, ServerlessConfig; steps: the SageMaker guide.
        check_whole_number("memory_mib", self.memory_mib, at_least=1024, at_most=6144)
        if self.memory_mib % 1024:
            raise ValueError(f"'memory_mib' must be a multiple of 1024, got {self.memory_mib}; use 2048 or 4096")
        check_whole_number("max_concurrency", self.max_concurrency, at_least=1, at_most=200)
        if self.provisioned_concurrency is not None:
            check_whole_number(
                "provisioned_concurrency", self.provisioned_concurrency, at_least=1, at_most=self.max_concurrency
            )

    def variant(self) -> dict[str, Any]:
        """What the variant says of its capacity."""
        config = {"MemorySizeInMB": self.memory_mib, "MaxConcurrency": self.max_concurrency}
        if self.provisioned_concurrency is not None:
            config["ProvisionedConcurrency"] = self.provisioned_concurrency
        return {"ServerlessConfig": config}

    @property
    def encrypts_volumes(self) -> bool:
        """There are no volumes of one's own."""
        return False


Hosting = RealTime | Asynchronous | Serverless
