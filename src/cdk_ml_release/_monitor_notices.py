"""What people are told of a monitor, where its own job cannot tell them."""

from __future__ import annotations

from collections.abc import Sequence

from ._monitor_alarms import MONITOR_DOWN, NO_DATA
from ._notifications import Notice

_ALARM = "CloudWatch Alarm State Change"


def monitor_notices(endpoint_name: str, model: str, alarm_names: Sequence[str]) -> list[Notice]:
    """The news of a monitor: no data, a job that failed, a monitor that is silent, and an alarm that is over.

    Args:
        endpoint_name: The endpoint that is watched.
        model: Its model.
        alarm_names: All alarms of the monitor.
    """
    jobs = "https://${AWS::Region}.console.aws.amazon.com/sagemaker/home#/processing-jobs/<job>"

    def alarm(name: str, kinds: Sequence[str], state: str, text: str) -> Notice:
        detail = {"alarmName": list(kinds), "state": {"value": [state]}}
        return Notice(name=name, source="aws.cloudwatch", detail_types=[_ALARM], detail=detail, text=text)

    told = f"Model {model} at endpoint {endpoint_name}"
    return [
        alarm(
            "NoData",
            [f"{endpoint_name}-{NO_DATA}"],
            "ALARM",
            f"{told}: no request was captured in the last window, so nothing can be said of drift. If requests are "
            "expected, look at the endpoint and at who calls it.",
        ),
        alarm(
            "MonitorDown",
            [f"{endpoint_name}-{MONITOR_DOWN}"],
            "ALARM",
            f"{told}: monitoring is down, two windows in a row were not compared. Look at the schedule "
            f"{endpoint_name}-monitor and at the log of its last job.",
        ),
        alarm("Over", list(alarm_names), "OK", f"{told}: the alarm <alarm> is over."),
        Notice(
            name="JobFailed",
            source="aws.sagemaker",
            detail_types=["SageMaker Processing Job State Change"],
            detail={
                "ProcessingJobName": [{"prefix": f"{endpoint_name}-"}],
                "ProcessingJobStatus": ["Failed", "Stopped"],
            },
            text=f"{told}: the monitor's job <job> has ended without a result: <reason>. {jobs}",
        ),
    ]
