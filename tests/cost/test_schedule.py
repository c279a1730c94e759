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


def model_monitor(kind="DataQuality", named="definition", expression="cron(0 * ? * * *)"):
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge"}
    config = {
        "MonitoringJobDefinitionName": named,
        "MonitoringType": kind,
        "ScheduleConfig": {"ScheduleExpression": expression},
    }
    return {
        "Definition": a(
            f"AWS::SageMaker::{kind}JobDefinition",
            JobDefinitionName="definition",
            JobResources={"ClusterConfig": cluster},
        ),
        "Schedule": a("AWS::SageMaker::MonitoringSchedule", MonitoringScheduleConfig=config),
    }


def test_model_monitor_costs_an_instance_of_its_definition_for_some_minutes_of_every_hour(assembly):
    bill = estimate(assembly(model_monitor()), Assumptions(monitor_minutes=10))

    (line,) = bill.inventory.lines
    assert line.item == "730 x processing on 1 x ml.m5.xlarge, 10 min"
    assert line.usd == pytest.approx(730 * 0.23 / 6)
    assert bill.inventory.free == {"AWS::SageMaker::DataQualityJobDefinition": 1}


def test_model_monitors_windows_may_be_longer(assembly):
    bill = estimate(assembly(model_monitor(expression="cron(0 0/6 ? * * *)")), Assumptions(monitor_minutes=10))

    assert bill.inventory.lines[0].usd == pytest.approx(730 / 6 * 0.23 / 6)


def test_labels_are_joined_by_a_job_of_their_own(assembly):
    bill = estimate(assembly(model_monitor("ModelQuality")), Assumptions(monitor_minutes=10))

    assert [line.usd for line in bill.inventory.lines] == [pytest.approx(730 * 0.23 / 6)] * 2


def test_a_schedule_may_say_itself_what_it_runs(assembly):
    cluster = {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}
    config = {
        "MonitoringJobDefinition": {"MonitoringResources": {"ClusterConfig": cluster}},
        "ScheduleConfig": {"ScheduleExpression": "cron(0 0 ? * * *)"},
    }
    resources = {"Schedule": a("AWS::SageMaker::MonitoringSchedule", MonitoringScheduleConfig=config)}

    bill = estimate(assembly(resources), Assumptions(monitor_minutes=10))

    instances, volumes = bill.inventory.lines
    assert instances.usd == pytest.approx(730 / 24 * 2 * 0.115 / 6)
    assert volumes.item.startswith("30.4167 x 2 x volume of 20 GB")


def test_a_schedule_of_a_definition_elsewhere_is_unknown_and_not_free(assembly):
    bill = estimate(assembly(model_monitor(named="another")))

    (line,) = bill.inventory.lines
    assert (line.usd, line.unknown) == (None, "its job definition is not in the template")


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
