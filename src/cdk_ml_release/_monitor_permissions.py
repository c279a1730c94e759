"""What a monitor may do: to read what its endpoint was asked, and to write what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._permissions import Allow, RepoPermissions, arn, pass_role
from ._sagemaker_role import run_container
from .runtime.monitor_stage import NAMESPACE

PUBLISH = Allow(
    ["cloudwatch:PutMetricData"],
    ["*"],
    {"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
    because="metrics have no resource; the namespace is the monitors' own",
)
"""Publish under the monitors' own namespace."""


def keep_alarms(names: Sequence[str]) -> Allow:
    """Create, update and delete alarms, as CloudFormation does."""
    verbs = ["PutMetricAlarm", "DeleteAlarms", "DescribeAlarms", "ListTagsForResource", "TagResource", "UntagResource"]
    return Allow([f"cloudwatch:{verb}" for verb in verbs], [arn("cloudwatch", f"alarm:{name}") for name in names])


def make_ready(stack_name: str) -> Allow:
    """Make a stack one that can be updated: one whose first creation failed is deleted."""
    return Allow(
        ["cloudformation:DescribeStacks", "cloudformation:DeleteStack"],
        [arn("cloudformation", f"stack/{stack_name}/*")],
        because="CloudFormation ends a stack's ARN in an id that it makes",
    )


@dataclass(frozen=True, kw_only=True)
class MonitorPermissions:
    """The statements for the roles of one endpoint's monitor."""

    endpoint_name: str
    stack_name: str
    repo: RepoPermissions
    alarm_names: Sequence[str]

    def compare(self, *, topic_arn: str | None, in_vpc: bool) -> list[Allow]:
        """What the job of a window needs."""
        name = self.endpoint_name
        return [
            *run_container(self.repo, log_group="/aws/sagemaker/ProcessingJobs", in_vpc=in_vpc),
            *self.repo.read("runs", "capture", f"ground-truth/{name}", "in-service", f"monitoring/{name}"),
            *self.repo.write(f"monitoring/{name}/*", "every window has a folder of its own"),
            *self.repo.encrypt_volumes(),
            PUBLISH,
            *([Allow(["sns:Publish"], [topic_arn])] if topic_arn is not None else []),
        ]

    def start(self, monitor_role_arn: str) -> list[Allow]:
        """What the schedule needs."""
        jobs = arn("sagemaker", f"processing-job/{self.endpoint_name}-*")
        return [
            Allow(["sagemaker:CreateProcessingJob"], [jobs], because="the names end in the id of the schedule's run"),
            pass_role("sagemaker.amazonaws.com", monitor_role_arn),
        ]

    def deploy(self, scheduler_role_arn: str) -> list[Allow]:
        """What CloudFormation needs to create, update and delete the monitor's stack."""
        schedule = arn("scheduler", f"schedule/default/{self.stack_name}")
        return [
            Allow([f"scheduler:{verb}Schedule" for verb in ("Create", "Get", "Update", "Delete")], [schedule]),
            pass_role("scheduler.amazonaws.com", scheduler_role_arn),
            keep_alarms(self.alarm_names),
        ]

    def prepare(self) -> list[Allow]:
        """What the program before the deployment needs."""
        push = ["CompleteLayerUpload", "DescribeImages", "InitiateLayerUpload", "PutImage", "UploadLayerPart"]
        return [
            *self.repo.pull(),
            Allow([f"ecr:{verb}" for verb in push], [self.repo.images_arn]),
            make_ready(self.stack_name),
            PUBLISH,
        ]
