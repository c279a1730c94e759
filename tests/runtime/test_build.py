"""The tasks of a build, from settings to exports."""

import json
from dataclasses import replace

import pytest

from cdk_ml_release.runtime import storage
from cdk_ml_release.runtime.build import build
from cdk_ml_release.runtime.contract import Gate, Manifest, StageFailed, endpoint_record_key
from cdk_ml_release.runtime.schema import Schema

from .fakes import AT_ONCE, FakeLogs, FakeSageMaker, played_by
from .samples import BUCKET, DOCUMENTS, EXECUTION, IMAGE, MANIFEST, RUN, SETTINGS, STACK_VALUES, VALUES

GATE = Gate(metric="regression_metrics.rmse.value", comparison="at_most", limit=2.5)
EVALUATION = {"regression_metrics": {"rmse": {"value": 2.0394}, "r2": {"value": 0.55}}}
ROW = {"input": "M,0.455", "prediction": 11.03}
RUN_FOLDER = f"runs/{EXECUTION}"
SCHEMA = Schema(features={"sex": "category", "length": "number"}, prediction="age")


@pytest.fixture
def run(s3, tmp_path):
    """Run a task in the account; returns its exports."""
    for task, document in DOCUMENTS.items():
        (tmp_path / f"{task}.json").write_text(json.dumps(document))

    def work(task, sagemaker, run=RUN, schema=None):
        if schema is not None:
            (tmp_path / "schema.json").write_text(schema.to_json())
        settings = replace(SETTINGS, gates=(GATE,))
        env = settings.to_environment() | run.to_environment() | {"ML_HOME": str(tmp_path)}
        actors = {"sagemaker": sagemaker, "logs": FakeLogs()}
        clients = {"s3": s3} | {service: played_by(service, actor) for service, actor in actors.items()}
        return build(task, env, clients.__getitem__, AT_ONCE)

    return work


@pytest.fixture
def evaluated(s3):
    """Put what the evaluation has written."""

    def put(evaluation=EVALUATION, row=ROW):
        for name, content in {"evaluation.json": evaluation, "predictions.jsonl": row}.items():
            if content is not None:
                s3.put_object(Bucket=BUCKET, Key=f"{RUN_FOLDER}/evaluation/{name}", Body=json.dumps(content).encode())

    return put


def test_preprocessing_pins_the_version_of_the_data(run, s3):
    s3.put_object(Bucket=BUCKET, Key="data/rows.csv", Body=b"1\n")
    sagemaker = FakeSageMaker()

    exports = run("preprocess", sagemaker, replace(RUN, data_version="", model_data=""))

    assert exports == {
        "DATA_VERSION": storage.data_version(s3, SETTINGS.data_uri),
        "MODEL_DATA": "none",
        "MANIFEST_KEY": f"{RUN_FOLDER}/release.json",
        "EVALUATION_KEY": f"{RUN_FOLDER}/evaluation/evaluation.json",
        "SUMMARY": "none",
    }
    (job,) = sagemaker.jobs.values()
    assert job.request["ProcessingInputs"][0]["S3Input"]["S3Uri"] == f"s3://{BUCKET}/data/"


def test_training_tells_where_the_model_is(run):
    exports = run("train", FakeSageMaker(), replace(RUN, model_data=""))

    assert exports["MODEL_DATA"] == (f"s3://{BUCKET}/{RUN_FOLDER}/model/abalone-train-4c0f6c1e9a57/output/model.tar.gz")
    assert exports["DATA_VERSION"] == "d474"


def test_the_request_is_filled_in_with_what_the_run_and_the_stack_know(run):
    sagemaker = FakeSageMaker()

    run("train", sagemaker)

    (job,) = sagemaker.jobs.values()
    assert job.request["RoleArn"] == STACK_VALUES["TrainingRoleArn"]
    assert job.request["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert job.request["VpcConfig"]["Subnets"] == ["subnet-0", "subnet-1"]


def test_a_model_that_passes_is_registered_and_summed_up(run, evaluated, s3):
    evaluated()
    sagemaker = FakeSageMaker()

    exports = run("evaluate", sagemaker)

    manifest = Manifest.from_json(storage.read(s3, BUCKET, exports["MANIFEST_KEY"]))
    assert manifest.model_data == exports["MODEL_DATA"] == VALUES["ModelData"]
    assert manifest.metrics == {GATE.metric: 2.0394, "regression_metrics.r2.value": 0.55}
    assert list(sagemaker.packages) == [manifest.model_package_arn]
    assert exports["SUMMARY"] == (
        "abalone from commit c0ffee: regression_metrics.rmse 2.039 (gate: at most 2.5); no model in service yet"
    )


def test_the_summary_compares_with_the_model_in_service(run, evaluated, s3):
    evaluated()
    before = replace(MANIFEST, metrics={GATE.metric: 2.2394})
    s3.put_object(Bucket=BUCKET, Key=endpoint_record_key("production"), Body=before.to_json().encode())

    exports = run("evaluate", FakeSageMaker())

    assert "in service at production: 2.239, change -0.2" in exports["SUMMARY"]


@pytest.mark.parametrize(
    ("evaluation", "row", "message"),
    [
        (None, ROW, f"the evaluation wrote no s3://{BUCKET}/{RUN_FOLDER}/evaluation/evaluation.json"),
        ({"regression_metrics": {}}, ROW, "has no number at 'regression_metrics.rmse.value'"),
        ({"regression_metrics": {"rmse": {"value": 2.6}}}, ROW, "rmse.value is 2.6, which is not at most 2.5"),
        (EVALUATION, None, "no evaluated rows in .*predictions.jsonl"),
        (EVALUATION, {"input": "1"}, "line 1 of .*predictions.jsonl must be an object with 'input' and 'prediction'"),
    ],
)
def test_refuses_to_register_a_model_that_was_not_evaluated_well(run, evaluated, s3, evaluation, row, message):
    evaluated(evaluation, row)
    sagemaker = FakeSageMaker()

    with pytest.raises(StageFailed, match=message):
        run("evaluate", sagemaker)

    assert sagemaker.packages == {}
    assert storage.read(s3, BUCKET, f"{RUN_FOLDER}/release.json") is None


def test_a_retry_after_a_failed_registration_uses_the_finished_evaluation(run, evaluated):
    sagemaker = FakeSageMaker()
    with pytest.raises(StageFailed, match="wrote no"):
        run("evaluate", sagemaker)
    evaluated()

    run("evaluate", sagemaker)

    assert len(sagemaker.jobs) == 1
    assert len(sagemaker.packages) == 1


def test_refuses_to_preprocess_nothing(run):
    sagemaker = FakeSageMaker()

    with pytest.raises(StageFailed, match=f"no data under s3://{BUCKET}/data/"):
        run("preprocess", sagemaker, replace(RUN, data_version="", model_data=""))

    assert sagemaker.jobs == {}


def test_a_model_with_declared_columns_is_registered_with_its_baseline(run, evaluated, s3):
    evaluated()
    sagemaker = FakeSageMaker()

    run("evaluate", sagemaker, schema=SCHEMA)

    stored = {
        name: storage.read(s3, BUCKET, f"{RUN_FOLDER}/baseline/{name}.json")
        for name in ("schema", "statistics", "constraints")
    }
    assert Schema.from_json(stored["schema"]) == SCHEMA
    assert json.loads(stored["statistics"])["dataset"] == {"item_count": 1}
    (package,) = sagemaker.packages.values()
    uri = package["DriftCheckBaselines"]["ModelDataQuality"]["Constraints"]["S3Uri"]
    assert uri == f"s3://{BUCKET}/{RUN_FOLDER}/baseline/constraints.json"
    assert package["ModelMetrics"]["ModelDataQuality"] == package["DriftCheckBaselines"]["ModelDataQuality"]


def test_refuses_a_model_that_was_evaluated_with_other_columns_than_those_declared(run, evaluated, s3):
    evaluated(row={"input": "M,long", "prediction": 11.03})
    sagemaker = FakeSageMaker()

    with pytest.raises(StageFailed, match=r"line 1 of .*predictions.jsonl does not fit the schema: .*'length'"):
        run("evaluate", sagemaker, schema=SCHEMA)

    assert sagemaker.packages == {}
