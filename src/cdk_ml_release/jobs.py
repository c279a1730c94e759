"""The SageMaker jobs of a build: what a user may choose of them, and the requests that they become."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aws_cdk import Duration, Token

from .runtime import shapes
from .runtime.contract import fill, job_name

_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
_DEFAULT_MAX_RUNTIME_SECONDS = 3600
_CONTAINER_ROOT = "/opt/ml/processing"


@dataclass(frozen=True, kw_only=True)
class ProcessingJob:
    """How a preprocessing or evaluation job runs.

    Attributes:
        instance_type: A SageMaker instance type.
        instance_count: With more than one, SageMaker starts the container on each; every one sees all inputs.
        volume_gib: Size of each instance's volume.
        max_runtime: After this time SageMaker stops the job. Default: one hour.
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
            ValueError: if an instance type, a count, a size or a time cannot be right.
        """
        check_instance_type("instance_type", self.instance_type)
        check_whole_number("instance_count", self.instance_count, at_least=1, at_most=100)
        check_whole_number("volume_gib", self.volume_gib, at_least=1, at_most=16384)
        self._max_runtime_seconds()

    def _max_runtime_seconds(self) -> int:
        # Nine days, the longest that a processing job may take (botocore: ProcessingMaxRuntimeInSeconds).
        return seconds("max_runtime", self.max_runtime, _DEFAULT_MAX_RUNTIME_SECONDS, at_most=777_600)

    def request(self, verb: Literal["preprocess", "evaluate"], placement: Placement) -> dict[str, Any]:
        """Render the CreateProcessingJob request that runs ``verb`` of the container."""
        inputs, outputs = _PROCESSING_FILES[verb]
        return placement.processing(
            {
                "ProcessingJobName": "${JobName}",
                "RoleArn": "${ProcessingRoleArn}",
                "AppSpecification": {"ImageUri": "${ImageUri}", "ContainerArguments": [verb]},
                "Environment": _environment(self.environment),
                "ProcessingInputs": [_processing_input(name, uri) for name, uri in inputs.items()],
                "ProcessingOutputConfig": {
                    "Outputs": [_processing_output(name, uri) for name, uri in outputs.items()]
                },
                "ProcessingResources": {
                    "ClusterConfig": {
                        "InstanceCount": self.instance_count,
                        "InstanceType": self.instance_type,
                        "VolumeSizeInGB": self.volume_gib,
                    }
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": self._max_runtime_seconds()},
            }
        )


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """How a training job runs.

    Attributes:
        instance_type: A SageMaker instance type.
        instance_count: With more than one, SageMaker starts the container on each and names the hosts in
            ``resourceconfig.json``.
        volume_gib: Size of each instance's volume.
        max_runtime: After this time SageMaker stops the job. Default: one hour.
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
            ValueError: if an instance type, a count, a size or a time cannot be right.
        """
        check_instance_type("instance_type", self.instance_type)
        check_whole_number("instance_count", self.instance_count, at_least=1)
        check_whole_number("volume_gib", self.volume_gib, at_least=1)
        runtime = self._max_runtime_seconds()
        wait = seconds("spot_max_wait", self.spot_max_wait, runtime)
        if wait < runtime:
            raise ValueError(
                f"'spot_max_wait' ({wait} s) must not be less than 'max_runtime' ({runtime} s), for it includes the "
                "training; raise the one or lower the other"
            )

    def _max_runtime_seconds(self) -> int:
        return seconds("max_runtime", self.max_runtime, _DEFAULT_MAX_RUNTIME_SECONDS, at_most=2_419_200)

    def request(self, placement: Placement) -> dict[str, Any]:
        """Render the CreateTrainingJob request."""
        stopping = {"MaxRuntimeInSeconds": self._max_runtime_seconds()}
        algorithm: dict[str, Any] = {"TrainingImage": "${ImageUri}", "TrainingInputMode": "File"}
        if self.metric_definitions:
            algorithm["MetricDefinitions"] = [
                {"Name": name, "Regex": regex} for name, regex in self.metric_definitions.items()
            ]
        request: dict[str, Any] = {
            "TrainingJobName": "${JobName}",
            "RoleArn": "${TrainingRoleArn}",
            "AlgorithmSpecification": algorithm,
            "HyperParameters": {name: str(value) for name, value in self.hyperparameters.items()},
            "Environment": _environment(self.environment),
            "InputDataConfig": [_training_channel("training", "${RunUri}/data/training/")],
            "OutputDataConfig": {"S3OutputPath": "${RunUri}/model/"},
            "ResourceConfig": {
                "InstanceCount": self.instance_count,
                "InstanceType": self.instance_type,
                "VolumeSizeInGB": self.volume_gib,
            },
            "StoppingCondition": stopping,
        }
        if self.spot_max_wait is not None:
            stopping["MaxWaitTimeInSeconds"] = int(self.spot_max_wait.to_seconds())
            request["EnableManagedSpotTraining"] = True
            request["CheckpointConfig"] = {"S3Uri": "${RunUri}/checkpoints/"}
        return placement.training(request)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where jobs run and with which key they encrypt, as placeholders that the deployed stack fills in."""

    subnets: int = 0
    security_groups: int = 0
    encrypted: bool = False

    def _vpc(self) -> dict[str, list[str]]:
        return {
            "Subnets": ["${Subnet%d}" % index for index in range(self.subnets)],
            "SecurityGroupIds": ["${SecurityGroup%d}" % index for index in range(self.security_groups)],
        }

    def processing(self, request: dict[str, Any]) -> dict[str, Any]:
        """Add network and key to a CreateProcessingJob request."""
        if self.subnets:
            request["NetworkConfig"] = {"VpcConfig": self._vpc(), "EnableInterContainerTrafficEncryption": True}
        if self.encrypted:
            request["ProcessingOutputConfig"]["KmsKeyId"] = "${KmsKeyArn}"
            request["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] = "${KmsKeyArn}"
        return request

    def training(self, request: dict[str, Any]) -> dict[str, Any]:
        """Add network and key to a CreateTrainingJob request."""
        if self.subnets:
            request["VpcConfig"] = self._vpc()
            request["EnableInterContainerTrafficEncryption"] = True
        if self.encrypted:
            request["OutputDataConfig"]["KmsKeyId"] = "${KmsKeyArn}"
            request["ResourceConfig"]["VolumeKmsKeyId"] = "${KmsKeyArn}"
        return request


# Container path to S3, for each verb: the inputs, then the outputs.
_PROCESSING_FILES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "preprocess": (
        {"data": "${DataUri}"},
        {"training": "${RunUri}/data/training", "testing": "${RunUri}/data/testing"},
    ),
    "evaluate": (
        {"model": "${ModelData}", "testing": "${RunUri}/data/testing/"},
        {"evaluation": "${RunUri}/evaluation"},
    ),
}


def check_request(operation: str, argument: str, request: Mapping[str, Any], model_name: str) -> None:
    """Refuse a request document that SageMaker would refuse in every run.

    Args:
        operation: ``CreateProcessingJob`` or ``CreateTrainingJob``.
        argument: The user's argument that the request was made from, for the message.
        request: The document with its placeholders.
        model_name: The model's name, from which the job's name is made.

    Raises:
        ValueError: naming each problem.
    """
    sample = {
        "JobName": job_name(model_name, "preprocess", "0" * 36, attempt=99),
        "ImageUri": "111122223333.dkr.ecr.us-gov-west-1.amazonaws.com/repository@sha256:" + "0" * 64,
        "RunUri": "s3://bucket/runs/" + "0" * 36,
        "DataUri": "s3://bucket/data/",
        "ModelData": "s3://bucket/runs/model.tar.gz",
        "ExecutionId": "0" * 36,
        "Inputs": "0" * 64,
        "KmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/0",
        "ProcessingRoleArn": "arn:aws:iam::111122223333:role/role",
        "TrainingRoleArn": "arn:aws:iam::111122223333:role/role",
    }
    sample |= {f"Subnet{index}": f"subnet-{index}" for index in range(17)}
    sample |= {f"SecurityGroup{index}": f"sg-{index}" for index in range(17)}
    found = shapes.problems(operation, fill(request, sample))
    if found:
        raise ValueError(f"'{argument}' makes a request that SageMaker refuses: {'; '.join(found)}; change it there")


def check_instance_type(argument: str, value: str) -> None:
    """Refuse what cannot be the name of a SageMaker instance type."""
    if not isinstance(value, str) or Token.is_unresolved(value) or not _INSTANCE_TYPE.fullmatch(value):
        raise ValueError(
            f"'{argument}' must be a SageMaker instance type such as 'ml.m5.large', got {value!r}; "
            "EC2 names need the prefix 'ml.', and a token cannot be used"
        )


def check_whole_number(argument: str, value: int, *, at_least: int, at_most: int | None = None) -> None:
    """Refuse what is not a whole number within limits, or not known at synthesis."""
    right = isinstance(value, int) and not isinstance(value, bool) and not Token.is_unresolved(value)
    if not right or value < at_least or (at_most is not None and value > at_most):
        rule = f"from {at_least} to {at_most}" if at_most is not None else f"of at least {at_least}"
        raise ValueError(f"'{argument}' must be a whole number {rule}, got {value!r}; write it as a literal")


def seconds(argument: str, value: Duration | None, default: int, *, at_most: int | None = None) -> int:
    """A duration in seconds, or the default; refuses what is not a duration of at least one second."""
    if value is None:
        return default
    if not isinstance(value, Duration) or value.is_unresolved():
        raise ValueError(f"'{argument}' must be a Duration known at synthesis, got {value!r}; use Duration.minutes(...)")
    length = int(value.to_seconds())
    if length < 1 or (at_most is not None and length > at_most):
        rule = f"from 1 to {at_most} seconds" if at_most is not None else "at least 1 second"
        raise ValueError(f"'{argument}' must be {rule}, got {length} seconds; use Duration.minutes(...) or the like")
    return length


def _environment(chosen: Mapping[str, str]) -> dict[str, str]:
    # The two that a retried stage recognizes its own jobs by.
    return {**chosen, "ML_EXECUTION_ID": "${ExecutionId}", "ML_INPUTS": "${Inputs}"}


def _processing_input(name: str, uri: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{_CONTAINER_ROOT}/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }


def _processing_output(name: str, uri: str) -> dict[str, Any]:
    return {
        "OutputName": name,
        "S3Output": {"S3Uri": uri, "LocalPath": f"{_CONTAINER_ROOT}/output/{name}", "S3UploadMode": "EndOfJob"},
    }


def _training_channel(name: str, uri: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
        },
        "InputMode": "File",
    }


def requests(
    preprocess: ProcessingJob, train: TrainingJob, evaluate: ProcessingJob, placement: Placement
) -> Sequence[tuple[str, str, dict[str, Any]]]:
    """Render the requests of a build: verb, API operation, document."""
    return (
        ("preprocess", "CreateProcessingJob", preprocess.request("preprocess", placement)),
        ("train", "CreateTrainingJob", train.request(placement)),
        ("evaluate", "CreateProcessingJob", evaluate.request("evaluate", placement)),
    )
