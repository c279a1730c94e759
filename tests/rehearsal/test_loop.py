"""Hours pass: what is due in them happens in its order, with all that comes of it."""

from __future__ import annotations

import json

import pytest

from cdk_ml_release.rehearsal.cloud import hours
from cdk_ml_release.rehearsal.cloud.automation.job_news import tell_end
from cdk_ml_release.rehearsal.cloud.automation.schedules import Schedules
from cdk_ml_release.rehearsal.cloud.sagemaker_jobs import SageMakerJobs
from cdk_ml_release.rehearsal.cloud.sagemaker_models import SageMakerModels
from cdk_ml_release.rehearsal.cloud.workplace import Workplace
from cdk_ml_release.rehearsal.loop import Loop
from cdk_ml_release.rehearsal.windows import Windows

from .stage_hand import WENT_OFF, alarm, hand, rule

LIVE = [{"Name": "EndpointName", "Value": "live"}]
DONE = {"Type": "Succeed"}


class Day:
    """An account whose hours pass."""

    def __init__(self, stage_hand, folder):
        self.hand, gateway = stage_hand, stage_hand.gateway
        place = Workplace(gateway=gateway, out=folder, cache=folder, startup_seconds=1.0)
        self.schedules = Schedules(gateway, self.hand._told)
        self.jobs = SageMakerJobs(place, SageMakerModels(place), lambda job: tell_end(self.hand.bus, job))
        gateway.services |= self.schedules.services() | self.jobs.services()
        self.s3 = gateway.client("s3")
        self.s3.create_bucket(Bucket="home")
        self.flushed = []
        self.windows = Windows(lambda: self.s3, lambda: ["home"])
        self.loop = Loop(
            schedules=self.schedules,
            machines=self.hand.machines,
            alarms=self.hand.alarms,
            jobs=self.jobs,
            pipelines=self.hand.pipelines,
            windows=self.windows,
            flush=lambda: self.flushed.append(hours.now()),
            told=self.hand._told,
        )

    def schedule(self, name, call, given, *, expression="cron(20 * * * ? *)"):
        target = {
            "Arn": f"arn:aws:scheduler:::aws-sdk:{call}",
            "RoleArn": {"Fn::GetAtt": ["Clock", "Arn"]},
            "Input": json.dumps(given),
        }
        properties = {
            "Name": name,
            "ScheduleExpression": expression,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": target,
        }
        return {"Type": "AWS::Scheduler::Schedule", "Properties": properties}

    def deploy(self, **resources):
        clock = self.hand.role("scheduler.amazonaws.com", "s3:*", "cloudwatch:*", "sagemaker:*", "iam:PassRole")
        self.hand.deploy({"Clock": clock, **resources})

    def window(self, expression="cron(20 * * * ? *)"):
        said = {"endpoint": "live", "start": "<aws.scheduler.scheduled-time>", "status": "Compared", "records": 7}
        key = "monitoring/live/<aws.scheduler.scheduled-time>/1/window.json"
        body = {"Bucket": "home", "Key": key, "Body": json.dumps({**said, "drifted": ["x"]})}
        return self.schedule("window", "s3:putObject", body, expression=expression)

    def waves(self, height, expression="cron(20 * * * ? *)"):
        datum = {"MetricName": "Waves", "Value": height, "Dimensions": LIVE}
        given = {"Namespace": "Sea", "MetricData": [datum]}
        return self.schedule("waves", "cloudwatch:putMetricData", given, expression=expression)


@pytest.fixture
def day(tmp_path):
    with hand() as opened:
        hours.begin_at_half_past()
        yield Day(opened, tmp_path)


def test_a_rehearsal_that_lets_hours_pass_begins_at_half_past(day):
    assert hours.now().minute == 30


def test_everything_is_due_at_its_own_time_and_in_its_order(day):
    day.deploy(A=day.window(), B=day.waves(1, "cron(0/15 * * * ? *)"))
    began = hours.now()

    day.loop.let_pass(3600)

    called = [text.split(" of ")[1].split(":", 1)[1] for text in day.hand.said("schedule")]
    assert called == [
        "45:00Z: cloudwatch:PutMetricData",
        "00:00Z: cloudwatch:PutMetricData",
        "15:00Z: cloudwatch:PutMetricData",
        "20:00Z: s3:PutObject",
        "30:00Z: cloudwatch:PutMetricData",
    ]
    assert 3600 <= (hours.now() - began).total_seconds() < 3630
    assert len(day.flushed) == len(called), "what was captured is written before a schedule fires"


def test_a_window_is_read_once_and_keeps_the_alarms_that_it_set_off(day):
    storm = alarm(Dimensions=LIVE, TreatMissingData="ignore")
    day.deploy(Window=day.window(), Storm=storm, Other=alarm("other"))

    day.loop.let_pass(3600)
    day.hand.put(9.0, EndpointName="live")
    day.hand.put(9.0)
    day.loop.let_pass(7200)

    assert [window["alarms"] for window in day.windows.all] == [[], ["storm"], []]
    assert (day.windows.all[0]["records"], day.windows.all[2]["drifted"]) == (7, ["x"])
    assert len(day.hand.said("window")) == 3
    assert day.hand.said("window")[0].endswith("Compared, 7 records of live, version none, drifted: x")


def test_an_alarm_on_silence_goes_off_while_nothing_happens(day):
    day.deploy(Down=alarm("down", TreatMissingData="breaching", EvaluationPeriods=2))
    day.hand.put(1.0)

    day.loop.let_pass(3600)
    assert day.hand.said("alarm") == []
    day.loop.let_pass(2 * 3600)

    assert [text.partition(":")[0] for text in day.hand.said("alarm")] == ["alarm down is ALARM"]


def test_a_machine_that_waits_goes_on_in_the_hour_that_passes(day):
    rests = {"Type": "Wait", "Seconds": 1200, "Next": "Done"}
    definition = {"QueryLanguage": "JSONata", "StartAt": "Rest", "States": {"Rest": rests, "Done": DONE}}
    machine = {"StateMachineName": "m", "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "Definition": definition}
    day.deploy(
        Role=day.hand.role("states.amazonaws.com", "s3:*"),
        Machine={"Type": "AWS::StepFunctions::StateMachine", "Properties": machine},
        Start=day.hand.role("events.amazonaws.com", "states:*"),
        Rule=rule(WENT_OFF, {"Ref": "Machine"}, "Start"),
        Storm=alarm(Dimensions=LIVE),
        Waves=day.waves(9, "cron(40 * * * ? *)"),
    )

    day.loop.let_pass(1800)

    waits, done = day.hand.said("machine")
    assert "m for alarm storm waits until" in waits
    assert done == "state machine m for alarm storm SUCCEEDED: … → Done"


def test_a_job_of_a_schedule_is_waited_for_and_its_end_is_told(day):
    job = {
        "ProcessingJobName": "look-<aws.scheduler.execution-id>",
        "RoleArn": "arn:aws:iam::123456789012:role/looker",
        "AppSpecification": {"ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/images:none"},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    looker = day.hand.role("sagemaker.amazonaws.com", "ecr:*")
    looker["Properties"]["RoleName"] = "looker"
    day.hand.gateway.client("ecr").create_repository(repositoryName="images")
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Processing Job State Change"]}
    pattern["detail"] = {"ProcessingJobStatus": ["Failed"], "ProcessingJobName": [{"prefix": "look-"}]}
    day.deploy(
        Looker=looker,
        Look=day.schedule("look", "sagemaker:createProcessingJob", job),
        Topic={"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "crew"}},
        Rule=rule(pattern, {"Ref": "Topic"}),
    )

    day.loop.let_pass(3600)

    ((_, text),) = day.hand.topic("crew")
    detail = json.loads(text)["detail"]
    assert detail["ProcessingJobName"].startswith("look-")
    assert detail["FailureReason"].startswith("ClientError: ")
    assert isinstance(detail["ProcessingEndTime"], int)
