"""What goes wrong ends with one clear message, nothing deployed, and the earlier endpoint still serving."""

from __future__ import annotations

import re

import pytest

from cdk_ml_release.rehearsal.pipelines.plan import PlanError
from cdk_ml_release.rehearsal.places import RehearsalError
from cdk_ml_release.rehearsal.stacks.stacks import StackFailed

from .conftest import TINY, actions, failure

FAILS = "#!/bin/sh\necho 'this is not what we need' >&2\nexit 1\n"
FAILS_WITH_REASON = """#!/usr/bin/env python3
from tiny import ML
(ML / "output/failure").write_text("the rows have no slope")
raise SystemExit(1)
"""
SLEEPS = "#!/bin/sh\nsleep 60\n"
EVALUATES = """#!/usr/bin/env python3
from tiny import ML
(ML / "processing/output/evaluation/evaluation.json").write_text({content!r})
"""
WRITES_NO_EVALUATION = "#!/bin/sh\ntrue\n"
NEVER_HEALTHY = SLEEPS
CRASHES = "#!/bin/sh\necho 'no such model'\nexit 3\n"
SCALES_WRONGLY = ("predict(MODEL, float(line))", "predict(MODEL, float(line) / 10)")


def _good_file(name):
    return (TINY / "model" / name).read_text()


SKEWED = _good_file("serve").replace(*SCALES_WRONGLY)
BADLY_FITTED = _good_file("tiny.py").replace('{"slope": slope', '{"slope": slope + 3')
FIRST_TRY_FAILS = """#!/usr/bin/env python3
import os, sys
if not os.environ["{noun}_JOB_NAME"].endswith("-2"):
    sys.exit(1)
"""

BAD_BUILDS = {
    "no Dockerfile": ({"Dockerfile": None}, "Container", "no Dockerfile in the folder '.' of the source"),
    "a Dockerfile that cannot be built": ({"Dockerfile": "FORM python\n"}, "Container", "'docker build' failed"),
    "preprocess exits 1": (
        {"preprocess": FAILS},
        "Preprocess",
        r"processing job 'tiny-preprocess-\w+' failed: .*code: 1",
    ),
    "train exits 1": ({"train": FAILS}, "Train", r"training job 'tiny-train-\w+' failed: .*exit code: 1"),
    "train writes its failure": ({"train": FAILS_WITH_REASON}, "Train", "the rows have no slope"),
    "evaluate exits 1": ({"evaluate": FAILS}, "Evaluate", r"processing job 'tiny-evaluate-\w+' failed"),
    "no evaluation": ({"evaluate": WRITES_NO_EVALUATION}, "Evaluate", "the evaluation wrote no s3://.*evaluation.json"),
    "not JSON": ({"evaluate": EVALUATES.format(content="rmse: 1")}, "Evaluate", "evaluation.json is not JSON"),
    "gated metric missing": (
        {"evaluate": EVALUATES.format(content='{"regression_metrics": {"mae": {"value": 1}}}')},
        "Evaluate",
        "has no number at 'regression_metrics.rmse.value', which is gated; it has: regression_metrics.mae.value",
    ),
}


@pytest.mark.parametrize(("changed", "action", "message"), BAD_BUILDS.values(), ids=BAD_BUILDS)
def test_a_build_stops_with_a_reason_and_deploys_nothing(stage, changed, action, message):
    with stage(changed) as show:
        execution = show.begin()

        assert execution.status == "Failed"
        name, told = failure(execution)
        assert name == action
        assert re.search(message, told), told
        assert "\n" not in told
        assert show.report()["endpoints"] == []
        assert execution.stage("Live") is None


def test_a_job_is_stopped_at_its_time_limit(stage):
    with stage({"train": SLEEPS}, variant="short") as show:
        execution = show.begin()

        name, told = failure(execution)
        assert name == "Train"
        assert "2 seconds" in told, told
        assert show.report()["jobs"][-1]["status"] == "Stopped"


def test_an_empty_data_prefix_is_named(stage):
    with stage(variant="without-data") as show:
        execution = show.begin()

        name, told = failure(execution)
        assert name == "Preprocess"
        assert re.search(r"no data under s3://.*/data/: upload at least one object there", told)
        assert show.report()["jobs"] == []


def test_a_name_that_another_execution_has_taken_is_not_used(stage):
    shows = []

    def take_the_name(execution):
        gateway = shows[0].rehearsal.gateway
        role = next(
            each["Arn"] for each in gateway.client("iam").list_roles()["Roles"] if "TrainingRole" in each["RoleName"]
        )
        gateway.client("sagemaker").create_training_job(
            TrainingJobName=f"tiny-train-{execution.id.replace('-', '')[:12]}",
            AlgorithmSpecification={"TrainingImage": "nobody/needs:it", "TrainingInputMode": "File"},
            RoleArn=role,
            OutputDataConfig={"S3OutputPath": "s3://nowhere/"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )

    with stage(steps_in=take_the_name) as show:
        shows.append(show)
        execution = show.begin()

        name, told = failure(execution)
        assert name == "Train"
        assert re.search(r"name 'tiny-train-\w+' is taken by a job of another execution", told)


BAD_FIRST_RELEASES = {
    "approval rejected": ({}, {"approve": "no"}, "Approve", "^rejected: tiny from commit"),
    "never answers /ping": ({"serve": NEVER_HEALTHY}, {"startup_seconds": 2.0}, "Deploy", "no 200 from GET /ping"),
    "crashes at start": ({"serve": CRASHES}, {}, "Deploy", "exited with code 3 .* its last line was: no such model"),
}


@pytest.mark.parametrize(
    ("changed", "settings", "action", "message"), BAD_FIRST_RELEASES.values(), ids=BAD_FIRST_RELEASES
)
def test_a_bad_first_release_leaves_no_endpoint(stage, changed, settings, action, message):
    with stage(changed, **settings) as show:
        execution = show.begin()

        name, told = failure(execution)
        assert name == action
        assert re.search(message, told), told
        assert show.report()["endpoints"] == []


def test_the_first_release_stays_in_service_through_bad_ones_and_a_good_one_replaces_it(stage):
    with stage(startup_seconds=3.0) as show:
        first = show.begin()
        before = show.report()["endpoints"]
        answer = show.invoke("3.0")
        bad = {
            "rejected": show.push({"README.md": "no, thank you"}, approve="no"),
            "gate not met": show.push({"tiny.py": BADLY_FITTED}, approve="yes"),
            "crashes at start": show.push({"serve": CRASHES}),
            "train/serve skew": show.push({"serve": SKEWED}),
        }
        after = show.report()["endpoints"]

        assert [each.status for each in bad.values()] == ["Failed"] * len(bad)
        told = failure(bad["train/serve skew"])[1]
        assert re.search(r"to '[^']+' it answers '[^']+', evaluated was '[^']+'", told), told
        assert "; its log ends: " in told
        assert told.endswith("; version 1 is back in service, to which the stage rolls back")
        roll_back = show.executions[-1]
        assert roll_back.trigger == f"AutomatedRollback to execution {first.id}"
        assert actions(roll_back) == [("Prepare", "Succeeded"), ("Deploy", "Succeeded"), ("Verify", "Succeeded")]
        assert after == before
        assert show.invoke("3.0") == answer

        good = show.push({"README.md": "better"})

        assert good.status == "Succeeded"
        assert show.report()["endpoints"] != before
        assert show.report()["endpoints"][0]["status"] == "InService"


RETRIED = {
    "preprocess": FIRST_TRY_FAILS.format(noun="PROCESSING") + _good_file("preprocess").partition("\n")[2],
    "train": FIRST_TRY_FAILS.format(noun="TRAINING") + _good_file("train").partition("\n")[2],
    "evaluate": FIRST_TRY_FAILS.format(noun="PROCESSING") + _good_file("evaluate").partition("\n")[2],
}


def test_a_retried_stage_runs_only_what_failed_again_and_one_that_failed_to_create_starts_over(stage, tmp_path):
    crashes_once = f"#!/bin/sh\nmkdir {tmp_path}/crashed && exit 3\nexec python3 /opt/program/serve.py\n"
    serving = {"serve": crashes_once, "serve.py": _good_file("serve")}

    with stage(RETRIED | serving, retry={"Build": 3, "Live": "all"}) as show:
        execution = show.begin()

        assert execution.status == "Succeeded"
        jobs = [(job["name"].split("-")[1], job["name"].endswith("-2"), job["status"]) for job in show.report()["jobs"]]
        assert jobs == [
            *(("preprocess", False, "Failed"), ("preprocess", True, "Completed")),
            *(("train", False, "Failed"), ("train", True, "Completed")),
            *(("evaluate", False, "Failed"), ("evaluate", True, "Completed")),
        ]
        assert "deleting the stack tiny-live-endpoint, whose creation failed before" in show.log("Prepare")


def test_a_model_that_misses_its_gate_is_not_deployed_and_a_retry_uses_the_finished_evaluation(stage):
    with stage({"tiny.py": BADLY_FITTED}, retry={"Build": 2}) as show:
        execution = show.begin()

        assert execution.status == "Failed"
        name, told = failure(execution)
        assert name == "Evaluate"
        message = r"does not pass its gate: regression_metrics.rmse.value is [\d.]+, which is not at most 1"
        assert re.search(message, told), told
        assert [name for name, _ in actions(execution)].count("Evaluate") == 3
        assert len(show.report()["jobs"]) == 3
        assert "has Completed with the same inputs, using its results" in show.log("Evaluate")
        assert show.report()["endpoints"] == []
        assert execution.stage("Live") is None


def _resource(template, kind):
    return [each for each in template["Resources"].values() if each["Type"] == kind]


def _take_away(template, action):
    """Leave an action out of every role's own policies."""
    taken = 0
    for role in _resource(template, "AWS::IAM::Role"):
        for policy in role["Properties"].get("Policies", ()):
            for statement in policy["PolicyDocument"]["Statement"]:
                if action in statement["Action"]:
                    statement["Action"] = [each for each in statement["Action"] if each != action]
                    taken += 1
    assert taken == 1, f"{action} stands {taken} times"


def test_an_action_type_that_the_rehearsal_does_not_know_is_named(stage):
    def with_lambda(template):
        (pipeline,) = _resource(template, "AWS::CodePipeline::Pipeline")
        pipeline["Properties"]["Stages"][2]["Actions"][0]["ActionTypeId"] |= {
            "Category": "Invoke",
            "Provider": "Lambda",
        }

    told = r"does not know the type of these actions.*Choose \(Invoke/Lambda\)"
    with stage(template=with_lambda) as show, pytest.raises(PlanError, match=told):
        show.begin()


def test_a_resource_type_that_the_rehearsal_does_not_know_is_named(stage):
    def with_cluster(template):
        template["Resources"]["Cluster"] = {"Type": "AWS::EKS::Cluster", "Properties": {}}

    told = r"does not know the resource type of 'Cluster' \(AWS::EKS::Cluster\)"
    with stage(template=with_cluster) as show, pytest.raises(StackFailed, match=told):
        show.begin()


def test_a_role_that_lacks_one_action_is_found(stage):
    def without_create_training_job(template):
        _take_away(template, "sagemaker:CreateTrainingJob")

    with stage(template=without_create_training_job) as show:
        execution = show.begin()

        assert failure(execution)[0] == "Train"
        assert "is not allowed sagemaker:CreateTrainingJob on arn:aws:sagemaker" in show.log("Train")


def test_a_deployment_role_that_lacks_one_action_leaves_nothing_behind(stage):
    def without_create_endpoint(template):
        _take_away(template, "sagemaker:CreateEndpoint")

    with stage(template=without_create_endpoint) as show:
        execution = show.begin()

        name, told = failure(execution)
        assert name == "Deploy"
        assert "not allowed sagemaker:CreateEndpoint" in told
        assert show.report()["endpoints"] == []


def test_an_assembly_without_a_pipeline_is_refused(stage):
    def without_pipeline(template):
        template["Resources"] = {"Bucket": {"Type": "AWS::S3::Bucket"}}
        template.pop("Outputs", None)

    with stage(template=without_pipeline) as show, pytest.raises(RehearsalError, match="has no pipeline"):
        show.begin()


def test_what_only_aws_can_run_is_refused_by_name(stage):
    with stage(variant="model-monitor") as show:
        execution = show.begin()

        assert execution.stage("Live").status == "Succeeded"
        action, message = failure(execution)
        assert action == "Prepare"
        assert "sagemaker-model-monitor-analyzer is in the registry of another account, 156813124566" in message
        assert message.endswith("what runs in it cannot be rehearsed")
