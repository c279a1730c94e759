"""What the jobs of a monitor cost in a month."""

import json

import pytest

from cdk_ml_release.cost import estimate
from cdk_ml_release.cost.assumptions import Assumptions
from cdk_ml_release.cost.schedule import runs_per_month

from .conftest import a

ARN = {"Fn::Sub": "arn:${AWS::Partition}:scheduler:::aws-sdk:sagemaker:createProcessingJob"}
REQUEST = {
    "ProcessingJobName": "live-<aws.scheduler.execution-id>",
    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large"}},
}


def schedule(expression="cron(20 * * * ? *)", arn=ARN):
    target = {"Arn": arn, "Input": {"Fn::Sub": json.dumps(REQUEST)}}
    return {"Schedule": a("AWS::Scheduler::Schedule", ScheduleExpression=expression, Target=target)}


def test_an_hourly_window_costs_an_instance_for_some_minutes_of_every_hour(assembly):
    bill = estimate(assembly(schedule()), Assumptions(monitor_minutes=6))

    (line,) = bill.inventory.lines
    assert line.item == "730 x processing on 1 x ml.m5.large, 6 min"
    assert line.usd == pytest.approx(730 * 0.115 * 6 / 60)


def test_a_schedule_of_something_else_is_unknown_and_not_free(assembly):
    bill = estimate(assembly(schedule(arn="arn:aws:scheduler:::aws-sdk:sqs:sendMessage")))

    (line,) = bill.inventory.lines
    assert (line.usd, line.unknown) == (None, "the table does not know this target")


@pytest.mark.parametrize(
    ("expression", "runs"),
    [
        ("cron(20 0/6 * * ? *)", 730 / 6),
        ("cron(20 0 * * ? *)", 730 / 24),
        ("cron(0 1,13 * * ? *)", 730 / 12),
        ("rate(2 hours)", 365),
        ("rate(30 minutes)", 1460),
        ("cron(0 8 ? * MON *)", None),
        ("at(2026-11-28T05:00:00)", None),
    ],
)
def test_the_runs_of_a_month_are_counted_where_every_day_is_alike(expression, runs):
    assert runs_per_month(expression) == (None if runs is None else pytest.approx(runs))
