"""The requests that a build's jobs become: rendered and checked at synth, filled in by each run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .jobs import OWN_VARIABLES, ProcessingJob, TrainingJob, has_local_storage
from .runtime import shapes
from .runtime.contract import Task, fill, job_name

_Processing = Literal["preprocess", "evaluate", "baseline"]

_CONTAINER_ROOT = "/opt/ml/processing"

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
    "baseline": ({"baseline_dataset_input": "${BaselineUri}/data/"}, {"monitoring_output": "${BaselineUri}/suggested"}),
}

# Values as long as the real ones can be.
_SAMPLE = {
    "ImageUri": f"111122223333.dkr.ecr.us-gov-west-1.amazonaws.com/{'m' * 32}@sha256:{'0' * 64}",
    "RunUri": f"s3://{'b' * 63}/runs/{'0' * 36}",
    "DataUri": "s3://bucket/data/",
    "BaselineUri": f"s3://{'b' * 63}/runs/{'0' * 36}/baseline/model-monitor",
    "ModelData": "s3://bucket/runs/model.tar.gz",
    "ExecutionId": "0" * 36,
    "Inputs": "0" * 64,
    "KmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/0",
    "ProcessingRoleArn": "arn:aws:iam::111122223333:role/role",
    "TrainingRoleArn": "arn:aws:iam::111122223333:role/role",
}


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where jobs run and with which key they encrypt, as placeholders that the deployed stack fills in."""

    subnets: int = 0
    security_groups: int = 0
    encrypted: bool = False

    @property
    def vpc_config(self) -> dict[str, list[str]]:
        """The user's network; empty if there is none."""
        if not self.subnets:
            return {}
        return {
            "Subnets": [f"${{Subnet{index}}}" for index in range(self.subnets)],
            "SecurityGroupIds": [f"${{SecurityGroup{index}}}" for index in range(self.security_groups)],
        }

    def key(self, parameter: str) -> dict[str, str]:
        """The key for what a job writes; empty if there is none."""
        return {parameter: "${KmsKeyArn}"} if self.encrypted else {}

    def volume(self, job: ProcessingJob | TrainingJob) -> dict[str, Any]:
        """The instances of a job, and how their volumes are encrypted."""
        return {
            "InstanceCount": job.instance_count,
            "InstanceType": job.instance_type,
            "VolumeSizeInGB": job.volume_gib,
            **({} if has_local_storage(job.instance_type) else self.key("VolumeKmsKeyId")),
        }


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """The request document of one job, with placeholders for what synthesis does not know."""

    verb: Task
    operation: Literal["CreateProcessingJob", "CreateTrainingJob"]
    document: dict[str, Any]
    argument: str
    """The argument that it was made from."""

    def check(self, model_name: str) -> None:
        """Refuse a document that SageMaker would refuse in every run.

        Args:
            model_name: The model's name, from which the job's name is made.

        Raises:
            ValueError: naming each problem.
        """
        name = job_name(model_name, self.verb, "0" * 36, attempt=99)
        network = {key: "a-1" for index in range(64) for key in (f"Subnet{index}", f"SecurityGroup{index}")}
        found = shapes.problems(self.operation, fill(self.document, _SAMPLE | network | {"JobName": name}))
        if found:
            raise ValueError(
                f"'{self.argument}' makes a request that SageMaker refuses: {'; '.join(found)}; change it there"
            )


def requests(
    preprocess: ProcessingJob, train: TrainingJob, evaluate: ProcessingJob, placement: Placement
) -> Sequence[JobRequest]:
    """Render the requests of a build, in the order in which they run."""
    return (
        _processing("preprocess", preprocess, placement),
        _training(train, placement),
        _processing("evaluate", evaluate, placement),
    )


def baseline_request(job: ProcessingJob, placement: Placement) -> JobRequest:
    """Render the request of the job that makes a baseline for SageMaker Model Monitor, as SageMaker's own SDK does.

    Args:
        job: How it runs.
        placement: Where it runs.
    """
    request = _processing("baseline", job, placement, argument="engine")
    source, output = f"{_CONTAINER_ROOT}/input/baseline_dataset_input", f"{_CONTAINER_ROOT}/output"
    dataset_format = {"csv": {"header": True, "output_columns_position": "START"}}
    request.document["AppSpecification"] = {"ImageUri": "${ImageUri}"}
    request.document["Environment"] |= {
        "dataset_format": json.dumps(dataset_format),
        "dataset_source": source,
        "output_path": output,
        "publish_cloudwatch_metrics": "Disabled",
    }
    request.document["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["LocalPath"] = output
    return request


def _processing(verb: _Processing, job: ProcessingJob, placement: Placement, argument: str = "") -> JobRequest:
    inputs, outputs = _PROCESSING_FILES[verb]
    document: dict[str, Any] = {
        "ProcessingJobName": "${JobName}",
        "RoleArn": "${ProcessingRoleArn}",
        "AppSpecification": {"ImageUri": "${ImageUri}", "ContainerArguments": [verb]},
        "Environment": {**job.environment, **OWN_VARIABLES},
        "ProcessingInputs": [_input(name, uri) for name, uri in inputs.items()],
        "ProcessingOutputConfig": {
            "Outputs": [_output(name, uri) for name, uri in outputs.items()],
            **placement.key("KmsKeyId"),
        },
        "ProcessingResources": {"ClusterConfig": placement.volume(job)},
        "StoppingCondition": {"MaxRuntimeInSeconds": job.max_runtime_seconds},
    }
    if placement.vpc_config:
        document["NetworkConfig"] = {
            "VpcConfig": placement.vpc_config,
            "EnableInterContainerTrafficEncryption": True,
        }
    return JobRequest(verb=verb, operation="CreateProcessingJob", document=document, argument=argument or verb)


def _training(job: TrainingJob, placement: Placement) -> JobRequest:
    stopping = {"MaxRuntimeInSeconds": job.max_runtime_seconds}
    algorithm: dict[str, Any] = {"TrainingImage": "${ImageUri}", "TrainingInputMode": "File"}
    if job.metric_definitions:
        algorithm["MetricDefinitions"] = [
            {"Name": name, "Regex": regex} for name, regex in job.metric_definitions.items()
        ]
    document: dict[str, Any] = {
        "TrainingJobName": "${JobName}",
        "RoleArn": "${TrainingRoleArn}",
        "AlgorithmSpecification": algorithm,
        "HyperParameters": {name: str(value) for name, value in job.hyperparameters.items()},
        "Environment": {**job.environment, **OWN_VARIABLES},
        "InputDataConfig": [_channel("training", "${RunUri}/data/training/")],
        "OutputDataConfig": {"S3OutputPath": "${RunUri}/model/", **placement.key("KmsKeyId")},
        "ResourceConfig": placement.volume(job),
        "StoppingCondition": stopping,
    }
    if placement.vpc_config:
        document |= {"VpcConfig": placement.vpc_config, "EnableInterContainerTrafficEncryption": True}
    if job.max_wait_seconds is not None:
        stopping["MaxWaitTimeInSeconds"] = job.max_wait_seconds
        document |= {"EnableManagedSpotTraining": True, "CheckpointConfig": {"S3Uri": "${RunUri}/checkpoints/"}}
    return JobRequest(verb="train", operation="CreateTrainingJob", document=document, argument="train")


def _input(name: str, uri: str) -> dict[str, Any]:
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


def _output(name: str, uri: str) -> dict[str, Any]:
    return {
        "OutputName": name,
        "S3Output": {"S3Uri": uri, "LocalPath": f"{_CONTAINER_ROOT}/output/{name}", "S3UploadMode": "EndOfJob"},
    }


def _channel(name: str, uri: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
        },
        "InputMode": "File",
    }
