"""A batch: what is scored, what is refused, and what a retry finds."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cdk_ml_release.runtime import aws, batch, shapes
from cdk_ml_release.runtime.batch_settings import BatchSettings, batch_prefix
from cdk_ml_release.runtime.contract import Manifest, StageFailed, endpoint_record_key

from .fakes import AT_ONCE, FakeLogs, FakeSageMaker, Refused, played_by
from .samples import BUCKET, EXECUTION, MANIFEST, MANIFEST_KEY, ROLE

SETTINGS = BatchSettings(
    batch_name="abalone-scores",
    bucket=BUCKET,
    input_uri=f"s3://{BUCKET}/batch-input/",
    max_failed_records=2,
    max_runtime_seconds=3600,
    values={"ModelRoleArn": ROLE},
)
OTHER_EXECUTION = "00000000-9a57-4e6e-8a3b-5f1d2c3b4a59"
FOLDER = batch_prefix("abalone-scores", EXECUTION)
GONE = "Could not find requested job"


def document(split="Line"):
    return {
        "TransformJobName": "${JobName}",
        "ModelName": "${ModelName}",
        "Environment": {"ML_EXECUTION_ID": "${ExecutionId}", "ML_INPUTS": "${Inputs}"},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "${InputUri}"}},
            "SplitType": split,
        },
        "TransformOutput": {"S3OutputPath": "${OutputUri}"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }


@dataclass
class Scorer(FakeSageMaker):
    """A SageMaker whose transform jobs add one to every line that is a number, and refuse objects with any other."""

    s3: Any = None
    log: FakeLogs = field(default_factory=FakeLogs)
    models: dict[str, Any] = field(default_factory=dict)
    ends: list[dict[str, Any] | None] = field(default_factory=list)
    """How the jobs to come end, if otherwise."""
    stopped: list[str] = field(default_factory=list)
    split: str = "Line"

    def create_transform_job(self, **request):
        end = self.ends.pop(0) if self.ends else None
        self.scripts = [[{"status": "InProgress"}, end or self._score(request)]]
        if request["TransformJobName"] in self.jobs:
            raise Refused("ResourceInUse", "taken")
        return self._create("Transform", request)

    def describe_transform_job(self, TransformJobName):  # noqa: N803
        described = self._describe(TransformJobName, GONE)
        described.pop("ProcessingJobArn", None)
        return described

    def stop_transform_job(self, TransformJobName):  # noqa: N803
        self.stopped.append(TransformJobName)
        self.jobs[TransformJobName].script = ["Stopped"]
        return {}

    def describe_model(self, ModelName):  # noqa: N803
        if ModelName not in self.models:
            raise Refused("ValidationException", f'Could not find model "{ModelName}".')
        now = datetime.now(UTC)
        return {"ModelName": ModelName, "ModelArn": "arn:aws:sagemaker:::model/" + ModelName, "CreationTime": now}

    def create_model(self, **request):
        if self.refusals:
            raise self.refusals.pop(0)
        self.models[request["ModelName"]] = request
        return {"ModelArn": "arn:aws:sagemaker:::model/" + request["ModelName"]}

    def _score(self, request):
        created, good = datetime.now(UTC), True
        uri = request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://")
        bucket, _, prefix = uri.partition("/")
        out = request["TransformOutput"]["S3OutputPath"].removeprefix(f"s3://{BUCKET}/")
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                lines = self.s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode().splitlines()
                try:
                    answers = "".join(f"{int(line) + 1}\n" for line in lines)
                except ValueError:
                    good = False
                    self._tell(request["TransformJobName"], f"{bucket}/{entry['Key']}")
                    continue
                key = f"{out}/{entry['Key'].removeprefix(prefix)}.out"
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=answers.encode())
        ended = {"CreationTime": created}
        if good:
            return ended | {"status": "Completed"}
        return ended | {"status": "Failed", "FailureReason": "ClientError: See job logs for more information"}

    def _tell(self, job, place):
        for text in ("Bad HTTP status received from algorithm: 400", "", "Message:", "no number"):
            line = f"2026-11-22T12:00:00.000:[sagemaker logs]: {place}: {text}"
            self.log.arrivals.append((0, f"{job}/i-1-1/data-log", line))


@pytest.fixture
def sagemaker(s3):
    packages = {MANIFEST.model_package_arn: {"ModelApprovalStatus": "Approved", "ModelPackageStatus": "Completed"}}
    s3.put_object(Bucket=BUCKET, Key=MANIFEST_KEY, Body=MANIFEST.to_json().encode())
    return Scorer(s3=s3, packages=packages)


@pytest.fixture
def scored(s3, tmp_path, sagemaker):
    """Scores objects; returns what the batch exports, and what it left."""

    def run(objects, *, split="Line", execution=EXECUTION, pace=AT_ONCE, **changes):
        for key, text in objects.items():
            s3.put_object(Bucket=BUCKET, Key=f"batch-input/{key}", Body=text.encode())
        (tmp_path / "transform.json").write_text(json.dumps(document(split)))
        clients = {"s3": s3, "sagemaker": played_by("sagemaker", sagemaker), "logs": played_by("logs", sagemaker.log)}
        env = replace(SETTINGS, **changes).to_environment() | {
            "ML_HOME": str(tmp_path),
            "ML_EXECUTION_ID": execution,
            "ML_MANIFEST_KEY": MANIFEST_KEY,
        }
        exports = batch.batch(env, clients.__getitem__, pace)
        return exports, left(s3, batch_prefix("abalone-scores", execution))

    return run


def left(s3, folder=FOLDER):
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=folder).get("Contents", ())
    return {
        entry["Key"].removeprefix(folder): s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read().decode()
        for entry in found
    }


def test_every_object_is_scored_by_the_model_of_the_manifest(s3, sagemaker, scored):
    exports, results = scored({"a.csv": "1\n2\n", "deep/b.csv": "3\n"})

    assert (results["output/a.csv.out"], results["output/deep/b.csv.out"]) == ("2\n3\n", "4\n")
    assert exports == {"OUTPUT_URI": f"s3://{BUCKET}/{FOLDER}output", "FAILED_RECORDS": "0"}
    ((name, model),) = sagemaker.models.items()
    assert model["PrimaryContainer"] == {"ModelPackageName": MANIFEST.model_package_arn}
    (job,) = sagemaker.jobs.values()
    assert job.request["ModelName"] == name
    assert json.loads(results["result.json"]) == {"input": SETTINGS.input_uri, "objects": 2, "failed_records": 0}


def test_the_model_that_scored_is_on_record_as_in_service(s3, scored):
    scored({"a.csv": "1\n"})

    record = s3.get_object(Bucket=BUCKET, Key=endpoint_record_key("abalone-scores"))["Body"].read()
    assert Manifest.from_json(record) == MANIFEST


def test_the_version_is_approved_first(sagemaker, scored):
    sagemaker.packages[MANIFEST.model_package_arn]["ModelApprovalStatus"] = "PendingManualApproval"

    scored({"a.csv": "1\n"})

    assert sagemaker.packages[MANIFEST.model_package_arn]["ModelApprovalStatus"] == "Approved"


def test_names_and_requests_are_such_that_sagemaker_takes_them(sagemaker, scored):
    name = "x" * 43

    scored({"a.csv": "1\nx\n"}, batch_name=name)

    for job in sagemaker.jobs.values():
        assert shapes.problems("CreateTransformJob", job.request) == []
        assert len(job.request["TransformJobName"]) == len(job.request["ModelName"]) == 63


def test_refused_records_are_under_the_failure_prefix_and_all_others_scored(scored):
    exports, results = scored({"a.csv": "1\nx\n3\n4\ny", "b.csv": "5\n"})

    assert results["output/a.csv.out"] == "2\n\n4\n5\n\n"
    assert results["output/b.csv.out"] == "6\n"
    told = [json.loads(line) for line in results["failed/a.csv.jsonl"].splitlines()]
    reason = "Bad HTTP status received from algorithm: 400; no number"
    assert told == [
        {"record": 2, "reason": reason, "content": "x"},
        {"record": 5, "reason": reason, "content": "y"},
    ]
    assert exports["FAILED_RECORDS"] == "2"


def test_a_bad_record_among_more_than_fit_into_one_narrowing_takes_another(sagemaker, scored):
    lines = [str(number) for number in range(501)]
    lines[377] = "x"

    _, results = scored({"a.csv": "\n".join(lines)})

    assert json.loads(results["failed/a.csv.jsonl"])["record"] == 378
    assert len(results["output/a.csv.out"].splitlines()) == 501
    assert len(sagemaker.jobs) == 3


def test_an_object_that_is_one_record_is_refused_as_it_is(sagemaker, scored):
    _, results = scored({"a.png": "x", "b.png": "1"}, split="None")

    assert json.loads(results["failed/a.png.jsonl"])["record"] == 1
    assert "output/b.png.out" in results
    assert len(sagemaker.jobs) == 1


def test_reasons_may_be_missing_from_the_log(sagemaker, scored):
    sagemaker.log.refusals = [Refused("ResourceNotFoundException")] * 99

    _, results = scored({"a.csv": "1\nx\n"})

    assert json.loads(results["failed/a.csv.jsonl"])["reason"] == "ClientError: See job logs for more information"


def test_a_retry_finds_its_own_jobs_and_counts_the_same(sagemaker, scored):
    objects = {"a.csv": "1\nx\n3\n", "b.csv": "4\n"}
    first = scored(objects)
    jobs = set(sagemaker.jobs)

    again = scored({})

    assert again == first
    # The one job that could score nothing at all is run again.
    assert len(set(sagemaker.jobs) - jobs) <= 1


def test_a_retry_with_other_input_does_not_take_the_old_results(s3, sagemaker, scored):
    scored({"a.csv": "1\n"})
    s3.put_object(Bucket=BUCKET, Key=f"{FOLDER}output/a.csv.out", Body=b"old")

    _, results = scored({"a.csv": "5\n"})

    assert results["output/a.csv.out"] == "6\n"
    assert len(sagemaker.jobs) == 2


def test_a_job_that_left_nothing_is_followed_by_another_attempt_on_a_retry(sagemaker, scored):
    sagemaker.ends = [{"status": "Failed", "FailureReason": "InternalServerError: please try again"}]
    with pytest.raises(StageFailed, match="InternalServerError: please try again: retry the stage"):
        scored({"a.csv": "1\n"})

    _, results = scored({})

    assert results["output/a.csv.out"] == "2\n"
    assert len(sagemaker.jobs) == 2


def test_a_job_that_runs_already_is_waited_for(sagemaker, scored):
    scored({"a.csv": "1\n"})
    (job,) = sagemaker.jobs.values()
    job.script = ["InProgress", "InProgress", job.script[-1]]

    scored({})

    assert len(sagemaker.jobs) == 1


def test_an_answer_that_was_lost_on_its_way_does_no_harm(sagemaker, scored):
    sagemaker.loses_answers = 1

    _, results = scored({"a.csv": "1\n"})

    assert results["output/a.csv.out"] == "2\n"


def test_each_execution_has_a_folder_and_jobs_of_its_own(sagemaker, scored):
    _, first = scored({"a.csv": "1\n"})
    _, second = scored({}, execution=OTHER_EXECUTION)

    assert first["output/a.csv.out"] == second["output/a.csv.out"]
    assert len(sagemaker.jobs) == len(sagemaker.models) == 2


def test_refuses_to_go_on_when_a_job_takes_too_long(sagemaker, scored):
    sagemaker.ends = [{"status": "InProgress"}]

    with pytest.raises(StageFailed, match="reached its time limit of 0 seconds: raise 'max_runtime'"):
        scored({"a.csv": "1\n"}, max_runtime_seconds=0)

    assert sagemaker.stopped == list(sagemaker.jobs)


def test_refuses_to_go_on_when_somebody_stops_the_job(sagemaker, scored):
    sagemaker.ends = [{"status": "Stopped"}]

    with pytest.raises(StageFailed, match="was stopped before its end"):
        scored({"a.csv": "1\n"})


def test_refuses_more_bad_records_than_are_allowed(scored):
    with pytest.raises(StageFailed, match=r"at least 3 records were refused, 2 are allowed: .*raise 'max_failed_rec"):
        scored({"a.csv": "1\nx\ny\nz\n"})


def test_refuses_more_bad_objects_than_records_are_allowed_without_looking_into_them(sagemaker, scored):
    with pytest.raises(StageFailed, match="at least 3 records were refused"):
        scored({f"{name}.csv": "1\nx\n" for name in "abc"})

    assert len(sagemaker.jobs) == 1


def test_refuses_a_model_that_scores_nothing(scored):
    with pytest.raises(StageFailed, match=r"no record under .* could be scored: record 1 of a.csv: Bad HTTP status"):
        scored({"a.csv": "x\ny\n"})


def test_refuses_a_model_that_does_not_start_without_looking_for_its_records(sagemaker, scored):
    sagemaker.ends = [{"status": "Failed", "FailureReason": "AlgorithmError: no answer to the ping"}]

    with pytest.raises(StageFailed, match=r"no record under .* could be scored: AlgorithmError: no answer to the ping"):
        scored({"a.csv": "1\n2\n"})

    assert len(sagemaker.jobs) == 1


def test_refuses_when_there_is_no_input(scored):
    with pytest.raises(StageFailed, match=f"no data under {SETTINGS.input_uri}"):
        scored({})


def test_refuses_a_name_that_a_job_of_another_execution_has(sagemaker, scored):
    scored({"a.csv": "1\n"})
    (job,) = sagemaker.jobs.values()
    job.request["Environment"]["ML_EXECUTION_ID"] = OTHER_EXECUTION

    with pytest.raises(StageFailed, match="is taken by a job of another execution"):
        scored({})


@pytest.mark.parametrize("what", ["model", "transform job"])
def test_what_sagemaker_refuses_is_told_in_its_words(sagemaker, scored, what):
    if what == "transform job":
        scored({"a.csv": "1\n"})
    sagemaker.refusals = [Refused("ResourceLimitExceeded", "the account-level limit is 0")]

    with pytest.raises(StageFailed, match=f"SageMaker refuses the {what} .*: the account-level limit is 0"):
        scored({"b.csv": "2\n"})


def test_settings_survive_the_trip_through_the_environment():
    assert BatchSettings.from_environment(SETTINGS.to_environment()) == SETTINGS


def test_the_pace_is_that_of_other_jobs_by_default():
    assert batch.batch.__defaults__[-1] == aws.Pace()
