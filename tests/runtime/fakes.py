"""AWS, as far as the programs see it: small actors behind real clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import boto3
from botocore import xform_name
from botocore.response import StreamingBody
from botocore.validate import validate_parameters

from cdk_ml_release.runtime import aws, shapes

AT_ONCE = aws.Pace(first_seconds=0, longest_seconds=0)
"""For what comes about when it is looked at often enough."""
ONE_LOOK = aws.Pace(first_seconds=0, longest_seconds=0, limit_seconds=0)
"""For what has one chance."""
# A session reads the model of a service once.
_SESSION = boto3.Session()

STARTED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Refused(Exception):
    """What an actor answers instead of a result."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message


@dataclass
class _Response:
    status_code: int


def played_by(service: str, actor: Any) -> Any:
    """A real client, which checks requests and makes the errors, answered by ``actor``'s methods.

    Answers are checked against botocore's model as well: an actor cannot say what the service would not.
    """
    client = _SESSION.client(
        service, region_name="eu-central-1", aws_access_key_id="nobody", aws_secret_access_key="nothing"
    )

    def remember(params, context, **_):
        context["given"] = params

    def answer(model, context, **_):
        try:
            result = getattr(actor, xform_name(model.name))(**context["given"])
        except Refused as refusal:
            error = {"Code": refusal.code, "Message": refusal.message}
            return _Response(400), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
        if model.output_shape is not None:
            validate_parameters(result, model.output_shape)
        return _Response(200), result

    events, service_id = client.meta.events, client.meta.service_model.service_id.hyphenize()
    events.register(f"before-parameter-build.{service_id}", remember)
    events.register(f"before-call.{service_id}", answer)
    return client


Look = str | dict[str, Any]
"""What a job looks like at one time: its status, or a ``status`` with other fields of its description."""


@dataclass
class FakeJob:
    noun: str
    request: dict[str, Any]
    script: list[Look]
    """The next look takes the next entry, and the last one stays."""

    def describe(self) -> dict[str, Any]:
        look = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        told = {"status": look} if isinstance(look, str) else dict(look)
        described = {
            **{key: value for key, value in self.request.items() if key != "Tags"},
            f"{self.noun}JobArn": f"arn:aws:sagemaker:eu-central-1:111122223333:{self.noun.lower()}-job/name",
            f"{self.noun}JobStatus": told.pop("status"),
            "CreationTime": STARTED,
        }
        if self.noun == "Training":
            uri = f"{self.request['OutputDataConfig']['S3OutputPath']}{self.request['TrainingJobName']}"
            described["ModelArtifacts"] = {"S3ModelArtifacts": f"{uri}/output/model.tar.gz"}
            described["SecondaryStatus"] = described["TrainingJobStatus"]
        return described | told


def took(noun: str, seconds: float) -> dict[str, datetime]:
    """The fields of a job that ran so long."""
    return {f"{noun}StartTime": STARTED, f"{noun}EndTime": STARTED + timedelta(seconds=seconds)}


@dataclass
class FakeSageMaker:
    """Keeps its jobs, versions and endpoints in dicts."""

    scripts: list[Sequence[Look]] = field(default_factory=list)
    """How the jobs to come go, one after the other; any further one is in progress, then Completed."""
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    endpoints: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refusals: list[Refused] = field(default_factory=list)
    """What the next creations are answered with."""
    loses_answers: int = 0
    """So many creations are done, but their answers lost: the client's own second try is what is answered."""
    hides_jobs_for: int = 0
    """So many descriptions of a new job find nothing yet."""
    busy: list[Refused] = field(default_factory=list)
    """What the next descriptions of jobs are answered with."""

    def _create(self, noun: str, request: dict[str, Any]) -> dict[str, Any]:
        if self.refusals:
            raise self.refusals.pop(0)
        if found := shapes.problems(f"Create{noun}Job", request):
            raise Refused("ValidationException", "; ".join(found))
        name = request[f"{noun}JobName"]
        if name in self.jobs:
            raise Refused("ResourceInUse", f"{noun} job names must be unique")
        script = self.scripts.pop(0) if self.scripts else ["InProgress", "Completed"]
        self.jobs[name] = FakeJob(noun, request, list(script))
        if self.loses_answers:
            self.loses_answers -= 1
            return self._create(noun, request)
        return {f"{noun}JobArn": f"arn:aws:sagemaker:eu-central-1:111122223333:{noun.lower()}-job/{name}"}

    def _describe(self, name: str, missing: str) -> dict[str, Any]:
        if self.busy:
            raise self.busy.pop(0)
        if name in self.jobs and self.hides_jobs_for:
            self.hides_jobs_for -= 1
        elif name in self.jobs:
            described = self.jobs[name].describe()
            if "GONE" not in described.values():
                return described
            del self.jobs[name]
        raise Refused("ValidationException", missing)

    def create_training_job(self, **request):
        return self._create("Training", request)

    def create_processing_job(self, **request):
        return self._create("Processing", request)

    def describe_training_job(self, TrainingJobName):  # noqa: N803
        return self._describe(TrainingJobName, "Requested resource not found.")

    def describe_processing_job(self, ProcessingJobName):  # noqa: N803
        return self._describe(ProcessingJobName, f"Could not find requested job with name: {ProcessingJobName}")

    def create_model_package(self, **request):
        if self.refusals:
            raise self.refusals.pop(0)
        token = request.pop("ClientToken")
        if token in self.tokens:
            arn, before = self.tokens[token]
            if before != request:
                raise Refused("ConflictException", "another request had this token")
            return {"ModelPackageArn": arn}
        group = request["ModelPackageGroupName"]
        arn = f"arn:aws:sagemaker:eu-central-1:111122223333:model-package/{group}/{len(self.packages) + 1}"
        self.tokens[token] = arn, request
        self.packages[arn] = {**request, "ModelPackageStatus": "Completed"}
        return {"ModelPackageArn": arn}

    def describe_model_package(self, ModelPackageName):  # noqa: N803
        if ModelPackageName not in self.packages:
            raise Refused("ValidationException", f"ModelPackage {ModelPackageName} does not exist.")
        package = self.packages[ModelPackageName]
        status = package["ModelPackageStatus"]
        if isinstance(status, list):
            status = status.pop(0) if len(status) > 1 else status[0]
        return {
            "ModelPackageName": "abalone",
            "ModelPackageArn": ModelPackageName,
            "CreationTime": STARTED,
            "ModelPackageStatus": status,
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
            "ModelApprovalStatus": package["ModelApprovalStatus"],
            **{key: package[key] for key in ("CustomerMetadataProperties", "InferenceSpecification") if key in package},
        }

    def update_model_package(self, ModelPackageArn, **change):  # noqa: N803
        self.packages[ModelPackageArn] |= change
        return {"ModelPackageArn": ModelPackageArn}

    def describe_endpoint(self, EndpointName):  # noqa: N803
        if EndpointName not in self.endpoints:
            raise Refused("ValidationException", f'Could not find endpoint "{EndpointName}".')
        script = self.endpoints[EndpointName]
        look = script.pop(0) if len(script) > 1 else script[0]
        return {
            "EndpointName": EndpointName,
            "EndpointArn": f"arn:aws:sagemaker:eu-central-1:111122223333:endpoint/{EndpointName}",
            "CreationTime": STARTED,
            "LastModifiedTime": STARTED,
            **look,
        }


@dataclass
class FakeLogs:
    """Lines that arrive in time: the look after which they are there, their stream and their text."""

    arrivals: list[tuple[int, str, str]] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)
    looks: int = 0
    streams_in_a_page: int = 50

    def describe_log_streams(self, logGroupName, logStreamNamePrefix, limit, nextToken="0"):  # noqa: N803
        self.looks += nextToken == "0"
        if self.refusals:
            raise self.refusals.pop(0)
        arrived = [stream for look, stream, _ in self.arrivals if look <= self.looks]
        if not arrived:
            raise Refused("ResourceNotFoundException", f"The log group {logGroupName} does not exist.")
        found = sorted({stream for stream in arrived if stream.startswith(logStreamNamePrefix)})
        first, last = int(nextToken), int(nextToken) + min(limit, self.streams_in_a_page)
        page = {"logStreams": [{"logStreamName": stream} for stream in found[first:last]]}
        return page | ({"nextToken": str(last)} if last < len(found) else {})

    def get_log_events(self, logGroupName, logStreamName, startFromHead, nextToken="0"):  # noqa: N803
        assert startFromHead and logGroupName.startswith("/aws/sagemaker/")
        lines = [line for look, stream, line in self.arrivals if stream == logStreamName and look <= self.looks]
        first = int(nextToken)
        # One event a page, and before each an empty page: both are allowed, and neither is the end.
        at, half = divmod(first, 2)
        events = [{"message": lines[at]}] if half and at < len(lines) else []
        return {"events": events, "nextForwardToken": str(first + 1 if at < len(lines) else first)}


@dataclass
class FakeEndpointLog:
    """An endpoint's log: pages of lines, of which each look finds the next ones."""

    looks: list[list[list[str]]] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)

    def filter_log_events(self, logGroupName, startTime, nextToken="0"):  # noqa: N803
        assert logGroupName.startswith("/aws/sagemaker/Endpoints/")
        if self.refusals:
            raise self.refusals.pop(0)
        pages = self.looks[0] if self.looks else [[]]
        number = int(nextToken)
        more = {"nextToken": str(number + 1)} if number + 1 < len(pages) else {}
        if not more and len(self.looks) > 1:
            self.looks.pop(0)
        events = [{"timestamp": startTime + at, "message": line} for at, line in enumerate(pages[number])]
        return {"events": events} | more


@dataclass
class FakeEndpoint:
    """A deployed model: what it answers to a body, or refuses it with."""

    model: Callable[[str], str]
    refusals: list[Refused] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def invoke_endpoint(self, **request):
        self.requests.append(request)
        if self.refusals:
            raise self.refusals.pop(0)
        answer = self.model(request["Body"].decode()).encode()
        return {"Body": StreamingBody(BytesIO(answer), len(answer)), "ContentType": request["Accept"]}


@dataclass
class FakeCloudFormation:
    """One stack: the statuses that it has in turn, before and after somebody deletes it."""

    before: list[str]
    after: list[str] = field(default_factory=lambda: ["DELETE_IN_PROGRESS", ""])
    deleted: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    updates: list[dict[str, object]] = field(default_factory=list)
    template: dict[str, Any] = field(default_factory=lambda: {"Parameters": {}})
    refusals: list[Refused] = field(default_factory=list)
    """What the next updates are answered with."""

    def get_template(self, StackName):  # noqa: N803
        return {"TemplateBody": json.dumps(self.template)}

    def describe_stacks(self, StackName):  # noqa: N803
        script = self.after if self.deleted else self.before
        status = script.pop(0) if len(script) > 1 else script[0]
        if not status:
            raise Refused("ValidationError", f"Stack with id {StackName} does not exist")
        stack = {"StackName": StackName, "StackStatus": status, "CreationTime": STARTED}
        stack["Parameters"] = [{"ParameterKey": key, "ParameterValue": text} for key, text in self.parameters.items()]
        stack["Outputs"] = [{"OutputKey": key, "OutputValue": text} for key, text in self.outputs.items()]
        return {"Stacks": [stack]}

    def update_stack(self, **request):
        if self.refusals:
            raise self.refusals.pop(0)
        given = request["Parameters"]
        kept = {
            each["ParameterKey"]: self.parameters[each["ParameterKey"]] for each in given if "UsePreviousValue" in each
        }
        changed = {each["ParameterKey"]: each["ParameterValue"] for each in given if "ParameterValue" in each}
        self.parameters = kept | changed
        self.updates.append(request)
        return {}

    def delete_stack(self, StackName):  # noqa: N803
        self.deleted.append(StackName)
        return {}
