"""The programs as CodeBuild runs them: a shell, an unpacked asset, and AWS at the end of a wire."""

import io
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cdk_ml_release.runtime import program
from cdk_ml_release.runtime.contract import Gate, StageFailed

from .samples import BUCKET, DOCUMENTS, EXECUTION, RELEASE_SETTINGS, RUN, SETTINGS
from .test_build import EVALUATION, GATE, ROW

RUNTIME = Path(program.__file__).parent
AWKWARD = 'it\'s "5 %" $HOME `id` \\ #{x.y} * ; & | ü\n\tnext line'
PROGRAMS = ["batch", "build", "container", "deploy", "verify"]


@pytest.fixture(scope="module")
def endpoint():
    """The address of an AWS that has the artifact bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    yield url
    server.stop()


@pytest.fixture
def aws(endpoint):
    """A clean account: clients of its services."""

    def client(service):
        return boto3.client(service, endpoint_url=endpoint)

    urllib.request.urlopen(f"{endpoint}/moto-api/reset", b"").close()
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return client


@pytest.fixture
def home(tmp_path):
    """The unpacked asset."""
    shutil.copytree(RUNTIME, tmp_path / "runtime", ignore=shutil.ignore_patterns("__pycache__", "shapes.*"))
    for task, document in DOCUMENTS.items():
        (tmp_path / f"{task}.json").write_text(json.dumps(document))
    return tmp_path


@pytest.fixture
def start(home, endpoint):
    """Run a program in one log, as CodeBuild does; returns exit status and lines."""

    def run(*arguments, gate=GATE, environment=None, cwd=None):
        settings = replace(SETTINGS, gates=(gate,))
        given = settings.to_environment() | RUN.to_environment() if environment is None else environment
        done = subprocess.run(
            [sys.executable, "-P", "-m", *arguments],
            cwd=cwd or home,
            env={**os.environ, "PYTHONPATH": str(home), "ML_HOME": str(home), "AWS_ENDPOINT_URL": endpoint, **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout.splitlines()

    return run


def put_evaluation(aws):
    """Put what the evaluation has written."""
    for name, content in {"evaluation.json": EVALUATION, "predictions.jsonl": ROW}.items():
        key = f"runs/{EXECUTION}/evaluation/{name}"
        aws("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(content).encode())


def test_a_program_that_succeeds_exports_what_the_shell_can_read(start, home, aws):
    status, lines = start("runtime.build", "train")

    told = subprocess.run(
        ["sh", "-c", f'. "{home}/exports" && printf %s "$MODEL_DATA"'], capture_output=True, text=True, check=True
    ).stdout
    assert status == 0, lines
    assert told.startswith(f"s3://{BUCKET}/runs/{EXECUTION}/model/")
    assert told.endswith("/output/model.tar.gz")


def test_a_model_is_registered_from_end_to_end(start, home, aws):
    put_evaluation(aws)
    aws("sagemaker").create_model_package_group(ModelPackageGroupName="abalone")

    status, lines = start("runtime.build", "evaluate")

    assert status == 0, lines
    assert lines[-1].startswith("abalone from commit c0ffee: regression_metrics.rmse 2.039")
    (package,) = aws("sagemaker").list_model_packages(ModelPackageGroupName="abalone")["ModelPackageSummaryList"]
    assert f"registered {package['ModelPackageArn']}" in lines


def test_the_reason_of_a_failure_is_the_last_line_and_nothing_is_exported(start, home, aws):
    put_evaluation(aws)

    status, lines = start("runtime.build", "evaluate", gate=Gate(metric=GATE.metric, comparison="at_most", limit=1))

    assert status == 1
    assert lines[0].startswith("evaluate: starting processing job abalone-evaluate-")
    assert lines[-1] == (
        f"stage failed: the model does not pass its gate: {GATE.metric} is 2.0394, which is not at most 1"
    )
    assert not (home / "exports").exists()


def test_fails_with_a_traceback_when_it_is_a_bug(start, aws):
    status, lines = start("runtime.build", "train", environment={})

    assert status == 1
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "KeyError: 'ML_MODEL_NAME'"


@pytest.mark.parametrize("arguments", [[], ["serve"], ["train", "evaluate"]])
def test_refuses_a_task_that_it_does_not_know(start, arguments):
    assert start("runtime.build", *arguments) == (
        2,
        ["usage: python -m runtime.build preprocess|train|evaluate|choose"],
    )


def test_fails_when_the_source_has_no_dockerfile(start, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    environment = {"ML_REPOSITORY_URI": "registry/abalone", "ML_EXECUTION_ID": EXECUTION, "ML_CONTAINER_FOLDER": "."}

    status, lines = start("runtime.container", environment=environment, cwd=source)

    assert status == 1
    assert lines == [
        "stage failed: no Dockerfile in the folder '.' of the source: add one, or name its folder in "
        "MlBuildStage(container_folder=...)"
    ]


@pytest.mark.parametrize("name", ["deploy", "verify"])
def test_fails_when_there_is_no_manifest(start, aws, name):
    environment = RELEASE_SETTINGS.to_environment() | {"ML_RELEASE_NAME": "x", "ML_MANIFEST_KEY": "runs/x"}

    status, lines = start(f"runtime.{name}", environment=environment)

    assert status == 1
    assert (
        lines[-1] == f"stage failed: no release manifest at s3://{BUCKET}/runs/x: the build must register a model first"
    )


@pytest.mark.parametrize("module", ["contract", "shapes"])
def test_the_records_need_no_boto3(module):
    code = f"import sys, cdk_ml_release.runtime.{module}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert {"boto3", "botocore"} & set(loaded.split()) == set()


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_program_loads_boto3_only_when_it_calls_aws(module):
    code = f"import sys, cdk_ml_release.runtime.{module}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "boto3" not in loaded.split()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder for the exports of a program that runs in this process."""
    monkeypatch.setenv("ML_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("value", [AWKWARD, "'", "''", "-n", " ", "$(exit 1)", "a=b"])
def test_an_awkward_value_comes_out_of_the_shell_as_it_went_in(here, value):
    assert program.run(lambda env: {"FIRST": value, "SECOND": "plain"}) == 0

    script = 'set -a && . "$ML_HOME/exports" && set +a && env -0'
    left = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split("\0")
    assert f"FIRST={value}" in left
    assert "SECOND=plain" in left


def test_refuses_in_one_line_though_the_reason_has_several(here, capsys):
    def work(env):
        print("some output")
        raise StageFailed("the job failed: Traceback:\n  File x\nValueError: no slope")

    assert program.run(work) == 1

    captured = capsys.readouterr()
    assert captured.err == "stage failed: the job failed: Traceback: File x ValueError: no slope\n"
    assert captured.out == "some output\n"


def test_a_container_may_print_what_no_terminal_can_show(here, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))

    assert program.run(lambda env: print("grün \ud800") or {}) == 0

    assert written.getvalue() == b"gr\\xfcn \\ud800\n"


def test_a_bug_is_not_swallowed(here):
    def work(env):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        program.run(work)
