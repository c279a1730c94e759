"""The whole loop on the tiny pipeline: its traffic changes, an alarm goes off, and a guard starts the next release."""

from __future__ import annotations

import json

from cdk_ml_release.rehearsal.event import Event

from .conftest import ENDPOINT
from .stage_hand import WENT_OFF, alarm, rule

SDK = "arn:aws:states:::aws-sdk:codepipeline"
EXECUTIONS = "$states.result.PipelineExecutionSummaries"
GUARD = {
    "QueryLanguage": "JSONata",
    "StartAt": "List",
    "States": {
        "List": {
            "Type": "Task",
            "Resource": f"{SDK}:listPipelineExecutions",
            "Arguments": {"PipelineName": "${Pipeline}"},
            "Assign": {"busy": f"{{% $exists({EXECUTIONS}[Status = 'InProgress']) %}}"},
            "Next": "Free",
        },
        "Free": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $busy %}", "Next": "Busy"}],
            "Default": "Start",
        },
        "Busy": {"Type": "Fail", "Error": "Busy", "Cause": "a release is in progress"},
        "Start": {
            "Type": "Task",
            "Resource": f"{SDK}:startPipelineExecution",
            # Releasing what is there already is as much of a release as the loop needs to be closed.
            "Arguments": {"Name": "${Pipeline}", "Variables": [{"Name": "ModelVersion", "Value": "1"}]},
            "End": True,
        },
    },
}


def role(service, *actions):
    may = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [may]}
    properties = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [{"PolicyName": "own", "PolicyDocument": document}],
    }
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def look(bucket, images):
    """The job of a window: the tiny container's "watch", on all that was captured."""

    def place(name, uri, kind):
        local = f"/opt/ml/processing/{kind}/{name}"
        if kind == "output":
            return {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": local, "S3UploadMode": "EndOfJob"}}
        where = {"S3Uri": uri, "LocalPath": local, "S3DataType": "S3Prefix", "S3InputMode": "File"}
        return {"InputName": name, "S3Input": where}

    written = place("window", f"s3://${{{bucket}}}/monitoring/{ENDPOINT}/<aws.scheduler.scheduled-time>/1", "output")
    return {
        "ProcessingJobName": "watch-<aws.scheduler.execution-id>",
        "RoleArn": "${WatchRole.Arn}",
        "AppSpecification": {
            "ImageUri": f"${{AWS::AccountId}}.dkr.ecr.${{AWS::Region}}.amazonaws.com/${{{images}}}:watch",
            "ContainerEntrypoint": ["watch"],
        },
        "Environment": {
            "ENDPOINT": ENDPOINT,
            "START": "<aws.scheduler.scheduled-time>",
            "ROWS": "3",
            "MOST": "100",
        },
        "ProcessingInputs": [place("capture", f"s3://${{{bucket}}}/capture", "input")],
        "ProcessingOutputConfig": {"Outputs": [written]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


def closing_the_loop(template):
    resources = template["Resources"]
    named = {each["Type"]: name for name, each in resources.items()}
    pipeline, bucket = named["AWS::CodePipeline::Pipeline"], named["AWS::S3::Bucket"]
    for name, each in resources.items():
        if each["Type"] == "AWS::S3::Bucket" and "NotificationConfiguration" in each["Properties"]:
            bucket = name
    schedule = {
        "ScheduleExpression": "cron(20 * * * ? *)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob",
            "RoleArn": {"Fn::GetAtt": ["ClockRole", "Arn"]},
            "Input": {"Fn::Sub": json.dumps(look(bucket, named["AWS::ECR::Repository"]))},
        },
    }
    guard = {
        "StateMachineName": "guard",
        "RoleArn": {"Fn::GetAtt": ["GuardRole", "Arn"]},
        "DefinitionString": json.dumps(GUARD),
        "DefinitionSubstitutions": {"Pipeline": {"Ref": pipeline}},
    }
    resources |= {
        "WatchRole": role("sagemaker.amazonaws.com", "ecr:*", "s3:*", "logs:*", "cloudwatch:PutMetricData"),
        "ClockRole": role("scheduler.amazonaws.com", "sagemaker:CreateProcessingJob", "iam:PassRole"),
        "GuardRole": role("states.amazonaws.com", "codepipeline:*"),
        "RuleRole": role("events.amazonaws.com", "states:StartExecution"),
        "Schedule": {"Type": "AWS::Scheduler::Schedule", "Properties": schedule},
        "Guard": {"Type": "AWS::StepFunctions::StateMachine", "Properties": guard},
        "Rule": rule(WENT_OFF, {"Ref": "Guard"}, "RuleRole"),
        "Drift": alarm(
            "drift",
            Namespace="Tiny",
            MetricName="Drift",
            Threshold=0,
            Dimensions=[{"Name": "EndpointName", "Value": ENDPOINT}],
            TreatMissingData="ignore",
        ),
    }


def tag_image(show):
    ecr = show.rehearsal.gateway.client("ecr")
    (repository,) = ecr.describe_repositories()["repositories"]
    name = repository["repositoryName"]
    (image,) = ecr.list_images(repositoryName=name)["imageIds"]
    found = ecr.batch_get_image(repositoryName=name, imageIds=[image])["images"][0]
    ecr.put_image(repositoryName=name, imageManifest=found["imageManifest"], imageTag="watch")


def test_traffic_that_changes_starts_the_next_release(stage, tmp_path):
    def season(name, *values):
        path = tmp_path / f"{name}.csv"
        path.write_text("".join(f"{value}\n" for value in values))
        return {ENDPOINT: path}

    with stage(template=closing_the_loop) as show:
        first = show.begin()
        tag_image(show)
        labels = tmp_path / "labels.csv"
        labels.write_text("calm-1,3.0\n")

        show.rehearsal.happen(Event(name="calm", send=season("calm", 1, 2, 3), pass_seconds=3600))
        show.rehearsal.happen(
            Event(name="storm", send=season("storm", 700, 800, 900), labels={ENDPOINT: labels}, pass_seconds=3600)
        )
        show.rehearsal.happen(Event(name="calm again", send=season("again", 1, 2, 3), pass_seconds=3600))

        assert [execution.status for execution in show.releases] == ["Succeeded", "Succeeded"], show.spectator.notes
        assert first.trigger == "CreatePipeline"
        assert show.releases[1].stage("Build").status == "Skipped"
        assert show.releases[1].trigger == "alarm drift (state machine guard)"
        windows = show.rehearsal.windows
        assert [window["alarms"] for window in windows] == [[], ["drift"], []]
        assert [window["records"] >= 3 for window in windows] == [True] * 3
        assert [sent.failed for sent in show.rehearsal.sent] == [0, 0, 0]
        assert_captured_in_their_hours(show)
        told = [(entry["kind"], entry["text"]) for entry in show.rehearsal.log]
        assert ("event", "storm") in told
        assert [text.partition(":")[0] for kind, text in told if kind == "alarm"] == [
            "alarm drift is ALARM",
            "alarm drift is OK",
        ]
        assert [kind for kind, _ in told].count("execution") == 4
        assert [entry["seconds"] for entry in show.rehearsal.log] == sorted(e["seconds"] for e in show.rehearsal.log)
        assert [job["status"] for job in show.report()["jobs"] if job["name"].startswith("watch-")] == ["Completed"] * 3


def assert_captured_in_their_hours(show):
    (bucket,) = show.rehearsal.run_buckets()
    s3 = show.rehearsal.gateway.client("s3")
    hours_of = {}
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix="capture/")["Contents"]:
        for line in s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode().splitlines():
            metadata = json.loads(line)["eventMetadata"]
            if "inferenceId" in metadata:
                hour = "/".join(entry["Key"].split("/")[-5:-1])
                assert metadata["inferenceTime"].startswith(hour.replace("/", "-", 2).replace("/", "T"))
                hours_of.setdefault(metadata["inferenceId"].partition("-")[0], set()).add(hour)
    assert sorted(hours_of) == ["again", "calm", "storm"]
    assert max(hours_of["calm"]) < min(hours_of["storm"]) <= max(hours_of["storm"]) < min(hours_of["again"])
    (labels,) = s3.list_objects_v2(Bucket=bucket, Prefix=f"ground-truth/{ENDPOINT}/")["Contents"]
    assert "/".join(labels["Key"].split("/")[2:6]) in hours_of["storm"]
