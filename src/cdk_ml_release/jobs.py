"""The SageMaker jobs of a build: what a user may choose of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aws_cdk import Duration

OWN_VARIABLES = {"ML_EXECUTION_ID": "${ExecutionId}", "ML_INPUTS": "${Inputs}"}
"""What a retried stage recognizes its own jobs by, among the variables of every container."""

_INSTANCE_TYPE = re.compile(r"ml\.([a-z0-9-]+)\.[a-z0-9-]+")
# Families whose disks are in the machine, which encrypts them itself: SageMaker refuses a key for those.
_LOCAL_STORAGE = re.compile(r"[a-z]+\d[a-z]*d[a-z]*|(g[5-9]|gr\d|p[5-9]|trn\d|dl\d|i\d).*")
_DEFAULT_MAX_RUNTIME_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class ProcessingJob:
    """How a preprocessing or evaluation job runs.

    Attributes:
        instance_type: A SageMaker instance type.
        instance_count: With more than one, SageMaker starts the container on each; every one sees all inputs.
        volume_gib: Size of each instance's volume.
        max_runtime: After this time SageMaker stops the job; 9 days at most. Default: one hour.
        environment: Given to the container, at most 98 variables of at most 256 characters.
    """

    instance_type: str = "ml.m5.large"
    instance_count: int = 1
    volume_gib: int = 30
    max_runtime: Duration | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what SageMaker would refuse, or what must be known at synthesis.

        Raises:
            ValueError: if an instance type, a count, a size, a time or a variable cannot be right.
        """
        check_instance_type("instance_type", self.instance_type)
        check_whole_number("instance_count", self.instance_count, at_least=1, at_most=100)
        check_whole_number("volume_gib", self.volume_gib, at_least=1, at_most=16384)
        _check_environment(self.environment)
        _ = self.max_runtime_seconds

    @property
    def max_runtime_seconds(self) -> int:
        """The time limit in seconds."""
        # Nine days (botocore: ProcessingMaxRuntimeInSeconds).
        return whole_seconds("max_runtime", self.max_runtime, _DEFAULT_MAX_RUNTIME_SECONDS, at_most=777_600)


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """How a training job runs.

    Attributes:
        instance_type: A SageMaker instance type.
        instance_count: With more than one, SageMaker starts the container on each and names the hosts in
            ``resourceconfig.json``.
        volume_gib: Size of each instance's volume.
        max_runtime: After this time SageMaker stops the job; 28 days at most. The build waits for 36 hours: a stage
            that is retried after that takes the running job up again. Default: one hour.
        hyperparameters: Given to the container as strings, at most 100.
        environment: Given to the container, at most 98 variables of at most 512 characters.
        spot_max_wait: Train on spot capacity and wait this long for the result at most, the training included;
            checkpoints are kept in the run's folder. Default: capacity on demand.
        metric_definitions: Metric name to the regular expression that finds it in the log, at most 40.
    """

    instance_type: str = "ml.m5.large"
    instance_count: int = 1
    volume_gib: int = 30
    max_runtime: Duration | None = None
    hyperparameters: Mapping[str, str | int | float] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    spot_max_wait: Duration | None = None
    metric_definitions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what SageMaker would refuse, or what must be known at synthesis.

        Raises:
            ValueError: if an instance type, a count, a size, a time or a variable cannot be right.
        """
        check_instance_type("instance_type", self.instance_type)
        check_whole_number("instance_count", self.instance_count, at_least=1)
        check_whole_number("volume_gib", self.volume_gib, at_least=1)
        _check_environment(self.environment)
        _check_known("hyperparameters", self.hyperparameters)
        _check_known("metric_definitions", self.metric_definitions)
        wait, runtime = self.max_wait_seconds, self.max_runtime_seconds
        if wait is not None and wait < runtime:
            raise ValueError(
                f"'spot_max_wait' ({wait} s) must not be less than 'max_runtime' ({runtime} s), for it includes the "
                "training; raise the one or lower the other"
            )

    @property
    def max_runtime_seconds(self) -> int:
        """The time limit in seconds."""
        # 28 days (botocore: StoppingCondition).
        return whole_seconds("max_runtime", self.max_runtime, _DEFAULT_MAX_RUNTIME_SECONDS, at_most=2_419_200)

    @property
    def max_wait_seconds(self) -> int | None:
        """How long to wait for a training on spot capacity, in seconds; None for capacity on demand."""
        return None if self.spot_max_wait is None else whole_seconds("spot_max_wait", self.spot_max_wait, 0)


@dataclass(frozen=True, kw_only=True)
class TransformJob:
    """How a batch is scored.

    Attributes:
        instance_type: A SageMaker instance type.
        instance_count: With more than one, SageMaker shares the input objects out among them.
        content_type: What the container is told that it gets.
        accept: What the container is asked to answer with. Default: it chooses.
        split_type: ``Line``: every line of an input object is a record. ``None``: the whole object is one.
        batch_strategy: ``MultiRecord``: as many records in a request as fit. ``SingleRecord``: one in each.
        max_concurrent_transforms: Requests that an instance is sent at the same time. Default: what the container
            answers to ``GET /execution-parameters``, or one.
        max_payload_mib: Size of a request at most; with ``max_concurrent_transforms`` at most 100 together.
        max_runtime: After this time the build stops the job, for SageMaker has no limit of its own; 35 hours at most.
            Default: one hour.
        environment: Given to the container, at most 14 variables.
    """

    instance_type: str = "ml.m5.large"
    instance_count: int = 1
    content_type: str = "text/csv"
    accept: str | None = None
    split_type: Literal["Line", "None"] = "Line"
    batch_strategy: Literal["MultiRecord", "SingleRecord"] = "MultiRecord"
    max_concurrent_transforms: int | None = None
    max_payload_mib: int = 6
    max_runtime: Duration | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what SageMaker would refuse, or what must be known at synthesis.

        Raises:
            ValueError: if an instance type, a count, a size, a time, a choice or a variable cannot be right.
        """
        check_instance_type("instance_type", self.instance_type)
        check_whole_number("instance_count", self.instance_count, at_least=1, at_most=100)
        check_whole_number("max_payload_mib", self.max_payload_mib, at_least=1, at_most=100)
        _check_choice("split_type", self.split_type, ("Line", "None"))
        _check_choice("batch_strategy", self.batch_strategy, ("MultiRecord", "SingleRecord"))
        if self.max_concurrent_transforms is not None:
            # Source: CreateTransformJob's reference.
            most = 100 // self.max_payload_mib
            check_whole_number("max_concurrent_transforms", self.max_concurrent_transforms, at_least=1, at_most=most)
        _check_environment(self.environment)
        _check_known("content_type", {"content_type": self.content_type})
        _check_known("accept", {"accept": self.accept or ""})
        _ = self.max_runtime_seconds

    @property
    def max_runtime_seconds(self) -> int:
        """The time limit in seconds."""
        # The build that stops the job lasts 36 hours itself.
        return whole_seconds("max_runtime", self.max_runtime, _DEFAULT_MAX_RUNTIME_SECONDS, at_most=126_000)


def check_instance_type(argument: str, value: str) -> None:
    """Refuse what cannot be the name of a SageMaker instance type."""
    if not isinstance(value, str) or not _INSTANCE_TYPE.fullmatch(value):
        raise ValueError(
            f"'{argument}' must be a SageMaker instance type such as 'ml.m5.large', got {value!r}; "
            "EC2 names need the prefix 'ml.', and a token cannot be used"
        )


def has_local_storage(instance_type: str) -> bool:
    """Whether the disks of an instance type are in the machine, so that SageMaker refuses a key for its volume."""
    parts = _INSTANCE_TYPE.fullmatch(instance_type)
    return parts is not None and _LOCAL_STORAGE.fullmatch(parts[1]) is not None


def check_whole_number(argument: str, value: int, *, at_least: int, at_most: int | None = None) -> None:
    """Refuse what is not a whole number within limits, or not known at synthesis."""
    # CDK's tokens are numbers too, but no whole ones.
    right = isinstance(value, int) and not isinstance(value, bool)
    if not right or value < at_least or (at_most is not None and value > at_most):
        rule = f"from {at_least} to {at_most}" if at_most is not None else f"of at least {at_least}"
        raise ValueError(f"'{argument}' must be a whole number {rule}, got {value!r}; write it as a literal")


def whole_seconds(argument: str, value: Duration | None, default: int, *, at_most: int | None = None) -> int:
    """A duration in seconds, or the default; refuses what is not a duration of at least one second."""
    if value is None:
        return default
    if not isinstance(value, Duration) or value.is_unresolved():
        raise ValueError(f"'{argument}' must be a Duration known at synthesis, got {value!r}; use Duration.minutes()")
    length = int(value.to_seconds())
    if length < 1 or (at_most is not None and length > at_most):
        rule = f"from 1 to {at_most} seconds" if at_most is not None else "at least 1 second"
        raise ValueError(f"'{argument}' must be {rule}, got {length} seconds; use Duration.minutes() or the like")
    return length


def _check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"'{argument}' must be {' or '.join(map(repr, choices))}, got {value!r}; write one of them")


def _check_environment(chosen: Mapping[str, str]) -> None:
    _check_known("environment", chosen)
    for name in OWN_VARIABLES.keys() & chosen.keys():
        raise ValueError(
            f"'environment' must not set '{name}', got {chosen[name]!r}; a retry knows its jobs by that variable, "
            "so give yours another name"
        )


def _check_known(argument: str, chosen: Mapping[str, str | int | float]) -> None:
    for name, value in chosen.items():
        # How CDK writes tokens into texts and into numbers. The requests are written at synthesis, with no later turn.
        if "${Token[" in f"{name}{value}" or (isinstance(value, float) and value < -1e288):
            raise ValueError(
                f"'{argument}' must be known at synthesis, got a token for '{name}'; use a value that is known, or let "
                "the container look it up"
            )
