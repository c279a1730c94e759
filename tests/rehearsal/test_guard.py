"""The guard between an alarm and the pipeline, as the construct declares it, run by the rehearsal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from aws_cdk import Duration

from cdk_ml_release import Retrain
from cdk_ml_release._retrain_guard import definition
from cdk_ml_release.rehearsal.cloud import hours

from .stage_hand import PIPELINE, WENT_OFF, alarm, hand, rule


class Sea:
    """One or two alarms, the guard, and a pipeline that can be held up."""

    def __init__(self, stage_hand, retrain, actions):
        self.hand = stage_hand
        self.line = stage_hand.build_line("Reason")
        machine = {
            "StateMachineName": "guard",
            "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
            "DefinitionString": definition(retrain, "aws"),
            "DefinitionSubstitutions": {"Pipeline": PIPELINE, "Role": {"Ref": "Role"}, "Endpoint": "live"},
        }
        self.hand.deploy(
            {
                "Role": self.hand.role("states.amazonaws.com", *actions),
                "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine},
                "RuleRole": self.hand.role("events.amazonaws.com", "states:StartExecution"),
                "Rule": rule(WENT_OFF, {"Ref": "Machine"}, "RuleRole"),
                "Storm": alarm("storm"),
                "Surge": alarm("surge", Threshold=8),
            }
        )

    def rise(self, value):
        self.hand.put(value)
        self.hand.alarms.look()

    def let_pass(self, **time):
        end = hours.now() + timedelta(**time)
        while (due := self.hand.machines.next_due()) is not None and due <= end:
            hours.pass_until(due)
            self.hand.machines.wake(due)
            self.hand.pipelines.wait()
        hours.pass_until(end)

    @property
    def triggers(self):
        return [execution.trigger for execution in self.line.executions]


@pytest.fixture
def sea():
    with hand() as opened:

        def made(actions=("cloudwatch:DescribeAlarms", "codepipeline:*"), **retrain):
            return Sea(opened, Retrain(**retrain), actions)

        yield made
        opened.go.set()


def test_an_alarm_that_is_still_on_starts_the_pipeline_with_its_reason(sea):
    sea = sea()

    sea.rise(5.0)
    sea.hand.pipelines.wait()

    (execution,) = sea.line.executions
    assert execution.trigger == "alarm storm (state machine guard)"
    reason = execution.namespaces["variables"]["Reason"]
    assert reason.startswith("storm: Maximum of Waves is 5, GreaterThanThreshold 3")
    kind, detail = execution.started_by
    assert kind == "StartPipelineExecution"
    assert detail.startswith("arn:aws:sts::123456789012:assumed-role/stack-Role-")
    assert sea.hand.said("machine") == [
        "state machine guard for alarm storm SUCCEEDED: Look → StillOn → List → MayStart → Start"
    ]


def test_nothing_is_started_while_an_execution_is_in_progress(sea):
    sea = sea()
    sea.hand.go.clear()

    sea.rise(5.0)
    sea.rise(9.0)

    assert sea.triggers == ["alarm storm (state machine guard)"]
    assert len(sea.hand.machines.waiting()) == 1
    sea.hand.go.set()
    sea.hand.pipelines.wait()
    sea.let_pass(hours=2)
    assert len(sea.triggers) == 1, "the surge was over when the guard looked again"


def test_an_alarm_within_the_cool_down_waits_until_it_is_over(sea):
    sea = sea(cool_down=Duration.hours(3), most_per_day=2)
    sea.rise(5.0)
    sea.hand.pipelines.wait()
    sea.let_pass(minutes=70)

    for _ in range(3):
        sea.rise(9.0)
        sea.let_pass(minutes=50)

    assert sea.triggers == ["alarm storm (state machine guard)", "alarm surge (state machine guard)"]
    first, second = (execution.started for execution in sea.line.executions)
    assert timedelta(hours=3) <= second - first < timedelta(hours=3, minutes=20)
    waits, started = sea.hand.said("machine")[1:]
    assert "for alarm surge waits until" in waits
    assert started.endswith("SUCCEEDED: … → Look → StillOn → List → MayStart → Start")


def test_two_alarms_of_the_same_hour_start_one_retraining(sea):
    sea = sea(cool_down=Duration.hours(1), most_per_day=2)
    sea.hand.put(9.0)
    sea.hand.alarms.look()
    sea.hand.pipelines.wait()

    for _ in range(4):
        sea.let_pass(minutes=20)
        sea.rise(9.0)

    assert len(sea.triggers) == 1
    assert sea.hand.machines.waiting() == []


def test_ten_alarms_within_an_hour_start_one_retraining(sea):
    sea = sea(cool_down=Duration.hours(1), most_per_day=24)

    for wave in range(10):
        sea.rise(9.0 if wave % 2 == 0 else 1.0)
        sea.hand.pipelines.wait()
        sea.let_pass(minutes=5)

    assert len(sea.triggers) == 1


def test_a_guard_whose_role_may_not_look_says_so(sea):
    sea = sea(actions=["codepipeline:*"])

    sea.rise(5.0)

    assert sea.triggers == []
    (text,) = sea.hand.said("failure")
    assert "CloudWatch.CloudWatchException" in text
    assert "is not allowed cloudwatch:DescribeAlarms on" in text


def test_the_same_token_again_is_the_same_execution_again(sea):
    sea = sea()
    client = sea.hand.gateway.client("codepipeline")

    started = {
        client.start_pipeline_execution(name=PIPELINE, clientRequestToken="t")["pipelineExecutionId"] for _ in "ab"
    }
    sea.hand.pipelines.wait()

    (execution,) = sea.line.executions
    assert started == {execution.id}
    listed = client.list_pipeline_executions(pipelineName=PIPELINE)["pipelineExecutionSummaries"]
    assert [each["trigger"]["triggerDetail"] for each in listed] == ["arn:aws:iam::123456789012:root"]
    assert listed[0]["status"] == "Succeeded"


def test_executions_are_listed_in_pages_newest_first(sea):
    sea = sea()
    made = [sea.line.start(f"push {number}").id for number in range(3)]
    client = sea.hand.gateway.client("codepipeline")

    pages = client.get_paginator("list_pipeline_executions").paginate(
        pipelineName=PIPELINE, PaginationConfig={"PageSize": 2}
    )

    found = [[each["pipelineExecutionId"] for each in page["pipelineExecutionSummaries"]] for page in pages]
    assert found == [[made[2], made[1]], [made[0]]]
    with pytest.raises(client.exceptions.ClientError, match="knows no filter of ListPipelineExecutions"):
        client.list_pipeline_executions(pipelineName=PIPELINE, filter={"succeededInStage": {"stageName": "Only"}})
