"""What people are told of a monitor by SageMaker Model Monitor."""

from __future__ import annotations

from collections.abc import Sequence

from ._monitor_alarms import NO_DATA
from ._notifications import Notice

_ALARM = "CloudWatch Alarm State Change"
_JOB = "SageMaker Processing Job State Change"


def model_monitor_notices(endpoint_name: str, model: str, alarm_names: Sequence[str], role_arn: str) -> list[Notice]:
    """The news of a monitor: alarms that go off and are over, violated constraints, jobs that failed.

    Model Monitor names its jobs itself, so they are known by their role.

    Args:
        endpoint_name: The endpoint that is watched.
        model: Its model.
        alarm_names: All alarms of the monitor.
        role_arn: What its jobs run as.
    """
    told = f"Model {model} at endpoint {endpoint_name}"
    jobs = "https://${AWS::Region}.console.aws.amazon.com/sagemaker/home#/processing-jobs/<job>"
    no_data = f"{endpoint_name}-{NO_DATA}"
    drifted = [name for name in alarm_names if name != no_data]

    def alarm(name: str, alarms: Sequence[str], state: str, text: str) -> Notice:
        detail = {"alarmName": list(alarms), "state": {"value": [state]}}
        return Notice(name=name, source="aws.cloudwatch", detail_types=[_ALARM], detail=detail, text=text)

    return [
        alarm(
            "Drifted",
            drifted,
            "ALARM",
            f"{told}: the alarm <alarm> went off. The reports of the windows lie under monitoring/{endpoint_name}/ in "
            "the model's bucket.",
        ),
        alarm(
            "NoData",
            [no_data],
            "ALARM",
            f"{told}: SageMaker Model Monitor has published nothing of the last windows: no request was captured, its "
            "jobs fail, or its metrics are in another namespace. Look at the endpoint and at the monitoring schedule "
            f"{endpoint_name}-data-quality.",
        ),
        alarm("Over", alarm_names, "OK", f"{told}: the alarm <alarm> is over."),
        Notice(
            name="Violations",
            source="aws.sagemaker",
            detail_types=[_JOB],
            # A guess: the event holds what DescribeProcessingJob tells of the job, as that of a training job does.
            detail={"RoleArn": [role_arn], "ExitMessage": [{"prefix": "CompletedWithViolations"}]},
            text=f"{told}: the last window violates constraints, see constraint_violations.json of <job>. {jobs}",
        ),
        Notice(
            name="JobFailed",
            source="aws.sagemaker",
            detail_types=[_JOB],
            detail={"RoleArn": [role_arn], "ProcessingJobStatus": ["Failed", "Stopped"]},
            text=f"{told}: the monitor's job <job> has ended without a result: <reason>. {jobs}",
        ),
    ]
