"""The program before the deployment of SageMaker Model Monitor: its baseline, its constraints, its template."""

import json
from dataclasses import replace

import boto3
import pytest

from cdk_ml_release.runtime import storage
from cdk_ml_release.runtime.contract import StageFailed
from cdk_ml_release.runtime.model_monitor import model_monitor, reference
from cdk_ml_release.runtime.model_monitor_stage import ModelMonitorStage
from cdk_ml_release.runtime.monitor_stage import NAMESPACE
from cdk_ml_release.runtime.schema import Schema

from .fakes import AT_ONCE, ONE_LOOK, FakeCloudFormation, FakeLogs, FakeSageMaker, played_by
from .samples import BUCKET, EXECUTION, MANIFEST, MANIFEST_KEY, ROLE

IMAGE = "048819808253.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-model-monitor-analyzer"
STAGE = ModelMonitorStage(
    endpoint_name="abalone-production",
    stack_name="abalone-production-monitor",
    model_name="abalone",
    bucket=BUCKET,
    distance=0.2,
    values={"ImageUri": IMAGE, "MonitorRoleArn": ROLE, "ProcessingRoleArn": ROLE, "Bucket": BUCKET},
)
PLACE = {"InputName": "data", "S3Input": {"S3Uri": "${BaselineUri}/data/", "S3DataType": "S3Prefix"}}
REQUEST = {
    "ProcessingJobName": "${JobName}",
    "RoleArn": "${ProcessingRoleArn}",
    "AppSpecification": {"ImageUri": "${ImageUri}"},
    "Environment": {"ML_EXECUTION_ID": "${ExecutionId}", "ML_INPUTS": "${Inputs}"},
    "ProcessingInputs": [PLACE],
    "ProcessingResources": {
        "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
    },
}
TEMPLATE = {"Parameters": {"DefinitionName": {}, "BaselineUri": {}, "ImageUri": {}}, "Resources": {}}
SCHEMA = Schema(features={"sex": "category", "length": "number"}, prediction="age", prediction_type="integer")
FOLDER = f"runs/{EXECUTION}/baseline/model-monitor"
SUGGESTED = {
    "version": 0.0,
    "features": [],
    "monitoring_config": {
        "emit_metrics": "Disabled",
        "distribution_constraints": {"comparison_threshold": 0.1, "categorical_comparison_threshold": 0.1},
    },
}
JOB = "abalone-baseline-4c0f6c1e9a57"


@pytest.fixture
def evaluated(s3):
    """Put what the build has left of a run, and what the baseline's job is going to suggest."""

    def put(schema=SCHEMA, suggested=SUGGESTED):
        rows = [
            {"input": "M,0.5", "prediction": 9},
            {"input": "F,", "prediction": 11.0},
            {"input": "I,2", "prediction": 7},
        ]
        objects = {
            MANIFEST_KEY: MANIFEST.to_json(),
            f"runs/{EXECUTION}/evaluation/predictions.jsonl": "\n".join(map(json.dumps, rows)),
            f"runs/{EXECUTION}/baseline/schema.json": schema.to_json() if schema is not None else None,
            f"{FOLDER}/suggested/constraints.json": json.dumps(suggested) if suggested is not None else None,
        }
        for key, text in objects.items():
            if text is not None:
                s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    return put


@pytest.fixture
def prepare(s3, tmp_path):
    """Run the program; returns its exports and the files of its artifact."""
    (tmp_path / "baseline.json").write_text(json.dumps(REQUEST))
    (tmp_path / "monitor.template.json").write_text(json.dumps(TEMPLATE))

    def run(sagemaker, stage=STAGE, status="", pace=AT_ONCE, quality=None):
        if quality is not None:
            (tmp_path / "model-quality.json").write_text(json.dumps(quality))
        clients = {
            "s3": s3,
            "sagemaker": played_by("sagemaker", sagemaker),
            "logs": played_by("logs", FakeLogs()),
            "cloudformation": played_by("cloudformation", FakeCloudFormation([status])),
            "cloudwatch": boto3.client("cloudwatch"),
        }
        env = stage.to_environment() | {"ML_HOME": str(tmp_path), "ML_MANIFEST_KEY": MANIFEST_KEY}
        exports = model_monitor(env, clients.__getitem__, pace)
        return exports, {path.name: json.loads(path.read_text()) for path in (tmp_path / "artifact").iterdir()}

    return run


def stored(s3, path):
    return storage.read(s3, BUCKET, f"{FOLDER}/{path}")


def test_the_rows_are_those_of_a_capture_with_the_prediction_first_and_a_header():
    columns = {"sex": ["M", "I, or F", None], "length": [0.455, None, 2.0], "age": [9.0, 11, 7]}

    assert reference(SCHEMA, columns) == 'age,sex,length\n9,M,0.455\n11,"I, or F",\n7,,2\n'


def test_a_category_stays_as_it_is_written():
    schema = Schema(features={"zone": "category"}, prediction="age")

    assert reference(schema, {"zone": ["007"], "age": [1.5]}) == "age,zone\n1.5,007\n"


def test_the_analyzer_makes_a_baseline_of_the_evaluated_rows(prepare, evaluated, s3):
    evaluated()
    sagemaker = FakeSageMaker()

    prepare(sagemaker)

    assert stored(s3, "data/baseline.csv") == b"age,sex,length\n9,M,0.5\n11,F,\n7,I,2\n"
    (job,) = sagemaker.jobs.values()
    assert job.request["ProcessingJobName"] == JOB
    assert job.request["AppSpecification"] == {"ImageUri": IMAGE}
    assert job.request["ProcessingInputs"][0]["S3Input"]["S3Uri"] == f"s3://{BUCKET}/{FOLDER}/data/"


def test_a_retry_and_a_later_release_of_the_same_version_use_the_baseline_that_is_there(prepare, evaluated):
    evaluated()
    sagemaker = FakeSageMaker()

    first, second = prepare(sagemaker), prepare(sagemaker)

    assert list(sagemaker.jobs) == [JOB]
    assert first == second


def test_other_rows_are_another_baseline(prepare, evaluated, s3):
    evaluated()
    sagemaker = FakeSageMaker()
    prepare(sagemaker)
    row = json.dumps({"input": "M,1", "prediction": 3})
    s3.put_object(Bucket=BUCKET, Key=f"runs/{EXECUTION}/evaluation/predictions.jsonl", Body=row.encode())

    prepare(sagemaker)

    assert list(sagemaker.jobs) == [JOB, f"{JOB}-2"]


def test_the_suggested_constraints_get_the_limit_of_the_alarms(prepare, evaluated, s3):
    evaluated()

    prepare(FakeSageMaker())

    constraints = json.loads(stored(s3, "abalone-production/constraints.json"))
    assert constraints["monitoring_config"] == {
        "emit_metrics": "Enabled",
        "evaluate_constraints": "Enabled",
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": 0.2,
            "categorical_comparison_threshold": 0.2,
        },
    }
    assert json.loads(stored(s3, "suggested/constraints.json")) == SUGGESTED, "what another endpoint starts from"
    assert stored(s3, "abalone-production/model-quality.json") is None


def test_limits_on_quality_are_constraints_beside_them(prepare, evaluated, s3):
    evaluated()

    prepare(FakeSageMaker(), quality={"version": 0.0})

    assert json.loads(stored(s3, "abalone-production/model-quality.json")) == {"version": 0.0}


def test_the_template_is_deployed_with_definitions_named_after_the_run_and_their_content(prepare, evaluated):
    evaluated()

    exports, files = prepare(FakeSageMaker())

    assert files["template.json"] == TEMPLATE
    name = exports["DEFINITION_NAME"]
    assert files["configuration.json"] == {
        "Parameters": {"DefinitionName": name, "BaselineUri": f"s3://{BUCKET}/{FOLDER}", "ImageUri": IMAGE}
    }
    assert name.startswith("abalone-production-4c0f6c1e9a57-")
    changed, _ = prepare(FakeSageMaker(), replace(STAGE, values={**STAGE.values, "ImageUri": f"{IMAGE}-2"}))
    assert changed["DEFINITION_NAME"] != name, "SageMaker changes no definition in place"


def test_a_monitor_that_has_just_been_deployed_is_not_taken_for_a_silent_one(prepare, evaluated):
    evaluated()

    prepare(FakeSageMaker())

    (found,) = boto3.client("cloudwatch").list_metrics(Namespace=NAMESPACE)["Metrics"]
    assert found["MetricName"] == "Completed"


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ({"schema": None}, r"has no s3://.*/baseline/schema.json: declare a schema on the repo and build the model"),
        ({"schema": Schema(features={"length": "number"})}, "line 1 of .*predictions.jsonl does not fit the schema"),
        ({"suggested": None}, f"the baseline job wrote no s3://{BUCKET}/{FOLDER}/suggested/constraints.json: see its"),
        ({"suggested": {"features": []}}, "suggested/constraints.json is not what Model Monitor writes"),
        ({"suggested": []}, "suggested/constraints.json is not what Model Monitor writes"),
    ],
)
def test_refuses_a_model_that_no_baseline_can_be_made_of(prepare, evaluated, left, message):
    evaluated(**left)

    with pytest.raises(StageFailed, match=message):
        prepare(FakeSageMaker())


def test_refuses_when_the_analyzer_fails(prepare, evaluated, s3):
    evaluated()
    sagemaker = FakeSageMaker(scripts=[["InProgress", {"status": "Failed", "FailureReason": "AlgorithmError: no"}]])

    with pytest.raises(StageFailed, match=f"the processing job '{JOB}' failed: AlgorithmError: no"):
        prepare(sagemaker)

    assert stored(s3, "abalone-production/constraints.json") is None


def test_refuses_to_deploy_into_a_stack_that_needs_a_person(prepare, evaluated):
    evaluated()

    with pytest.raises(StageFailed, match="'abalone-production-monitor' is UPDATE_ROLLBACK_FAILED"):
        prepare(FakeSageMaker(scripts=[["Completed"]]), status="UPDATE_ROLLBACK_FAILED", pace=ONE_LOOK)


def test_settings_survive_the_trip_through_the_environment():
    assert ModelMonitorStage.from_environment(STAGE.to_environment()) == STAGE
