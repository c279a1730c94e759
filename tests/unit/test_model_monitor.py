"""ModelMonitorSchedule with SageMaker Model Monitor as its engine."""

from __future__ import annotations

import json
import re

import botocore.session
import pytest
from aws_cdk import App, Duration, Environment, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from botocore.validate import validate_parameters

import cdk_ml_release as ml

from .conftest import GATE, words

SCHEMA = ml.Schema(features={"sex": "category", "length": "number"}, prediction="age")
ENGINE = ml.MonitorEngine.model_monitor()
RMSE = ml.QualityGate.at_most("regression_metrics.rmse.value", 3)


@pytest.fixture
def release(stack):
    return released(stack)


def released(stack, schema=SCHEMA, **options):
    """An endpoint of a model with such columns."""
    repo = ml.MlArtifactRepo(stack, "Repo", model_name="abalone", schema=schema, **options)
    return ml.SageMakerEndpointRelease(stack, "Production", repo=repo)


@pytest.fixture
def deployed(template):
    """The template of the monitor's own stack, for some options."""

    def define(release, engine=ENGINE, **options):
        stack = Stack.of(release)
        ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, engine=engine, **options)
        return template(stack).document("DriftPrepare", "monitor.template.json")

    return define


def properties(monitor, name):
    return words(monitor["Resources"][name]["Properties"])


def alarms(monitor):
    found = [each["Properties"] for each in monitor["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    return {each["AlarmName"].removeprefix("abalone-production-"): each for each in found}


def metrics(alarm):
    return [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]


def expression(alarm):
    (found,) = [each["Expression"] for each in alarm["Metrics"] if each["ReturnData"]]
    return found


def test_a_schedule_holds_the_data_of_every_hour_against_the_baseline_of_the_version_in_service(deployed, release):
    monitor = deployed(release)

    schedule = properties(monitor, "DataQualitySchedule")
    assert schedule == {
        "MonitoringScheduleName": "abalone-production-data-quality",
        "MonitoringScheduleConfig": {
            "MonitoringJobDefinitionName": "${DefinitionName}",
            "MonitoringType": "DataQuality",
            "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
        },
    }
    definition = properties(monitor, "DataQuality")
    assert definition["JobDefinitionName"] == "${DefinitionName}"
    assert definition["DataQualityBaselineConfig"] == {
        "ConstraintsResource": {"S3Uri": "${BaselineUri}/abalone-production/constraints.json"},
        "StatisticsResource": {"S3Uri": "${BaselineUri}/suggested/statistics.json"},
    }
    assert definition["DataQualityAppSpecification"]["Environment"] == {"publish_cloudwatch_metrics": "Enabled"}
    (output,) = definition["DataQualityJobOutputConfig"]["MonitoringOutputs"]
    assert output["S3Output"]["S3Uri"] == "s3://${Bucket}/monitoring/abalone-production"
    assert definition["JobResources"]["ClusterConfig"]["InstanceType"] == "ml.m5.xlarge"


def test_a_definition_is_there_before_its_schedule_and_leaves_after_it(deployed, release):
    resources = deployed(release, limits=ml.DriftLimits(quality=[RMSE]))["Resources"]

    assert {name: each["DependsOn"] for name, each in resources.items() if "DependsOn" in each} == {
        "DataQualitySchedule": "DataQuality",
        "ModelQualitySchedule": "ModelQuality",
    }


def test_cloudformation_itself_keeps_the_endpoint_until_the_monitor_is_deleted(template, stack, deployed, release):
    monitor = deployed(release)

    endpoint = template(stack).document("ProductionPrepare", "endpoint.template.json")
    exported = endpoint["Outputs"]["EndpointName"]["Export"]["Name"]
    imported = monitor["Resources"]["DataQuality"]["Properties"]["DataQualityJobInput"]["EndpointInput"]["EndpointName"]
    assert imported == {"Fn::ImportValue": exported}
    assert "must be deleted before the stack of the endpoint" in monitor["Description"]


@pytest.mark.parametrize(
    ("hours", "cron", "seconds"),
    [(1, "cron(0 * ? * * *)", 3600), (6, "cron(0 0/6 ? * * *)", 7200), (24, "cron(0 0 ? * * *)", 7200)],
)
def test_windows_may_be_longer_and_a_job_never_outlasts_its_own(deployed, release, hours, cron, seconds):
    job = ml.ProcessingJob(max_runtime=Duration.hours(2))

    monitor = deployed(release, ml.MonitorEngine.model_monitor(job=job), every=Duration.hours(hours))

    schedule = properties(monitor, "DataQualitySchedule")["MonitoringScheduleConfig"]["ScheduleConfig"]
    assert schedule == {"ScheduleExpression": cron}
    assert properties(monitor, "DataQuality")["StoppingCondition"] == {"MaxRuntimeInSeconds": seconds}
    assert alarms(monitor)["prediction-drift"]["Period"] == hours * 3600


def test_without_limits_on_quality_no_labels_are_asked_for(deployed, release):
    assert "ModelQuality" not in deployed(release)["Resources"]


def test_limits_on_quality_are_a_schedule_that_joins_labels(deployed, release):
    monitor = deployed(release, limits=ml.DriftLimits(quality=[RMSE], label_days=3))

    definition = properties(monitor, "ModelQuality")
    assert definition["ModelQualityAppSpecification"]["ProblemType"] == "Regression"
    assert definition["ModelQualityJobInput"] == {
        "EndpointInput": {
            "EndpointName": {"Fn::ImportValue": "abalone-production-endpoint:EndpointName"},
            "LocalPath": "/opt/ml/processing/input/endpoint",
            "InferenceAttribute": "0",
            "StartTimeOffset": "-PT73H",
            "EndTimeOffset": "-PT72H",
        },
        "GroundTruthS3Input": {"S3Uri": "s3://${Bucket}/ground-truth/abalone-production"},
    }
    assert definition["StoppingCondition"] == {"MaxRuntimeInSeconds": 1800}, "merging takes the other half"
    assert properties(monitor, "ModelQualitySchedule")["MonitoringScheduleName"] == "abalone-production-model-quality"


def test_limits_on_quality_are_constraints_and_alarms(template, stack, deployed, release):
    quality = [RMSE, ml.QualityGate.at_least("regression_metrics.r2.value", 0.5)]

    found = alarms(deployed(release, limits=ml.DriftLimits(quality=quality)))

    assert template(stack).document("DriftPrepare", "model-quality.json") == {
        "version": 0.0,
        "regression_constraints": {
            "rmse": {"threshold": 3.0, "comparison_operator": "GreaterThanThreshold"},
            "r2": {"threshold": 0.5, "comparison_operator": "LessThanThreshold"},
        },
    }
    one, other = found["model-quality-1"], found["model-quality-2"]
    assert (one["Namespace"], one["MetricName"]) == ("aws/sagemaker/Endpoints/model-metrics", "rmse")
    assert (other["ComparisonOperator"], other["Threshold"]) == ("LessThanThreshold", 0.5)
    assert {"Name": "MonitoringSchedule", "Value": "abalone-production-model-quality"} in one["Dimensions"]


@pytest.mark.parametrize(
    ("metric", "problem_type"),
    [
        ("binary_classification_metrics.f1.value", "BinaryClassification"),
        ("multiclass_classification_metrics.weighted_f1.value", "MulticlassClassification"),
    ],
)
def test_the_limits_say_which_kind_of_classification_it_is(stack, deployed, metric, problem_type):
    schema = ml.Schema(features={"length": "number"}, prediction="sex", prediction_type="category")

    monitor = deployed(released(stack, schema), limits=ml.DriftLimits(quality=[ml.QualityGate.at_least(metric, 0.8)]))

    assert properties(monitor, "ModelQuality")["ModelQualityAppSpecification"]["ProblemType"] == problem_type


@pytest.mark.parametrize(
    ("prediction_type", "metrics", "message"),
    [
        ("number", ["regression_metrics.mape.value"], "got 'regression_metrics.mape.value'; it has regression_metrics"),
        ("number", ["my.rmse"], "prediction of type 'number', got 'my.rmse'"),
        ("category", ["regression_metrics.rmse.value"], "prediction of type 'category'"),
        ("number", ["binary_classification_metrics.f1.value"], "prediction of type 'number'"),
        ("category", ["binary_classification_metrics.auc.value"], "got 'binary_classification_metrics.auc.value'"),
        (
            "category",
            ["binary_classification_metrics.f1.value", "multiclass_classification_metrics.accuracy.value"],
            "'quality' must be limits of one kind of problem",
        ),
        ("number", ["regression_metrics.r2.value"] * 2, "'quality' must limit each metric once"),
    ],
)
def test_fails_when_model_monitor_cannot_watch_a_limit(stack, deployed, prediction_type, metrics, message):
    schema = ml.Schema(features={"length": "number"}, prediction="age", prediction_type=prediction_type)
    quality = [ml.QualityGate.at_least(metric, 0.5) for metric in metrics]

    with pytest.raises(ValueError, match=message):
        deployed(released(stack, schema), limits=ml.DriftLimits(quality=quality))


def test_an_alarm_for_each_thing_that_may_be_wrong(deployed, release):
    assert set(alarms(deployed(release))) == {"drift", "prediction-drift", "no-data"}


def test_the_alarm_on_drift_counts_the_features_beyond_their_limits(deployed, release):
    limits = ml.DriftLimits(drifted_share=0.4, distance=0.2, features={"length": 0.25, "age": 0.5})

    found = alarms(deployed(release, limits=limits))

    assert expression(found["drift"]) == "SUM([IF(m0 > 0.2, 1, 0), IF(m1 > 0.25, 1, 0)]) / 2"
    assert found["drift"]["Threshold"] == 0.4
    assert [each["MetricName"] for each in metrics(found["drift"])] == [
        "feature_baseline_drift_sex",
        "feature_baseline_drift_length",
    ]
    assert (found["prediction-drift"]["MetricName"], found["prediction-drift"]["Threshold"]) == (
        "feature_baseline_drift_age",
        0.5,
    )


def test_no_alarm_watches_more_metrics_than_cloudwatch_allows(stack, deployed):
    schema = ml.Schema(features={f"f{number}": "number" for number in range(21)})

    found = alarms(deployed(released(stack, schema)))

    groups = [[each["MetricName"] for each in metrics(found[name])] for name in ("drift", "drift-2", "drift-3")]
    assert [len(group) for group in groups] == [7, 7, 7]
    assert len({name for group in groups for name in group}) == 21


def test_a_window_that_nothing_was_published_of_leaves_the_alarm_as_it_is(deployed, release):
    assert alarms(deployed(release))["drift"]["TreatMissingData"] == "ignore"


def test_silence_goes_off_after_three_windows_and_a_deployment_counts_as_a_sign_of_life(deployed, release):
    silent = alarms(deployed(release))["no-data"]

    assert (silent["EvaluationPeriods"], silent["TreatMissingData"]) == (3, "breaching")
    assert expression(silent) == "SUM([seen, deployed])"
    assert [each["MetricName"] for each in metrics(silent)] == ["feature_non_null_age", "Completed"]


def test_metrics_are_looked_for_where_the_user_says(deployed, release):
    engine = ml.MonitorEngine.model_monitor(
        namespace="/aws/sagemaker/Endpoints/data-metric",
        dimensions=("EndpointName", "ScheduleName"),
        quality_namespace="/aws/sagemaker/Endpoints/model-metric",
        inference_attribute="age",
    )

    monitor = deployed(release, engine, limits=ml.DriftLimits(quality=[RMSE]))

    found = alarms(monitor)
    (metric, _) = metrics(found["drift"])
    assert metric["Namespace"] == "/aws/sagemaker/Endpoints/data-metric"
    assert metric["Dimensions"] == [
        {"Name": "EndpointName", "Value": "abalone-production"},
        {"Name": "ScheduleName", "Value": "abalone-production-data-quality"},
    ]
    assert found["model-quality-1"]["Namespace"] == "/aws/sagemaker/Endpoints/model-metric"
    asked = properties(monitor, "ModelQuality")["ModelQualityJobInput"]["EndpointInput"]
    assert asked["InferenceAttribute"] == "age"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": ("Endpoint", "Endpoint")}, "'dimensions' must be two names"),
        ({"dimensions": ("Endpoint", "")}, "'dimensions' must be two names"),
        ({"namespace": ""}, "'namespace' must be a name"),
        ({"quality_namespace": ""}, "'quality_namespace' must be a name"),
        ({"inference_attribute": ""}, "'inference_attribute' must be a name"),
        (
            {"job": ml.ProcessingJob(environment={"dataset_format": "{}"})},
            "'environment' must not set 'dataset_format', got '{}'",
        ),
    ],
)
def test_fails_when_an_engine_would_look_for_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        ml.MonitorEngine.model_monitor(**options)


@pytest.mark.parametrize("name", ["Length", "shell-weight", "_length", "1st"])
def test_fails_when_spark_could_not_name_a_column(stack, deployed, name):
    with pytest.raises(ValueError, match=f"small letters, digits and underscores for Model Monitor, got '{name}'"):
        deployed(released(stack, ml.Schema(features={name: "number"})))


@pytest.mark.parametrize(("argument", "value"), [("p_value", 0.05), ("minimum_records", 500)])
def test_fails_when_a_limit_would_be_ignored(deployed, release, argument, value):
    with pytest.raises(ValueError, match=f"'{argument}' must be left as it is for Model Monitor, got {value}"):
        deployed(release, limits=ml.DriftLimits(**{argument: value}))


def test_fails_when_the_job_is_none_that_sagemaker_runs(deployed, release):
    job = ml.ProcessingJob(environment={f"V{number}": "1" for number in range(50)})

    with pytest.raises(ValueError, match=r"'engine' makes a job definition that SageMaker refuses: .*at most 50 ent"):
        deployed(release, ml.MonitorEngine.model_monitor(job=job))


def in_region(region):
    app = App(builtin_cloud_formation_validation=False, analytics_reporting=False)
    return Stack(app, "Test", env=Environment(account="111122223333", region=region))


def test_the_image_is_that_of_the_stacks_region(template):
    stack = in_region("eu-central-1")
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=released(stack), engine=ENGINE)

    made = template(stack)
    uri = "048819808253.dkr.ecr.eu-central-1.${AWS::URLSuffix}/sagemaker-model-monitor-analyzer"
    assert uri in made.environment("DriftPrepare")["ML_VALUES"]
    (pulled,) = made.allowed("DriftRole", "ecr:BatchGetImage")
    assert pulled.endswith(":ecr:eu-central-1:048819808253:repository/sagemaker-model-monitor-analyzer")


def test_a_stack_for_every_region_brings_all_images_that_are_known(template, stack, release):
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, engine=ENGINE)

    document = json.loads((template(stack).assembly / "Test.template.json").read_text())
    (mapping,) = [each for name, each in document["Mappings"].items() if "AnalyzerImages" in name]
    assert mapping["us-east-1"] == {"Account": "156813124566"}
    assert len(mapping) == 30
    assert "'Fn::FindInMap': ['DriftAnalyzerImages" in str(document["Resources"])


def test_fails_when_the_region_has_no_image_that_is_known():
    stack = in_region("us-gov-west-1")

    with pytest.raises(ValueError, match=r"got 'us-gov-west-1'; use MonitorEngine.drift_job\(\), or one of af-south-1"):
        ml.ModelMonitorSchedule(stack, "Drift", endpoint=released(stack), engine=ENGINE)


def test_the_baseline_is_made_as_sagemakers_own_sdk_does(template, stack, release):
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, engine=ENGINE)

    job = template(stack).document("DriftPrepare", "baseline.json")
    assert job["AppSpecification"] == {"ImageUri": "${ImageUri}"}
    assert json.loads(job["Environment"]["dataset_format"]) == {
        "csv": {"header": True, "output_columns_position": "START"}
    }
    (given,), (made,) = job["ProcessingInputs"], job["ProcessingOutputConfig"]["Outputs"]
    assert given["S3Input"]["LocalPath"] == job["Environment"]["dataset_source"]
    assert made["S3Output"] == {
        "S3Uri": "${BaselineUri}/suggested",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "EndOfJob",
    }


def test_the_jobs_may_read_what_they_compare_and_write_what_they_find_and_no_more(template, stack, release):
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, engine=ENGINE)

    may = template(stack)
    assert {each.rpartition("}/")[2] for each in may.allowed("DriftRole", "s3:PutObject")} == {
        "monitoring/abalone-production/*",
        "runs/*/baseline/model-monitor/suggested/*",
    }
    assert {each.rpartition("}/")[2] for each in may.allowed("DriftRole", "s3:GetObject")} == {
        "runs/*",
        "capture/*",
        "ground-truth/abalone-production/*",
        "monitoring/abalone-production/*",
    }


def test_the_deployment_may_touch_this_endpoints_monitor_only(template, stack, release):
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, engine=ENGINE)

    may = template(stack)
    for kind in ("data", "model"):
        action = f"sagemaker:Create{kind.title()}QualityJobDefinition"
        (definition,) = may.allowed("DriftDeploymentRole", action)
        assert definition.endswith(f":{kind}-quality-job-definition/abalone-production-*")
    schedules = may.allowed("DriftDeploymentRole", "sagemaker:DeleteMonitoringSchedule")
    assert [each.rpartition("/")[2] for each in schedules] == [
        "abalone-production-data-quality",
        "abalone-production-model-quality",
    ]
    (passed,) = [each for each in may.statements("DriftDeploymentRole") if each["Action"] == "iam:PassRole"]
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_the_baselines_job_is_the_only_one_that_the_program_may_start(template, stack, release):
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, engine=ENGINE)

    may = template(stack)
    (job,) = may.allowed("DriftPrepareRole", "sagemaker:CreateProcessingJob")
    assert job.endswith(":processing-job/abalone-baseline-*")
    assert may.one("AWS::CodeBuild::Project", "DriftPrepare")["Environment"]["PrivilegedMode"] is False


def test_jobs_run_in_the_users_network_with_the_users_key(deployed, app):
    stack = Stack(app, "Test")
    release = released(stack, encryption_key=kms.Key(stack, "Key"))

    monitor = deployed(release, vpc=ec2.Vpc(stack, "Vpc", max_azs=2))

    definition = properties(monitor, "DataQuality")
    assert definition["NetworkConfig"]["VpcConfig"]["Subnets"] == ["${Subnet0}", "${Subnet1}"]
    assert definition["JobResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "${KmsKeyArn}"
    assert definition["DataQualityJobOutputConfig"]["KmsKeyId"] == "${KmsKeyArn}"
    assert {"Subnet0", "Subnet1", "SecurityGroup0", "KmsKeyArn"} <= monitor["Parameters"].keys()


def test_a_variable_of_the_users_own_stays_as_it_is_written(deployed, release):
    job = ml.ProcessingJob(environment={"OWN": "${stays}"})

    monitor = deployed(release, ml.MonitorEngine.model_monitor(job=job))

    definition = monitor["Resources"]["DataQuality"]["Properties"]
    assert definition["DataQualityAppSpecification"]["Environment"]["OWN"] == "${stays}"


def test_whoever_is_to_be_told_is_told_in_words(template, stack, release):
    ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, engine=ENGINE, notify=sns.Topic(stack, "Team"))

    rules = template(stack).all("AWS::Events::Rule").values()
    told = " ".join(rule["Targets"][0]["InputTransformer"]["InputTemplate"] for rule in rules)
    assert "violates constraints" in told
    jobs = [each["EventPattern"]["detail"] for each in rules if "RoleArn" in each["EventPattern"]["detail"]]
    assert len(jobs) == 2
    assert all(re.match(r"\$\{DriftRole\w+\.Arn\}", each["RoleArn"][0]) for each in jobs), "named by SageMaker"


def test_alarms_that_training_may_mend_ask_for_a_retraining(template, stack, release, source):
    build = ml.MlBuildStage(stack, "Build", repo=release.repo, gate=GATE)
    monitor = ml.ModelMonitorSchedule(
        stack,
        "Drift",
        endpoint=release,
        engine=ENGINE,
        limits=ml.DriftLimits(quality=[RMSE]),
        on_drift=ml.Retrain(),
    )

    ml.MlPipeline(stack, "Pipeline", source=source, stages=[build, release, monitor])

    made = template(stack)
    (rule,) = [each for each in made.all("AWS::Events::Rule").values() if "cloudwatch" in str(each["EventPattern"])]
    assert rule["EventPattern"]["detail"]["alarmName"] == [
        f"abalone-production-{each}" for each in ("drift", "prediction-drift", "model-quality-1")
    ]
    asked = made.action_environment("Drift", "Prepare")
    assert asked == {"ML_MANIFEST_KEY": "#{BuildChoiceChoose.MANIFEST_KEY}"}


def test_sagemakers_own_api_knows_all_that_is_deployed(deployed, release):
    monitor = deployed(release, limits=ml.DriftLimits(quality=[RMSE]))

    service = botocore.session.get_session().get_service_model("sagemaker")
    named = {name: each["Type"].rpartition("::")[2] for name, each in monitor["Resources"].items()}
    checked = {name: f"Create{kind}" for name, kind in named.items() if kind != "Alarm"}
    assert len(checked) == 4
    for name, operation in checked.items():
        request = properties(monitor, name)
        if "RoleArn" in request:
            request["RoleArn"] = "arn:aws:iam::111122223333:role/role"
        for place in (value for key, value in request.items() if key.endswith("JobInput")):
            place["EndpointInput"]["EndpointName"] = "abalone-production"
        validate_parameters(request, service.operation_model(operation).input_shape)
