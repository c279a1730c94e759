"""What a monitor by SageMaker Model Monitor may do: its jobs, its deployment, and what makes its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ._monitor_permissions import PUBLISH, keep_alarms, make_ready
from ._permissions import Allow, RepoPermissions, arn, pass_role
from ._sagemaker_role import run_container
from .runtime.model_monitor_stage import FOLDER

_RUNS = "every execution has a folder of its own under runs/"
# The guide and the samples disagree on whether Model Monitor's namespaces begin with a slash.
_METRICS = Allow(
    ["cloudwatch:PutMetricData"],
    ["*"],
    {"StringLike": {"cloudwatch:namespace": "aws/sagemaker/*"}},
    because="metrics have no resource; the namespaces are Model Monitor's",
)


@dataclass(frozen=True, kw_only=True)
class ModelMonitorPermissions:
    """The statements for the roles of one endpoint's monitor."""

    endpoint_name: str
    stack_name: str
    model_name: str
    repo: RepoPermissions
    analyzer_arn: str
    """The repository of Model Monitor's image, in an account of AWS."""
    alarm_names: Sequence[str]
    schedule_names: Sequence[str]

    def analyze(self, *, in_vpc: bool) -> list[Allow]:
        """What the job of the baseline and those of the windows need."""
        name, analyzer = self.endpoint_name, replace(self.repo, images_arn=self.analyzer_arn)
        return [
            *run_container(analyzer, log_group="/aws/sagemaker/ProcessingJobs", in_vpc=in_vpc),
            *self.repo.read("runs", "capture", f"ground-truth/{name}", f"monitoring/{name}"),
            *self.repo.write(f"monitoring/{name}/*", "every window has a folder of its own"),
            *self.repo.write(f"runs/*/{FOLDER}/suggested/*", _RUNS),
            *self.repo.encrypt_volumes(),
            _METRICS,
        ]

    def deploy(self, monitor_role_arn: str) -> list[Allow]:
        """What CloudFormation needs to create, update and delete the monitor's stack."""
        tags = ["sagemaker:AddTags", "sagemaker:ListTags"]
        kinds = {"DataQuality": "data-quality", "ModelQuality": "model-quality"}
        return [
            *(
                Allow(
                    [*(f"sagemaker:{verb}{kind}JobDefinition" for verb in ("Create", "Describe", "Delete")), *tags],
                    [arn("sagemaker", f"{noun}-job-definition/{self.endpoint_name}-*")],
                    because="the names end in the execution's id and in a digest of their content",
                )
                for kind, noun in kinds.items()
            ),
            Allow(
                [
                    *(f"sagemaker:{verb}MonitoringSchedule" for verb in ("Create", "Describe", "Update", "Delete")),
                    *tags,
                ],
                [arn("sagemaker", f"monitoring-schedule/{name}") for name in self.schedule_names],
            ),
            pass_role("sagemaker.amazonaws.com", monitor_role_arn),
            keep_alarms(self.alarm_names),
        ]

    def prepare(self, monitor_role_arn: str) -> list[Allow]:
        """What the program before the deployment needs."""
        jobs, group = f"{self.model_name}-baseline-*", arn("logs", "log-group:/aws/sagemaker/ProcessingJobs")
        return [
            *self.repo.read("runs"),
            *self.repo.write(f"runs/*/{FOLDER}/*", _RUNS),
            Allow(
                ["sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob"],
                [arn("sagemaker", f"processing-job/{jobs}")],
                because="the names end in the execution's id",
            ),
            pass_role("sagemaker.amazonaws.com", monitor_role_arn),
            Allow(
                ["logs:DescribeLogStreams", "logs:GetLogEvents"],
                [f"{group}:*", f"{group}:log-stream:{jobs}"],
                because="SageMaker names the log streams after the jobs",
            ),
            make_ready(self.stack_name),
            PUBLISH,
        ]
