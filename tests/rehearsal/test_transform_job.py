"""SageMaker's transform jobs, as the rehearsal plays them."""

from __future__ import annotations

import itertools
import json
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from .served import BUCKET, open_account, until
from .serving import serve

NAMES = itertools.count()
ECHO = serve(
    """
    told = [self.headers["Content-Type"], self.headers["Accept"], os.environ["SAGEMAKER_BATCH"]]
    self.answer(json.dumps([body, *told]))
    """,
    get='self.answer(json.dumps({"MaxConcurrentTransforms": 3}) if "parameters" in self.path else "")',
)


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    with open_account(tmp_path_factory.mktemp("account")) as opened:
        role = opened.role("model")
        opened.model("tiny", role)
        opened.model("echo", role, {"serve": ECHO})
        yield opened


@pytest.fixture
def folder():
    """A prefix of the test's own."""
    return f"test-{next(NAMES)}"


@pytest.fixture
def transform(account, folder):
    """Runs a job on some objects to its end; returns its description and what it left."""

    def run(objects, *, model="tiny", given=None, output=None, name=folder, waits=True, **changes):
        for key, text in objects.items():
            account.put(f"{folder}/in/{key}", text)
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{folder}/in/"}
        request = {
            "TransformJobName": name,
            "ModelName": model,
            "TransformInput": {
                "DataSource": {"S3DataSource": source},
                "ContentType": "text/csv",
                "SplitType": "Line",
                **(given or {}),
            },
            "TransformOutput": {
                "S3OutputPath": f"s3://{BUCKET}/{folder}/out",
                "AssembleWith": "Line",
                **(output or {}),
            },
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **changes,
        }
        sagemaker = account.aws("sagemaker")
        sagemaker.create_transform_job(**request)

        def ended():
            job = sagemaker.describe_transform_job(TransformJobName=name)
            return job if job["TransformJobStatus"] not in ("InProgress", "Stopping") else None

        job = until(ended) if waits else {}
        out = f"{folder}/out/"
        return job, {key: account.read(f"s3://{BUCKET}/{out}{key}") for key in account.keys(out)}

    return run


def test_every_object_gets_an_object_of_answers(transform):
    job, left = transform({"a.csv": "1.0\n2.0\n", "deep/b.csv": "3.0"})

    assert job["TransformJobStatus"] == "Completed"
    assert left == {"a.csv.out": "3.0\n5.0\n", "deep/b.csv.out": "7.0\n"}


def test_an_object_with_a_bad_record_has_no_answers_and_fails_the_job_but_no_other_object(account, transform, folder):
    job, left = transform({"bad.csv": "1.0\nx\n", "good.csv": "2.0\n"})

    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert left == {"good.csv.out": "5.0\n"}
    assert f"{BUCKET}/{folder}/in/bad.csv: Bad HTTP status received from algorithm: 400" in data_log(account, folder)


def data_log(account, job):
    """What the log of a job says of its objects."""
    logs, group = account.aws("logs"), "/aws/sagemaker/TransformJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
    (stream,) = [each["logStreamName"] for each in streams if each["logStreamName"].endswith("/data-log")]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
    return "\n".join(each["message"] for each in events)


def test_the_container_may_say_how_many_requests_it_takes_at_a_time(account, transform, folder):
    transform({"a": "a\n"}, model="echo")

    assert "MaxConcurrentTransforms=3, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD" in data_log(account, folder)


def test_a_request_is_sent_again_when_the_container_has_a_bad_moment(account, transform):
    once = ECHO.replace("def do_POST(self):", "def do_POST(self):\n        if self.fails(): return")
    fails = """def fails(self):
        fresh = not os.path.exists("/tmp/" + os.environ["ONCE"])
        if fresh:
            open("/tmp/" + os.environ["ONCE"], "w").close()
            self.send_error(503)
        return fresh

    def do_GET"""
    account.model("moody", account.role("moody"), {"serve": once.replace("def do_GET", fails)})
    marker = f"once-{uuid.uuid4()}"

    try:
        job, left = transform({"a": "a\n"}, model="moody", Environment={"ONCE": marker})
    finally:
        Path("/tmp", marker).unlink(missing_ok=True)

    assert job["TransformJobStatus"] == "Completed"
    assert left.keys() == {"a.out"}


@pytest.mark.parametrize(
    ("strategy", "split", "bodies"),
    [
        ("MultiRecord", "Line", ["a\nb\nc\n"]),
        ("SingleRecord", "Line", ["a\n", "b\n", "c\n"]),
        (None, "None", ["a\nb\nc\n"]),
    ],
)
def test_a_request_carries_the_records_that_the_strategy_puts_into_it(transform, strategy, split, bodies):
    chosen = {"BatchStrategy": strategy} if strategy else {}

    _, left = transform(
        {"a": "a\nb\nc\n"}, model="echo", given={"SplitType": split}, output={"Accept": "text/plain"}, **chosen
    )

    answers = [json.loads(line) for line in left["a.out"].splitlines()]
    assert [answer[0] for answer in answers] == bodies
    assert {tuple(answer[1:]) for answer in answers} == {("text/csv", "text/plain", "true")}


def test_a_request_is_no_larger_than_the_payload_allows(transform):
    line = "x" * 400_000

    _, left = transform({"a": f"{line}\n" * 5}, model="echo", MaxPayloadInMB=1)

    assert [json.loads(each)[0].count("\n") for each in left["a.out"].splitlines()] == [2, 2, 1]


def test_a_record_that_fits_into_no_request_is_refused(transform):
    job, left = transform({"a": "x" * 1_100_000, "b": "x"}, model="echo", MaxPayloadInMB=1)

    assert job["TransformJobStatus"] == "Failed"
    assert left.keys() == {"b.out"}


def test_several_instances_share_the_objects(account, transform, folder):
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2}

    job, left = transform({f"{number}.csv": "1.0" for number in range(4)}, TransformResources=resources)

    assert job["TransformJobStatus"] == "Completed"
    assert len(left) == 4
    assert len(list((account.place.out / "jobs" / folder).iterdir())) == 2


def test_a_job_that_is_stopped_says_so(account, transform, folder):
    transform({f"{number}.csv": "1.0\n" * 50 for number in range(200)}, waits=False)

    account.aws("sagemaker").stop_transform_job(TransformJobName=folder)

    def stopped():
        described = account.aws("sagemaker").describe_transform_job(TransformJobName=folder)
        return described["TransformJobStatus"] == "Stopped"

    assert until(stopped)


def test_the_role_of_the_model_is_who_reads_and_writes(account, transform):
    reads = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "ecr:*", "logs:*"], "Resource": "*"}
    account.model("reader", account.role("reader", reads))

    job, left = transform({"a.csv": "1.0"}, model="reader")

    assert job["TransformJobStatus"] == "Failed"
    assert "role reader is not allowed s3:PutObject" in job["FailureReason"]
    assert left == {}


def test_a_job_without_input_fails(transform):
    job, _ = transform({})

    assert "no S3 objects found" in job["FailureReason"]


def test_a_name_is_taken_once_and_for_all(transform):
    transform({"a.csv": "1.0"})

    with pytest.raises(ClientError, match="ResourceInUse"):
        transform({"a.csv": "1.0"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "nobody"}, "Could not find model 'nobody'"),
        ({"MaxConcurrentTransforms": 20, "MaxPayloadInMB": 6}, "must not exceed 100: 20 \\* 6"),
        ({"given": {"SplitType": "None"}, "BatchStrategy": "SingleRecord"}, "needs a SplitType"),
        ({"given": {"CompressionType": "Gzip"}}, "do not know CompressionType Gzip"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "do not know DataProcessing JoinSource"),
        ({"name": "a_b"}, "TransformJobName must match"),
    ],
)
def test_a_request_is_refused_that_cannot_be_right_or_rehearsed(transform, changes, message):
    with pytest.raises(ClientError, match=message):
        transform({"a.csv": "1.0"}, **changes)
