"""ModelMonitorSchedule: what watches an endpoint, what goes off, and what that starts."""

from __future__ import annotations

import json
import re

import pytest
from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

import cdk_ml_release as ml

from .conftest import GATE

SCHEMA = ml.Schema(features={"sex": "category", "length": "number"}, prediction="age")
RMSE = "regression_metrics.rmse.value"


@pytest.fixture
def repo(stack):
    return ml.MlArtifactRepo(stack, "Repo", model_name="abalone", schema=SCHEMA)


@pytest.fixture
def release(stack, repo):
    return ml.SageMakerEndpointRelease(stack, "Production", repo=repo)


@pytest.fixture
def deployed(template, stack, release):
    """The template of the monitor's own stack, for some options."""

    def define(**options):
        ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, **options)
        return template(stack).document("DriftPrepare", "monitor.template.json")

    return define


def request(monitor):
    return json.loads(monitor["Resources"]["Schedule"]["Properties"]["Target"]["Input"]["Fn::Sub"])


def alarms(monitor):
    found = [each["Properties"] for each in monitor["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    return {each["AlarmName"].removeprefix("abalone-production-"): each for each in found}


def test_every_hour_a_job_compares_the_hour_before(deployed):
    monitor = deployed()

    schedule = monitor["Resources"]["Schedule"]["Properties"]
    job = request(monitor)
    assert (schedule["Name"], schedule["ScheduleExpression"]) == ("abalone-production-monitor", "cron(20 * * * ? *)")
    assert schedule["Target"]["Arn"]["Fn::Sub"].endswith(":scheduler:::aws-sdk:sagemaker:createProcessingJob")
    assert job["ProcessingJobName"] == "abalone-production-<aws.scheduler.execution-id>"
    assert job["AppSpecification"]["ContainerArguments"] == ["--scheduled=<aws.scheduler.scheduled-time>"]
    assert job["Environment"]["ML_ENDPOINT_NAME"] == "abalone-production"
    assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == 3600


@pytest.mark.parametrize(("hours", "expression"), [(6, "cron(20 0/6 * * ? *)"), (24, "cron(20 0 * * ? *)")])
def test_windows_may_be_longer(deployed, hours, expression):
    monitor = deployed(every=Duration.hours(hours))

    assert monitor["Resources"]["Schedule"]["Properties"]["ScheduleExpression"] == expression
    assert {alarm["Period"] for alarm in alarms(monitor).values()} == {hours * 3600}


@pytest.mark.parametrize("every", [Duration.minutes(30), Duration.hours(5), Duration.days(2)])
def test_fails_when_a_day_cannot_be_divided_into_such_windows(deployed, every):
    with pytest.raises(ValueError, match="'every' must be one of 1, 2, 3, 4, 6, 8, 12, 24 hours"):
        deployed(every=every)


def test_an_alarm_for_each_thing_that_may_be_wrong(deployed):
    found = alarms(deployed())

    assert set(found) == {"drift", "prediction-drift", "data-quality", "no-data", "monitor-down"}
    assert (found["drift"]["MetricName"], found["drift"]["Threshold"]) == ("DriftedFeatureShare", 0.3)
    assert {name for name, each in found.items() if each["TreatMissingData"] == "breaching"} == {"monitor-down"}


def test_a_window_that_could_not_be_judged_leaves_the_alarm_as_it_is(deployed):
    assert alarms(deployed())["drift"]["TreatMissingData"] == "ignore"


def test_limits_on_quality_are_alarms_and_the_job_knows_them(deployed):
    quality = [ml.QualityGate.at_most(RMSE, 3), ml.QualityGate.at_least("regression_metrics.r2.value", 0.5)]

    monitor = deployed(limits=ml.DriftLimits(quality=quality))

    found = alarms(monitor)
    assert [found[f"model-quality-{n}"]["ComparisonOperator"] for n in (1, 2)] == [
        "GreaterThanThreshold",
        "LessThanThreshold",
    ]
    assert {"Name": "Metric", "Value": RMSE} in found["model-quality-1"]["Dimensions"]
    assert json.loads(request(monitor)["Environment"]["ML_QUALITY"])[0] == [RMSE, "at_most", 3]


def test_a_feature_may_have_a_limit_of_its_own(deployed):
    monitor = deployed(limits=ml.DriftLimits(features={"length": 0.25, "age": 0.5}))

    arguments = request(monitor)["AppSpecification"]["ContainerArguments"]
    assert {"--threshold=length=0.25", "--threshold=age=0.5"} <= set(arguments)


def test_fails_when_a_limit_is_for_a_column_that_there_is_not(deployed):
    with pytest.raises(
        ValueError, match="must name columns of the schema, got 'width'; the columns are sex, length, age"
    ):
        deployed(limits=ml.DriftLimits(features={"width": 0.25}))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"drifted_share": 1}, "'drifted_share' must be a number from 0 to below 1"),
        ({"p_value": 0}, "'p_value' must be a number between 0 and 1"),
        ({"distance": float("inf")}, "'distance' must be a number above 0"),
        ({"features": {"length": -1}}, r"'features\['length'\]' must be a number above 0"),
        ({"minimum_records": 1}, "'minimum_records' must be a whole number from 2"),
        ({"label_days": 31}, "'label_days' must be a whole number from 1 to 30"),
    ],
)
def test_fails_when_a_limit_means_nothing(limits, message):
    with pytest.raises(ValueError, match=message):
        ml.DriftLimits(**limits)


def test_fails_when_quality_is_to_be_compared_with_the_very_model_that_is_watched():
    with pytest.raises(ValueError, match="'quality' must be limits of its own"):
        ml.DriftLimits(quality=[ml.QualityGate.no_worse_than_current(RMSE, better="lower")])


def test_fails_when_nothing_is_captured(stack, repo):
    silent = ml.SageMakerEndpointRelease(stack, "Silent", repo=repo, hosting=ml.Serverless())

    with pytest.raises(ValueError, match="must capture what it is asked, got 'abalone-silent'"):
        ml.ModelMonitorSchedule(stack, "Drift", endpoint=silent)


def test_fails_when_the_columns_are_not_declared(stack):
    repo = ml.MlArtifactRepo(stack, "Repo", model_name="abalone")
    release = ml.SageMakerEndpointRelease(stack, "Production", repo=repo)

    with pytest.raises(ValueError, match="must belong to a repo with a schema, got 'abalone-production'"):
        ml.ModelMonitorSchedule(stack, "Drift", endpoint=release)


def test_fails_when_the_endpoint_is_in_another_account(app):
    stack = Stack(app, "Home", env=Environment(account="111122223333", region="us-east-1"))
    key = kms.Key(stack, "Key")
    repo = ml.MlArtifactRepo(stack, "Repo", model_name="abalone", schema=SCHEMA, encryption_key=key)
    there = Environment(account="444455556666", region="us-east-1")
    release = ml.SageMakerEndpointRelease(stack, "Production", repo=repo, env=there)

    with pytest.raises(ValueError, match="must be in the account of this stack, got 'abalone-production'"):
        ml.ModelMonitorSchedule(stack, "Drift", endpoint=release)


def test_the_job_may_read_what_it_compares_and_write_what_it_finds_and_no_more(template, stack, release):
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release)

    may = template(stack)
    written = may.allowed("DriftRole", "s3:PutObject")
    assert [each.rpartition("}/")[2] for each in written] == ["monitoring/abalone-production/*"]
    assert {each.rpartition("}/")[2] for each in may.allowed("DriftRole", "s3:GetObject")} == {
        "runs/*",
        "capture/*",
        "ground-truth/abalone-production/*",
        "in-service/*",
        "monitoring/abalone-production/*",
    }
    (started,) = may.allowed("DriftSchedulerRole", "sagemaker:CreateProcessingJob")
    assert started.endswith(":processing-job/abalone-production-*")


def test_jobs_run_in_the_users_network_with_the_users_key(template, app):
    stack = Stack(app, "Test")
    key = kms.Key(stack, "Key")
    repo = ml.MlArtifactRepo(stack, "Repo", model_name="abalone", schema=SCHEMA, encryption_key=key)
    release = ml.SageMakerEndpointRelease(stack, "Production", repo=repo)

    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, vpc=ec2.Vpc(stack, "Vpc", max_azs=2))

    job = request(template(stack).document("DriftPrepare", "monitor.template.json"))
    assert job["NetworkConfig"]["VpcConfig"]["Subnets"] == ["${Subnet0}", "${Subnet1}"]
    assert job["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "${KmsKeyArn}"


def test_whoever_is_to_be_told_is_told_in_words(template, stack, release):
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, notify=sns.Topic(stack, "Team"))

    rules = template(stack).all("AWS::Events::Rule")
    told = " ".join(rule["Targets"][0]["InputTransformer"]["InputTemplate"] for rule in rules.values())
    assert "monitoring is down" in told
    assert "no request was captured" in told
    (topic,) = template(stack).allowed("DriftRole", "sns:Publish")
    assert topic.startswith("${Team")


def test_the_image_of_the_monitor_is_tagged_with_what_is_in_it(template, stack, release):
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release)

    made = template(stack)
    (image,) = made.assembly.glob("asset.*/monitor")
    assert re.fullmatch("monitor-[0-9a-f]{16}", made.environment("DriftPrepare")["ML_IMAGE_TAG"])
    assert {"Dockerfile", "requirements.txt", "cdk_ml_release"} == {path.name for path in image.iterdir()}
    assert {path.name for path in (image / "cdk_ml_release").iterdir()} == {"__init__.py", "drift", "runtime"}


def test_a_repo_with_a_schema_has_a_row_for_drift_on_the_dashboard(template, stack, release):
    body = template(stack).document("ProductionPrepare", "endpoint.template.json")

    text = body["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    titles = [widget["properties"]["title"] for widget in json.loads(text.replace("${Versions}", '""'))["widgets"]]
    assert titles[-2:] == ["Drift", "Captured records"]


@pytest.fixture
def pipeline(stack, repo, release, source):
    """A pipeline with a monitor that has such options."""

    def define(**options):
        build = ml.MlBuildStage(stack, "Build", repo=repo, gate=GATE)
        monitor = ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, **options)
        return ml.MlPipeline(stack, "Pipeline", source=source, stages=[build, release, monitor])

    return define


def test_the_monitor_is_deployed_behind_the_endpoint(template, stack, pipeline):
    pipeline()

    assert list(template(stack).stages()) == ["Source", "Build", "BuildChoice", "Production", "Drift"]
    deploy = template(stack).stages()["Drift"]["Deploy"]["Configuration"]
    assert deploy["StackName"] == "abalone-production-monitor"


def test_without_retrain_alarms_start_nothing(template, stack, pipeline):
    pipeline()

    assert template(stack).all("AWS::StepFunctions::StateMachine") == {}


def test_alarms_that_training_may_mend_ask_a_guard_to_start_the_pipeline(template, stack, pipeline):
    quality = [ml.QualityGate.at_most(RMSE, 3)]
    pipeline(on_drift=ml.Retrain(), limits=ml.DriftLimits(quality=quality))

    made = template(stack)
    (rule,) = [each for each in made.all("AWS::Events::Rule").values() if "cloudwatch" in str(each["EventPattern"])]
    asked = rule["EventPattern"]["detail"]["alarmName"]
    assert asked == [f"abalone-production-{each}" for each in ("drift", "prediction-drift", "model-quality-1")]
    (started,) = made.allowed("PipelineDriftRetrainRole", "codepipeline:StartPipelineExecution")
    assert "Pipeline" in started
    assert [each["Name"] for each in made.one("AWS::CodePipeline::Pipeline")["Variables"]] == ["ModelVersion", "Reason"]


def test_the_guard_lets_through_what_it_was_told_to(template, stack, pipeline):
    pipeline(on_drift=ml.Retrain(cool_down=Duration.hours(6), most_per_day=2))

    text = template(stack).one("AWS::StepFunctions::StateMachine")["DefinitionString"]
    states = json.loads(text)["States"]
    assert f"< {6 * 3600 * 1000}" in states["List"]["Assign"]["coolDown"]
    assert "$lastDay >= 2" in states["MayStart"]["Choices"][0]["Condition"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cool_down": Duration.minutes(30)}, "'cool_down' must be at least an hour, got 1800 seconds"),
        ({"most_per_day": 0}, "'most_per_day' must be a whole number from 1 to 24, got 0"),
    ],
)
def test_fails_when_a_guard_would_guard_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        ml.Retrain(**options)


def test_a_monitor_starts_a_pipeline_of_the_users_own(template, stack, repo, release):
    build = ml.MlBuildStage(stack, "Build", repo=repo, gate=GATE)
    monitor = ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, on_drift=ml.Retrain())
    code = codepipeline.Artifact("Code")
    given = ml.StageInput(source=code, commit="c0ffee", build=build)
    own = codepipeline.Pipeline(stack, "Own")
    own.add_stage(stage_name="Source", actions=[ml.Source.code_commit("code").action(stack, code)])
    own.add_stage(stage_name="Drift", actions=monitor.actions(given))

    monitor.retrain(own)

    (started,) = template(stack).allowed("DriftRetrainRole", "codepipeline:StartPipelineExecution")
    assert "Own" in started


def test_fails_when_a_monitor_that_starts_nothing_is_to_start_a_pipeline(stack, release):
    monitor = ml.ModelMonitorSchedule(stack, "Drift", endpoint=release)

    with pytest.raises(ValueError, match="'on_drift' must be given to the ModelMonitorSchedule 'Drift'"):
        monitor.retrain(codepipeline.Pipeline(stack, "Own"))


def test_fails_when_a_job_has_two_instances():
    with pytest.raises(ValueError, match="'job' must have one instance, got 2"):
        ml.MonitorEngine.drift_job(job=ml.ProcessingJob(instance_count=2))
