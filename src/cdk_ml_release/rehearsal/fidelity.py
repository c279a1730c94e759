"""How true the rehearsal is: every concept that it knows, as real, imitated or skipped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .cloud import cloudformation_api, registry_api
from .cloud.account import Account
from .cloud.automation.event_bus import EventBus
from .cloud.automation.schedules import Schedules
from .cloud.automation.state_machines import StateMachines
from .cloud.gateway import MOTO_OPERATIONS, MOTO_SERVICES, Gateway
from .cloud.sagemaker_endpoints import SageMakerEndpoints
from .cloud.sagemaker_jobs import SageMakerJobs
from .cloud.workplace import Workplace
from .pipelines import api

Fidelity = Literal["real", "imitated", "skipped"]


@dataclass(frozen=True)
class Known:
    """A concept and how it is played."""

    fidelity: Fidelity
    how: str


def _real(how: str) -> Known:
    return Known("real", how)


def _imitated(how: str) -> Known:
    return Known("imitated", how)


def _skipped(how: str) -> Known:
    return Known("skipped", how)


ACTION_TYPES: Mapping[tuple[str, str], Known] = {
    ("Approval", "Manual"): _imitated("answered from the settings, the command line or a person; SNS is told first"),
    ("Build", "CodeBuild"): _real(
        "the buildspec's commands, in a real shell, with the project's role; programs are forks of a loaded Python"
    ),
    ("Deploy", "CloudFormation"): _imitated("create, update, replace and delete, with roll-back; no change sets"),
    ("Source", "CodeCommit"): _imitated("a local folder plays the branch; the commit id is the hash of its content"),
    ("Source", "CodeStarSourceConnection"): _imitated("a local folder plays the branch"),
    ("Source", "S3"): _imitated("a local folder is zipped and uploaded, then read as the pipeline's role"),
    ("Test", "CodeBuild"): _real("as Build"),
}

RESOURCE_TYPES: Mapping[str, Known] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": _imitated("registered and checked; nothing scales by itself"),
    "AWS::ApplicationAutoScaling::ScalingPolicy": _imitated("kept and described; nothing scales by itself"),
    "AWS::CDK::Metadata": _skipped("says nothing about what is deployed"),
    "AWS::CloudFormation::WaitConditionHandle": _skipped("a place holder"),
    "AWS::CloudWatch::Alarm": _imitated(
        "evaluated on real values, when hours pass and a monitor's job ends; simple expressions; events, SNS actions"
    ),
    "AWS::CloudWatch::CompositeAlarm": _imitated("evaluated by its rule; events, SNS actions; no suppression"),
    "AWS::CloudWatch::Dashboard": _skipped("accepted; nobody looks at it"),
    "AWS::CodeBuild::Project": _real("its environment, buildspec, role, timeout and privileged mode are used"),
    "AWS::CodeCommit::Repository": _imitated("a name; its content is a local folder"),
    "AWS::CodePipeline::Pipeline": _real("stages, run order, namespaces, artifacts, VariableCheck, roll-back, retry"),
    "AWS::ECR::Repository": _imitated("moto; immutable tags are kept, scans and lifecycle rules are not"),
    "AWS::Events::Rule": _imitated(
        "events of S3, code, pipelines, alarms, jobs, machines, to topics, pipelines, state machines; no schedules"
    ),
    "AWS::IAM::ManagedPolicy": _real("evaluated on every call"),
    "AWS::IAM::Policy": _real("evaluated on every call"),
    "AWS::IAM::Role": _real("trust and policies are evaluated; permissions boundaries are not"),
    "AWS::KMS::Alias": _skipped("a name"),
    "AWS::KMS::Key": _imitated("moto; nothing is encrypted, key policies are not evaluated"),
    "AWS::Lambda::Function": _skipped("exists, is never run"),
    "AWS::Lambda::LayerVersion": _skipped("exists, is never used"),
    "AWS::Logs::LogGroup": _imitated("moto; without retention"),
    "AWS::S3::Bucket": _imitated("moto; versioning and events are kept, encryption and lifecycle are not"),
    "AWS::S3::BucketPolicy": _skipped("not evaluated: every call here is the account's own"),
    "AWS::SNS::Subscription": _skipped("nobody is mailed"),
    "AWS::SNS::Topic": _imitated("moto; takes messages"),
    "AWS::SNS::TopicPolicy": _skipped("not evaluated"),
    "AWS::SSM::Parameter": _imitated("moto"),
    "AWS::SageMaker::Endpoint": _real("one serving process for each instance; updates shift traffic as declared"),
    "AWS::SageMaker::EndpointConfig": _imitated("one variant and a shadow; instance types and memory mean nothing"),
    "AWS::SageMaker::Model": _imitated("one container, by image or registered version"),
    "AWS::SageMaker::ModelPackageGroup": _imitated("moto"),
    "AWS::Scheduler::Schedule": _imitated(
        "at, rate, cron (without L, W, #) on the rehearsal's clock; any SDK operation, once; default group only"
    ),
    "AWS::StepFunctions::StateMachine": _imitated(
        "JSONata; Task (SDK operations), Choice, Wait, Pass, Succeed, Fail, Catch; retries at once; no Map, Parallel"
    ),
    "Custom::CDKBucketDeployment": _imitated("its archives are unpacked into the bucket, without the Lambda function"),
    "Custom::MlDataFolder": _imitated("its archive is unpacked into the bucket, without the Lambda function"),
}

CONCEPTS: Mapping[str, Known] = {
    "Authorization": _real("identity policies and trust, for every call; denials name action, resource and reason"),
    "Container": _imitated("its entry points run as processes; the image's pip lines are really installed"),
    "Base image": _skipped("the Python that runs the rehearsal stands in; apt-get lines are noted and left out"),
    "/opt/ml": _real("a mount of the job's own on Linux; SAGEMAKER_BASE_DIR elsewhere"),
    "Training and processing jobs": _real("names, statuses, inputs, outputs, logs, failure files, time limits"),
    "Transform jobs": _real("requests for every batch of lines to the real serving process; `.out` files, data log"),
    "Asynchronous inference": _real("queue, S3 answers and failures, SNS; its limit holds for all instances together"),
    "Several instances": _imitated("one process each, on this machine; the hosts' names do not resolve"),
    "Spot training, warm pools, checkpoints": _skipped("the job runs at once and is not interrupted"),
    "VPC, encryption, instance types": _skipped("accepted, without effect"),
    "Endpoint requests": _real("HTTP to the container; 6 MiB and 60 seconds at most, errors as ModelError"),
    "Endpoint updates": _real("two fleets, requests split by share, alarms, the way back; a guess: where shares round"),
    "Declared waits": _imitated("a bake is compressed, see docs/rehearsal.md; its traffic stands for every period"),
    "Metrics": _imitated(
        "those of invocations, from requests really served, and what programs put; none of the machine"
    ),
    "Shadow variants": _real("copies of a share of the requests to a fleet of their own; answers are dropped"),
    "Serverless inference": _imitated("one process that is always warm; what the service excludes is refused"),
    "Automatic scaling": _skipped("limits and policies are kept; UpdateEndpointWeightsAndCapacities really scales"),
    "A container that ends while it serves": _imitated("its requests fail; it is not started again"),
    "Data capture": _real("SageMaker's layout and record format"),
    "Time": _imitated("the machine's, and the hours that events let pass; jobs, logs and objects keep the machine's"),
    "Alarm periods": _imitated("end with the minute; of missing data what CloudWatch says of so many out of so many"),
    "Events": _imitated("delivered once, at once; a target's role is checked, a topic's policy is not"),
    "Names and times in SDK results": _imitated("a guess: botocore's names with a capital, ISO 8601, errors as Java's"),
    "Stage conditions": _imitated("VariableCheck before and after a stage, RETRY and ROLLBACK on failure"),
    "Skipped stages": _imitated("no retry, no roll-back; a guess: an action that names their variables fails"),
    "Several accounts": _skipped("refused by name; releases to another account are tested as templates only"),
    "Several regions": _skipped("refused by name; releases to another region are tested with moto and as templates"),
    "SageMaker Model Monitor": _skipped("refused by name: its image is AWS's own; templates are tested only"),
    "Pipeline variables": _imitated("defaults, values at the start, none empty; a roll-back has the earlier"),
    "Execution mode": _imitated("QUEUED whatever is declared: one execution in a stage, in the order of their starts"),
}


def render() -> str:
    """The page ``docs/fidelity.md``, from the very tables that a rehearsal works with."""
    parts = [
        "# What a rehearsal proves, and what it does not",
        "Every concept that the rehearsal knows is *real* (the thing itself happens), *imitated* (what a release can "
        "see of it is the same) or *skipped* (accepted, without effect). An action type, a resource type or a call "
        "that is not on this page ends the rehearsal with an error that names it.",
        "This page is written by the code: `python -m cdk_ml_release.rehearsal.fidelity > docs/fidelity.md`.",
        _table("Concepts", "concept", CONCEPTS),
        _table("Pipeline actions", "action type", {"/".join(key): known for key, known in ACTION_TYPES.items()}),
        _table("Resource types", "resource type", RESOURCE_TYPES),
        "## Calls",
        f"All of {_listed(MOTO_SERVICES)}, as moto answers them, and of other services these:",
        "\n".join(f"- `{service}`: {names}" for service, names in _by_service(answered())),
    ]
    return "\n\n".join(parts) + "\n"


def answered() -> set[tuple[str, str]]:
    """The calls to other services than moto's that are answered, by service and operation."""
    gateway = Gateway("us-east-1")
    place = Workplace(gateway=gateway, out=Path(), cache=Path(), startup_seconds=0)
    try:
        endpoints = SageMakerEndpoints(place)
        bus = EventBus(gateway, Account(), _unheard)
        parts = (
            SageMakerJobs(place, endpoints.models),
            endpoints,
            Schedules(gateway, _unheard),
            StateMachines(gateway, bus, _unheard),
        )
        services = [part.services() for part in parts]
        own = {key for service in services for key in service}
        return own | registry_api.services().keys() | cloudformation_api.OPERATIONS | api.OPERATIONS | MOTO_OPERATIONS
    finally:
        gateway.close()


def _unheard(kind: str, text: str) -> None:
    """There is no news where nothing happens."""


def _table(title: str, column: str, rows: Mapping[str, Known]) -> str:
    lines = [f"| `{name}` | {known.fidelity} | {known.how} |" for name, known in sorted(rows.items())]
    return "\n".join([f"## {title}", "", f"| {column} | | how |", "|---|---|---|", *lines])


def _by_service(operations: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    found: dict[str, list[str]] = {}
    for service, operation in sorted(operations):
        found.setdefault(service, []).append(operation)
    return [(service, ", ".join(names)) for service, names in found.items()]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


if __name__ == "__main__":
    print(render(), end="")
