"""A hall for endpoints: model versions and endpoint stacks without the pipeline that would make them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cdk_ml_release.rehearsal.cloud.clock import Clock
from cdk_ml_release.rehearsal.containers.image import build_image, record_push
from cdk_ml_release.rehearsal.rehearsal import Rehearsal
from cdk_ml_release.rehearsal.settings import SampleRequest, Settings

from .serving import serve

ENDPOINT = "hall-live"
VARIANT = "AllTraffic"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CLOCK = Clock(minute_seconds=0.05, shortest_seconds=0.3, longest_seconds=6.0, requests=30)


def canary(count: int = 1, *, alarms: tuple[str, ...] = (), bake_minutes: int = 10) -> dict[str, Any]:
    """A DeploymentConfig with a canary of so many instances."""
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": bake_minutes * 60,
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": count},
    }
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": bake_minutes * 60}
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}
    return {"BlueGreenUpdatePolicy": policy, **rollback}


def alarm(metric: str, threshold: float, *, statistic: str = "Average", **more: Any) -> dict[str, Any]:
    """An alarm on a metric of the fleet that the template's endpoint configuration describes."""
    chosen = {"ExtendedStatistic": statistic} if statistic.startswith("p") else {"Statistic": statistic}
    dimensions = {
        "EndpointName": ENDPOINT,
        "VariantName": VARIANT,
        "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
    }
    properties = {
        "AlarmName": f"hall-{metric}",
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": threshold,
        "TreatMissingData": "notBreaching",
        **chosen,
        **more,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


@dataclass
class Hall:
    """A rehearsed account in which versions are registered and released directly."""

    rehearsal: Rehearsal
    folder: Path
    notes: list[str]
    names: dict[str, str] = field(default_factory=dict)
    """Version ARN to the name that its container answers with."""

    def version(self, name: str, act: str = "pass", start: str = "") -> str:
        """Register a version whose container answers with a name, after doing something; return its ARN."""
        context = self.folder / f"context-{name}"
        context.mkdir(parents=True)
        post = f"number, status = next(NUMBER), 200\n{act}\nself.answer('{name}', status)"
        counting = f"NUMBER = itertools.count(1)\n{start}"
        (context / "serve").write_text(serve(post, start=counting))
        (context / "serve").chmod(0o755)
        (context / "Dockerfile").write_text("FROM python:3.12-slim\nCOPY . /opt/program\nENV PATH=/opt/program:$PATH\n")
        place = self.rehearsal.place
        image = build_image(context, store=place.images, cache=place.cache)
        ecr = place.gateway.client("ecr")
        manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "config": {"digest": image.digest}})
        pushed = ecr.put_image(repositoryName="hall", imageManifest=manifest, imageTag=name)["image"]["imageId"]
        record_push(place.images, pushed["imageDigest"], image.digest)
        registry = f"{place.gateway.account}.dkr.ecr.us-east-1.amazonaws.com/hall@{pushed['imageDigest']}"
        arn = place.gateway.client("sagemaker").create_model_package(
            ModelPackageGroupName="hall",
            InferenceSpecification={
                "Containers": [{"Image": registry}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )["ModelPackageArn"]
        self.names[arn] = name
        return arn

    def release(
        self,
        version: str,
        *,
        instances: int = 2,
        deployment: dict[str, Any] | None = None,
        resources: dict[str, Any] | None = None,
        variant: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        endpoint: dict[str, Any] | None = None,
        caller: str | None = None,
    ) -> None:
        """Deploy the endpoint's stack with a version."""
        hosted = {"InitialInstanceCount": instances, "InstanceType": "ml.m5.large", **(variant or {})}
        hosted = {key: value for key, value in hosted.items() if value is not None}
        names = [
            each["Properties"]["AlarmName"] for each in (resources or {}).values() if each["Type"].endswith("Alarm")
        ]
        declared = deployment if deployment is not None else canary(alarms=tuple(names))
        template = {
            "Resources": {
                "Model": self.model(version),
                "Config": {
                    "Type": "AWS::SageMaker::EndpointConfig",
                    "Properties": {
                        "ProductionVariants": [
                            {"VariantName": VARIANT, "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}, **hosted}
                        ],
                        **(config or {}),
                    },
                },
                "Endpoint": {
                    "Type": "AWS::SageMaker::Endpoint",
                    "DependsOn": [name for name, each in (resources or {}).items() if each["Type"].endswith("Alarm")],
                    "Properties": {
                        "EndpointName": ENDPOINT,
                        "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
                        **({"DeploymentConfig": declared} if declared else {}),
                        **(endpoint or {}),
                    },
                },
                **(resources or {}),
            }
        }
        self.rehearsal.stacks.deploy("hall", template, caller=caller)

    def model(self, version: str) -> dict[str, Any]:
        """A model as a resource."""
        properties = {"ExecutionRoleArn": self.arn("model"), "PrimaryContainer": {"ModelPackageName": version}}
        return {"Type": "AWS::SageMaker::Model", "Properties": properties}

    def client(self, service: str) -> Any:
        """A client of whoever deploys."""
        return self.rehearsal.gateway.client(service)

    def arn(self, role: str) -> str:
        """The ARN of a role."""
        return f"arn:aws:iam::{self.rehearsal.gateway.account}:role/{role}"

    def role(self, name: str, *actions: str) -> None:
        """Create a role that may do something to everything."""
        trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        may = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        iam = self.client("iam")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
        iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=_document(may))

    def ask(self) -> str:
        """Ask the endpoint; the name of the version that answers."""
        answer = self.client("sagemaker-runtime").invoke_endpoint(EndpointName=ENDPOINT, Body=b"1")
        return answer["Body"].read().decode()

    def answers(self, count: int = 20) -> set[str]:
        """The names of the versions that answer so many requests."""
        return {self.ask() for _ in range(count)}

    def described(self) -> dict[str, Any]:
        """The endpoint, as SageMaker describes it."""
        return self.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)

    @property
    def last(self) -> dict[str, Any]:
        """The newest release, as the report has it, with names instead of ARNs."""
        text = json.dumps(self.rehearsal.endpoints.releases[-1].to_json())
        for arn, name in self.names.items():
            text = text.replace(arn, name)
        return json.loads(text)


class _Audience:
    def __init__(self, notes: list[str]) -> None:
        self.note = notes.append


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextlib.contextmanager
def open_hall(
    folder: Path, cache: Path, *, requests_per_second: float = 100.0, clock: Clock = CLOCK, **settings: Any
) -> Iterator[Hall]:
    """Open a hall, with traffic to its endpoint unless the rate is 0."""
    notes: list[str] = []
    sample = SampleRequest(endpoint=ENDPOINT, body="1")
    rehearsal = Rehearsal(
        assembly=None,  # nothing is synthesized here
        settings=replace(Settings(startup_seconds=10.0, requests=(sample,), clock=clock), **settings),
        out=folder / "out",
        cache=cache,
        audience=_Audience(notes),
        requests_per_second=requests_per_second,
    )
    with rehearsal.on_stage():
        hall = Hall(rehearsal, folder, notes)
        hall.role("model", "ecr:*", "s3:*")
        hall.client("ecr").create_repository(repositoryName="hall")
        hall.client("sagemaker").create_model_package_group(ModelPackageGroupName="hall")
        with rehearsal.under_traffic():
            yield hall
