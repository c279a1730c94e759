"""``ml-release monitor``: on files of a laptop, and once on an account."""

import json
import shutil
import subprocess
import sys
from datetime import timedelta

import pytest

from cdk_ml_release.cli import main

from .scene import BUCKET, ENDPOINT, FIRST, START, animals

RUN = f"runs/{FIRST}"


@pytest.fixture
def laptop(scene, tmp_path):
    """A folder with what was captured of big animals, and with the run that built the model."""
    scene.released()
    scene.captured(animals(200, "big", length=1.0, width=0.5))
    scene.captured(animals(200, "later"), at=START + timedelta(hours=3))
    for key in scene.names(""):
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(scene.read(key))
    return tmp_path


@pytest.fixture
def no_account(monkeypatch):
    """No client of any service can be made."""

    def refuse(*_arguments, **_options):
        raise AssertionError("no account is needed")

    monkeypatch.setattr("boto3.client", refuse)


def test_captured_files_are_compared_without_an_account(laptop, no_account, capsys):
    out = laptop / "out"
    words = ["--capture", str(laptop / "capture"), "--baseline", str(laptop / RUN), "--out", str(out)]

    assert main(["monitor", *words]) == 0

    told = capsys.readouterr().out
    assert "400 rows were captured, 0 of them do not fit the schema" in told
    assert "length has drifted: Kolmogorov-Smirnov p-value" in told
    assert f"results: {out / 'report.html'}" in told
    assert sorted(path.name for path in out.iterdir()) == [
        "constraint_violations.json",
        "constraints.json",
        "report.html",
        "statistics.json",
        "window.json",
    ]
    window = json.loads((out / "window.json").read_text())
    assert (window["start"], window["end"]) == ("2026-03-01T09:00:00+00:00", "2026-03-01T12:03:20+00:00")


def test_the_same_is_found_as_by_the_monitor(scene, laptop, tmp_path):
    hour = laptop / f"capture/{FIRST}/{ENDPOINT}/AllTraffic/2026/03/01/09"
    out = tmp_path / "out"
    scene.run()

    main(["monitor", "--capture", str(hour), "--baseline", str(laptop / RUN), "--out", str(out)])

    found = json.loads((out / "window.json").read_text())
    assert found["features"] == scene.window()["features"]
    assert found["prediction"] == scene.window()["prediction"]


def test_only_the_given_time_is_compared(laptop, capsys):
    words = ["--capture", str(laptop / "capture"), "--baseline", str(laptop / RUN)]

    assert main(["monitor", *words, "--start", "2026-03-01T12:00", "--end", "2026-03-01T12:02"]) == 0

    told = capsys.readouterr().out
    assert "120 rows were captured" in told
    assert "0 of 4 features have drifted" in told


@pytest.mark.parametrize("place", ["run", "baseline", "beside"])
def test_a_baseline_may_be_a_run_its_folder_or_files_beside_each_other(laptop, place, capsys):
    beside = laptop / "beside"
    shutil.copytree(laptop / RUN / "baseline", beside)
    shutil.copy(laptop / RUN / "evaluation/predictions.jsonl", beside)
    baseline = {"run": laptop / RUN, "baseline": laptop / RUN / "baseline", "beside": beside}[place]
    (file,) = (laptop / f"capture/{FIRST}/{ENDPOINT}/AllTraffic/2026/03/01/09").iterdir()

    assert main(["monitor", "--capture", str(file), "--baseline", str(baseline), "--threshold", "length=5"]) == 0

    told = capsys.readouterr().out
    assert "200 rows were captured" in told
    assert "1 of 4 features have drifted (25%, limit 30%)" in told


def test_files_may_lie_in_a_bucket(scene, capsys):
    scene.released()
    scene.captured(animals(200, "big", length=1.0))
    capture = f"s3://{BUCKET}/capture/{FIRST}/{ENDPOINT}/"

    assert main(["monitor", "--capture", capture, "--baseline", f"s3://{BUCKET}/{RUN}"]) == 0

    assert "length has drifted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--capture", "{}/capture"], "there is nothing to compare with: give --baseline"),
        (["--capture", "{}/none", "--baseline", "{}/runs"], "there is no file or folder "),
        (["--capture", "{}/runs", "--baseline", "{}/none"], "there is no file or folder "),
        (["--capture", "{}/in-service", "--baseline", "{}/" + RUN], "there is no captured file under "),
        (["--capture", "{}/capture", "--baseline", "{}/runs"], "the baseline has no "),
        (["--capture", "{}/capture", "--baseline", "{}/" + RUN, "--threshold", "size=1"], "--threshold names 'size'"),
        (["--capture", "{}/capture", "--baseline", "{}/" + RUN, "--threshold", "7"], "must be written FEATURE=VALUE"),
        (
            ["--capture", "{}/capture", "--baseline", "{}/" + RUN, "--start", "2026-03-01"],
            "give both --start and --end",
        ),
        (
            ["--endpoint", "abalone", "--out", "{}"],
            "the monitor of an endpoint knows its own settings: leave out --out",
        ),
        (["--endpoint", "abalone"], "the endpoint 'abalone' has no monitor in this account and region"),
    ],
)
def test_refuses_in_one_line_when_there_is_nothing_to_compare(laptop, capsys, words, message):
    assert main(["monitor", *(word.replace("{}", str(laptop)) for word in words)]) == 1

    told = capsys.readouterr().err
    assert told.startswith("ml-release: ")
    assert message in told
    assert told.count("\n") == 1


def test_refuses_when_what_compares_is_not_installed_and_says_how_it_would_be(laptop):
    code = (
        "import sys; sys.modules['evidently'] = None; from cdk_ml_release.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["monitor", "--capture", str(laptop / "capture"), "--baseline", str(laptop / RUN)]

    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr == "ml-release: this needs the module 'evidently': pip install 'cdk-ml-release[drift]'\n"


REQUEST = {
    "ProcessingJobName": f"{ENDPOINT}-<aws.scheduler.execution-id>",
    "RoleArn": "arn:aws:iam::111122223333:role/monitor",
    "AppSpecification": {
        "ImageUri": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/abalone:monitor-0123456789abcdef",
        "ContainerArguments": ["--scheduled=<aws.scheduler.scheduled-time>", "--threshold=length=0.5"],
    },
    "Environment": {"ML_ENDPOINT_NAME": ENDPOINT, "ML_BUCKET": BUCKET},
    "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}},
}


@pytest.fixture
def jobs(scene):
    """A deployed schedule, and what gives the jobs that were started."""
    scene.client("scheduler").create_schedule(
        Name=f"{ENDPOINT}-monitor",
        ScheduleExpression="cron(20 * * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob",
            "RoleArn": "arn:aws:iam::111122223333:role/scheduler",
            "Input": json.dumps(REQUEST),
        },
    )
    sagemaker = scene.client("sagemaker")

    def started():
        names = [each["ProcessingJobName"] for each in sagemaker.list_processing_jobs()["ProcessingJobSummaries"]]
        return [sagemaker.describe_processing_job(ProcessingJobName=name) for name in names]

    return started


def test_the_monitor_of_an_endpoint_is_started_as_its_schedule_would(jobs, capsys):
    assert main(["monitor", "--endpoint", ENDPOINT]) == 0

    (job,) = jobs()
    name = job["ProcessingJobName"]
    assert name.startswith(f"{ENDPOINT}-")
    assert len(name) == len(ENDPOINT) + 17
    scheduled, threshold = job["AppSpecification"]["ContainerArguments"]
    assert scheduled.startswith("--scheduled=20")
    assert threshold == "--threshold=length=0.5"
    assert job["RoleArn"] == REQUEST["RoleArn"]
    assert capsys.readouterr().out == (f"job {name} compares it now; results: s3://{BUCKET}/monitoring/{ENDPOINT}/\n")


def test_the_monitor_may_be_started_for_any_window_as_often_as_one_likes(jobs):
    words = ["--endpoint", ENDPOINT, "--start", "2026-03-01T09:00", "--end", "2026-03-02T09:00"]

    assert [main(["monitor", *words]), main(["monitor", *words])] == [0, 0]

    first, second = jobs()
    assert first["ProcessingJobName"] != second["ProcessingJobName"]
    assert first["AppSpecification"]["ContainerArguments"] == [
        "--start=2026-03-01T09:00:00+00:00",
        "--end=2026-03-02T09:00:00+00:00",
        "--threshold=length=0.5",
    ]


def test_the_command_needs_nothing_before_it_is_used():
    code = "import sys; from cdk_ml_release import cli; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert {"boto3", "evidently", "pandas", "cdk_ml_release.drift"} & set(loaded.split()) == set()
