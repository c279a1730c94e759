"""The good cases: what a release does, seen from outside."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from cdk_ml_release.rehearsal.event import Event

from .conftest import ENDPOINT, actions


def test_a_release_ends_in_a_served_prediction_and_a_truthful_report(stage):
    with stage() as show:
        execution = show.begin()

        assert [name for name, _ in actions(execution)] == [
            *("Source", "Container", "Preprocess", "Train", "Evaluate"),
            *("Choose", "Approve", "Prepare", "Deploy", "Verify"),
        ]
        assert float(show.invoke("3.0")) == pytest.approx(7.0, abs=0.5)
        report = show.report()
        assert report["status"] == "Succeeded"
        assert [(job["kind"], job["status"]) for job in report["jobs"]] == [
            ("Processing", "Completed"),
            ("Training", "Completed"),
            ("Processing", "Completed"),
        ]
        assert report["metrics"]["regression_metrics.rmse"] < 1
        (endpoint,) = report["endpoints"]
        assert (endpoint["name"], endpoint["status"]) == (ENDPOINT, "InService")
        assert endpoint["model_package_arn"].endswith(":model-package/tiny/1")
        assert "slope=" in show.log("Train"), "the job's own log is streamed into the build's"
        assert "no model in service yet" in show.log("Approve")
        _captured_as_sagemaker_does(show)


def _captured_as_sagemaker_does(show):
    (bucket,) = show.rehearsal.run_buckets()
    show.rehearsal.endpoints.flush()
    s3 = show.rehearsal.gateway.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="capture/")["Contents"]]
    lines = [
        json.loads(line)
        for key in keys
        for line in s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
    ]
    asked = [line["captureData"]["endpointInput"]["data"] for line in lines]

    assert all(
        re.match(rf"capture/[0-9a-f-]{{36}}/{ENDPOINT}/AllTraffic/20", key) and key.endswith(".jsonl") for key in keys
    )
    assert asked[-1] == "3.0"
    assert lines[-1]["captureData"]["endpointInput"]["encoding"] == "CSV"
    assert lines[-1]["eventVersion"] == "0"


def test_new_data_and_new_code_each_start_a_release_of_their_own_and_no_request_is_lost(stage, tmp_path):
    rows = tmp_path / "more.csv"
    rows.write_text("".join(f"{x},{2 * x + 1}\n" for x in range(20)))
    with stage() as show:
        first = show.begin()
        show.rehearsal.happen(_uploaded(rows))
        second = show.releases[-1]
        with callers(show) as (asked, lost):
            third = show.push({"README.md": "a new commit"})

        assert [each.status for each in (first, second, third)] == ["Succeeded"] * 3
        assert second.trigger.endswith("new object data/more.csv")
        assert third.trigger == "push to tiny-code"
        assert len({each.id for each in (first, second, third)}) == 3
        assert "in service at tiny-live" in second.stage("Promote").actions[-1].message
        assert show.report()["endpoints"][0]["model_package_arn"].endswith(":model-package/tiny/3")
        assert len(asked) > 10
        assert lost == []


def _uploaded(path):
    return Event(upload={path.name: path})


@contextmanager
def callers(show):
    """Two callers who ask the endpoint all the while: what they ask, and what they are refused."""
    asked, lost, done = [], [], threading.Event()

    def ask():
        # With a breath in between, or they would take the time of those who build.
        while not done.wait(0.05):
            asked.append(1)
            try:
                show.invoke("3.0")
            except ClientError as error:
                lost.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield asked, lost
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_job_on_two_instances_is_two_processes_that_know_of_each_other(stage):
    train = """#!/usr/bin/env python3
import json
from tiny import ML, fit, rows
resources = json.loads((ML / "input/config/resourceconfig.json").read_text())
print(f"{resources['current_host']} of {resources['hosts']}")
if resources["current_host"] == "algo-1":
    (ML / "model/model.json").write_text(json.dumps(fit(rows(ML / "input/data/training"))))
"""

    with stage({"train": train}, variant="two-hosts") as show:
        execution = show.begin()

        assert execution.status == "Succeeded"
        assert "algo-1 of ['algo-1', 'algo-2']" in show.log("Train")
        assert "algo-2 of ['algo-1', 'algo-2']" in show.log("Train")


def test_a_connection_is_a_source_whose_files_may_be_called_like_the_programs_that_build_it(stage):
    shadow = "raise SystemExit('this is the model's own')"

    with stage({"runtime.py": shadow, "boto3.py": shadow}, variant="connection") as show:
        assert show.begin().status == "Succeeded"


def test_an_action_that_is_not_in_the_template_is_not_rehearsed(stage):
    def without_jobs(template):
        del _stages(template)[2:]
        del _stages(template)[1]["Actions"][1:]

    with stage(template=without_jobs) as show:
        execution = show.begin()

        assert execution.status == "Succeeded"
        assert [name for name, _ in actions(execution)] == ["Source", "Container"]


def _stages(template):
    (pipeline,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::CodePipeline::Pipeline")
    return pipeline["Properties"]["Stages"]
