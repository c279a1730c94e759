"""Schedules: declared, due on the rehearsal's clock, and called with their role."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.rehearsal.cloud import hours
from cdk_ml_release.rehearsal.cloud.automation.automation_handlers import automation_handlers
from cdk_ml_release.rehearsal.cloud.automation.schedules import Schedules
from cdk_ml_release.rehearsal.cloud.gateway import Gateway
from cdk_ml_release.rehearsal.stacks.stacks import StackFailed, Stacks

SEND = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
WORDS = {
    "of": "<aws.scheduler.scheduled-time>",
    "id": "<aws.scheduler.execution-id>",
    "by": "<aws.scheduler.schedule-arn>",
    "try": "<aws.scheduler.attempt-number>",
}


class Timetable:
    """An account with a queue that schedules send messages to."""

    def __init__(self, gateway):
        self.gateway, self.news = gateway, []
        self.schedules = Schedules(gateway, lambda kind, text: self.news.append((kind, text)))
        gateway.services |= self.schedules.services()
        self.queue = gateway.client("sqs").create_queue(QueueName="q")["QueueUrl"]
        self.stacks = Stacks(
            automation_handlers(gateway), account=gateway.account, region="us-east-1", ssm_lookup=str, now=hours.now
        )

    def role(self, name="clock", service="scheduler.amazonaws.com", resource="*", condition=None):
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        may = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": resource}
        iam = self.gateway.client("iam")
        trust |= {"Condition": condition} if condition else {}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(may))
        return arn

    def declare(self, role, *, expression="cron(20 * * * ? *)", target=SEND, message=None, **changed):
        aimed = {"Arn": target, "RoleArn": role, "Input": message or self.message(WORDS)}
        aimed |= changed.pop("aimed", {})
        properties = {
            "Name": "hourly",
            "ScheduleExpression": expression,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": aimed,
            **changed,
        }
        template = {"Resources": {"S": {"Type": "AWS::Scheduler::Schedule", "Properties": properties}}}
        return self.stacks.deploy("clock", template, caller=None)

    def message(self, content):
        return json.dumps({"QueueUrl": self.queue, "MessageBody": json.dumps(content)})

    def fire(self):
        due, schedule = self.schedules.next_due()
        hours.pass_until(due)
        self.schedules.fire(schedule, due)
        return due

    def sent(self):
        answer = self.gateway.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", ())]


def document(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def timetable():
    gateway = Gateway("us-east-1")
    yield Timetable(gateway)
    gateway.close()


def test_a_schedule_calls_its_target_with_the_words_of_its_run(timetable):
    timetable.declare(timetable.role())

    due = timetable.fire()

    (sent,) = timetable.sent()
    assert (sent["of"], sent["try"]) == (due.strftime("%Y-%m-%dT%H:20:00Z"), "1")
    assert sent["by"] == "arn:aws:scheduler:us-east-1:123456789012:schedule/default/hourly"
    assert len(sent["id"]) == 16 and sent["id"].isalnum() and sent["id"].islower()
    assert timetable.news == [("schedule", f"schedule hourly of {sent['of']}: sqs:SendMessage")]


def test_it_is_due_again_and_again_and_each_run_has_an_id_of_its_own(timetable):
    timetable.declare(timetable.role())

    first, second = timetable.fire(), timetable.fire()

    assert second - first == timedelta(hours=1)
    assert len({each["id"] for each in timetable.sent()}) == 2


@pytest.mark.parametrize(
    "changed", [{"State": "DISABLED"}, {"EndDate": "2020-01-01T00:00:00Z"}, {"expression": "at(2020-01-01T00:00:00)"}]
)
def test_some_schedules_are_never_due(timetable, changed):
    timetable.declare(timetable.role(), **changed)

    assert timetable.schedules.next_due() is None


def test_a_schedule_begins_no_earlier_than_it_says(timetable):
    start = (hours.now() + timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    timetable.declare(timetable.role(), expression="rate(1 hour)", StartDate=start)

    assert timetable.fire().strftime("%Y-%m-%dT%H:%M:%SZ") == start


def test_a_changed_schedule_forgets_what_was_due_before(timetable):
    role = timetable.role()
    timetable.declare(role, expression="rate(1 hour)")
    hours.pass_until(hours.now() + timedelta(minutes=90))

    timetable.declare(role, expression="cron(0 0 1 1 ? *)")

    assert timetable.schedules.next_due()[0].strftime("%m-%dT%H:%M") == "01-01T00:00"
    described = timetable.gateway.client("scheduler").get_schedule(Name="hourly")
    assert (described["State"], described["ScheduleExpression"]) == ("ENABLED", "cron(0 0 1 1 ? *)")


def test_a_deleted_schedule_is_gone(timetable):
    timetable.declare(timetable.role())

    timetable.stacks.delete("clock", caller=None)

    assert timetable.schedules.next_due() is None
    with pytest.raises(ClientError, match="Schedule hourly does not exist"):
        timetable.gateway.client("scheduler").get_schedule(Name="hourly")


@pytest.mark.parametrize(
    ("message", "role", "reason"),
    [
        (
            None,
            {"resource": "arn:aws:sqs:us-east-1:123456789012:other"},
            "role clock is not allowed sqs:SendMessage on",
        ),
        ('{"Queue": "q"}', {}, "the argument 'Queue' of SendMessage is not one of QueueUrl, MessageBody"),
        ('{"QueueUrl": "q"}', {}, 'Missing required parameter in input: "MessageBody"'),
        ('{"QueueUrl": "http://q/1/none", "MessageBody": "."}', {}, "queue does not exist"),
    ],
)
def test_a_call_that_is_refused_is_told_with_its_reason(timetable, message, role, reason):
    timetable.declare(timetable.role(**role), message=message)

    timetable.fire()

    ((kind, text),) = timetable.news
    assert kind == "failure"
    assert text.startswith("schedule hourly could not call sqs:SendMessage: ")
    assert reason in text


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"expression": "every hour"}, "the schedule 'every hour' must be at"),
        ({"ScheduleExpressionTimezone": "Nowhere"}, "there is no time zone 'Nowhere'"),
        (
            {"target": "arn:aws:lambda:us-east-1:1:function:f"},
            "the rehearsal calls .*aws-sdk.* only, not arn:aws:lambda",
        ),
        ({"target": f"{SEND}s"}, "knows no operation sqs:sendMessages"),
        ({"target": "arn:aws:scheduler:::aws-sdk:nothing:doIt"}, "knows no operation nothing:doIt"),
        ({"target": "arn:aws:scheduler:::aws-sdk:sqs:listQueues"}, "calls nothing that only reads"),
        ({"GroupName": "mine"}, "knows the schedule group 'default' only, not 'mine'"),
        (
            {"aimed": {"SqsParameters": {"MessageGroupId": "g"}}},
            "does not know SqsParameters of the target of 'hourly'",
        ),
        ({"message": "{"}, "the Input of the target of 'hourly' is not JSON"),
        ({"Colour": "red"}, 'Unknown parameter in input: "Colour"'),
    ],
)
def test_refuses_a_schedule_that_it_cannot_keep(timetable, changed, reason):
    with pytest.raises(StackFailed, match=reason):
        timetable.declare(timetable.role(), **changed)


@pytest.mark.parametrize(
    "role",
    [{"service": "events.amazonaws.com"}, {"condition": {"StringEquals": {"aws:SourceAccount": "210987654321"}}}],
)
def test_refuses_a_role_that_the_scheduler_may_not_assume(timetable, role):
    with pytest.raises(StackFailed, match=r"scheduler.amazonaws.com may not assume arn:.*role/clock"):
        timetable.declare(timetable.role(**role))


def test_the_source_of_an_assumed_role_is_the_schedules_group(timetable):
    group = "arn:aws:scheduler:us-east-1:123456789012:schedule-group/default"
    timetable.declare(timetable.role(condition={"ArnLike": {"aws:SourceArn": group}}))

    timetable.fire()

    assert len(timetable.sent()) == 1
