"""Alarm events: who gets to know of an alarm, and what that starts."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from cdk_ml_release.rehearsal.cloud import hours
from cdk_ml_release.rehearsal.stacks.stacks import StackFailed

from .stage_hand import PIPELINE, WENT_OFF, alarm, hand, rule

TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "harbour"}}
LINE = f"arn:aws:codepipeline:us-east-1:123456789012:{PIPELINE}"


@pytest.fixture
def harbour():
    with hand() as opened:
        yield opened


def whole_event(harbour, resources):
    harbour.deploy({"Topic": TOPIC, "Rule": rule(WENT_OFF, {"Ref": "Topic"}), **resources})
    harbour.put(5.0)
    harbour.alarms.look()
    ((_, text),) = harbour.topic("harbour")
    return json.loads(text)


def test_a_rule_is_told_of_an_alarm_in_cloudwatchs_form(harbour):
    event = whole_event(harbour, {"Alarm": alarm(AlarmDescription="high waves")})

    assert (event["source"], event["detail-type"]) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    assert event["resources"] == ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:storm"]
    assert {"account", "id", "region", "time", "version"} < event.keys()
    detail = event["detail"]
    assert (detail["alarmName"], detail["previousState"]["value"]) == ("storm", "INSUFFICIENT_DATA")
    assert detail["state"]["value"] == "ALARM"
    assert detail["state"]["reason"].startswith("Maximum of Waves is 5, GreaterThanThreshold 3")
    assert detail["state"]["timestamp"].endswith("+0000")
    assert detail["configuration"]["description"] == "high waves"
    (metric,) = detail["configuration"]["metrics"]
    assert metric["metricStat"] == {
        "metric": {"dimensions": {}, "name": "Waves", "namespace": "Sea"},
        "period": 3600,
        "stat": "Maximum",
    }


def test_a_change_is_told_once_and_so_is_its_end(harbour):
    harbour.deploy({"Topic": TOPIC, "Rule": rule({"source": ["aws.cloudwatch"]}, {"Ref": "Topic"}), "Alarm": alarm()})
    harbour.put(5.0)

    for _ in range(3):
        harbour.alarms.look()
    hours.pass_until(hours.now() + timedelta(hours=2))
    harbour.alarms.look()

    states = [json.loads(text)["detail"]["state"]["value"] for _, text in harbour.topic("harbour")]
    assert states == ["ALARM", "OK"]
    assert [text.partition(":")[0] for text in harbour.said("alarm")] == ["alarm storm is ALARM", "alarm storm is OK"]


def test_an_alarm_tells_its_own_topics(harbour):
    told = {"AlarmActions": [{"Ref": "Topic"}], "OKActions": [{"Ref": "Topic"}]}
    harbour.deploy({"Topic": TOPIC, "Alarm": alarm(**told), "Mute": alarm("mute", ActionsEnabled=False, **told)})
    harbour.put(5.0)

    harbour.alarms.look()

    ((subject, text),) = harbour.topic("harbour")
    message = json.loads(text)
    assert subject == 'ALARM: "storm" in us-east-1'
    assert (message["NewStateValue"], message["OldStateValue"]) == ("ALARM", "INSUFFICIENT_DATA")
    assert message["Trigger"]["MetricName"] == "Waves"
    assert harbour.said("told") == [f"told harbour: {subject}"]


def test_expressions_and_composite_alarms_are_described_too(harbour):
    stat = {"Metric": {"Namespace": "Sea", "MetricName": "Waves"}, "Period": 3600, "Stat": "Maximum"}
    metrics = [
        {"Id": "m", "MetricStat": stat, "ReturnData": False},
        {"Id": "e", "Expression": "m * 2", "Label": "twice"},
    ]
    without = {key: {"Ref": "AWS::NoValue"} for key in ("Namespace", "MetricName", "Period", "Statistic")}
    both = {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmName": "all", "AlarmRule": "ALARM(maths)"}}
    both["DependsOn"] = "Alarm"
    harbour.deploy(
        {
            "Topic": TOPIC,
            "Rule": rule(WENT_OFF, {"Ref": "Topic"}),
            "All": both,
            "Alarm": alarm("maths", Metrics=metrics, **without),
        }
    )
    harbour.put(5.0)

    harbour.alarms.look()

    all_of_them, maths = (json.loads(text)["detail"]["configuration"] for _, text in harbour.topic("harbour"))
    assert all_of_them == {"alarmRule": "ALARM(maths)"}
    assert [each["id"] for each in maths["metrics"]] == ["m", "e"]
    assert maths["metrics"][1] == {"id": "e", "expression": "m * 2", "label": "twice", "returnData": True}


def test_an_alarm_starts_a_pipeline_by_a_rule(harbour):
    walker = harbour.build_line()
    role = harbour.role("events.amazonaws.com", "codepipeline:StartPipelineExecution", resource=LINE)
    harbour.deploy({"Role": role, "Rule": rule(WENT_OFF, LINE, "Role"), "Alarm": alarm()})
    harbour.put(5.0)

    harbour.alarms.look()

    assert harbour.pipelines.wait()
    (execution,) = walker.executions
    assert (execution.trigger, execution.status) == ("alarm storm (rule r)", "Succeeded")
    assert execution.started_by == ("CloudWatchEvent", "arn:aws:events:us-east-1:123456789012:rule/r")


@pytest.mark.parametrize(
    ("target", "role", "reason"),
    [
        (LINE, None, "RoleArn is required for target"),
        (LINE, ("events.amazonaws.com", "s3:*"), "is not allowed codepipeline:StartPipelineExecution on"),
        (LINE, ("sns.amazonaws.com", "codepipeline:*"), "events.amazonaws.com may not assume"),
        ("arn:aws:sns:us-east-1:123456789012:nowhere", None, "rule r could not reach sns nowhere"),
        ("arn:aws:lambda:us-east-1:1:function:f", None, "rule r has a target that the rehearsal does not play: arn"),
    ],
)
def test_a_target_that_cannot_be_reached_is_told_with_the_reason(harbour, target, role, reason):
    walker = harbour.build_line()
    made = {"Role": harbour.role(*role)} if role else {}
    harbour.deploy({**made, "Rule": rule(WENT_OFF, target, "Role" if role else ""), "Alarm": alarm()})
    harbour.put(5.0)

    harbour.alarms.look()

    (text,) = harbour.said("failure")
    assert reason in text
    assert walker.executions == []


def test_a_pattern_that_does_not_fit_starts_nothing(harbour):
    pattern = {**WENT_OFF, "detail": {"alarmName": ["calm"]}}
    harbour.deploy({"Topic": TOPIC, "Rule": rule(pattern, {"Ref": "Topic"}), "Alarm": alarm()})
    harbour.put(5.0)

    harbour.alarms.look()

    assert harbour.topic("harbour") == []


def test_refuses_an_action_that_would_not_happen(harbour):
    reboot = "arn:aws:automate:us-east-1:ec2:reboot"

    with pytest.raises(StackFailed, match=f"tells topics only, 'storm' also does {reboot}"):
        harbour.deploy({"Alarm": alarm(AlarmActions=[reboot])})
