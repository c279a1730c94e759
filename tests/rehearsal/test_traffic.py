"""Traffic through a whole pipeline: what a release does to the requests of the people who use the model."""

from __future__ import annotations

import argparse
import json
import re

import pytest

from cdk_ml_release.rehearsal.command import add_arguments, run
from cdk_ml_release.rehearsal.event import Event
from cdk_ml_release.rehearsal.settings import SampleRequest, SettingsError, read_settings

from .conftest import ENDPOINT, TINY, failure

REQUESTS = (SampleRequest(endpoint=ENDPOINT, body="3.0"), SampleRequest(endpoint=ENDPOINT, body="1.0"))


def test_a_release_under_traffic_is_in_the_report_with_every_request(stage):
    with stage(requests=REQUESTS) as show:
        show.rehearsal.requests_per_second = 30.0
        with show.rehearsal.under_traffic():
            show.begin()
            second = show.push({"README.md": "a new commit"})

        report = show.report()
        assert second.status == "Succeeded"
        first, update = report["releases"]
        assert (first["from"], first["outcome"]) == (None, "Succeeded")
        assert update["from"] == first["to"]
        assert update["to"].endswith(":model-package/tiny/2")
        assert update["requests"]["failed"] == 0
        assert set(update["requests"]["by_version"]) == {update["from"], update["to"]}
        assert set(update["steps"][-1]["requests"]["by_version"]) == {update["to"]}
        (traffic,) = report["traffic"]
        assert (traffic["endpoint"], traffic["failed"], traffic["failures"]) == (ENDPOINT, 0, {})
        answered = sum(each["requests"]["total"] for each in report["releases"])
        assert 0 < traffic["total"] <= answered, "the pipeline itself asks, too"
        said = "\n".join(show.spectator.notes)
        assert re.search(rf"endpoint {ENDPOINT}: tiny/1 → tiny/2, .*: Succeeded; \d+ requests, 0 failed", said)
        assert f"traffic to {ENDPOINT}: {traffic['total']} requests, 0 failed" in said


def test_traffic_goes_on_with_what_was_sent_last_while_a_pipeline_is_at_work(stage, tmp_path):
    sent = tmp_path / "sent.csv"
    sent.write_text("7.0\n")
    events = (Event(send={ENDPOINT: sent}), Event())
    with stage(requests=REQUESTS, then=events) as show:
        show.rehearsal.requests_per_second = 30.0
        with show.rehearsal.under_traffic():
            show.begin()
            (stream,) = show.rehearsal.streams
            before = stream.total
            show.rehearsal.happen(events[0])
            show.push({"README.md": "a new commit"})

        show.rehearsal.endpoints.flush()
        assert before == 0, "nothing is asked before it is known what"
        assert stream.total > 0
        assert stream.failed == 0
        assert "3.0" not in asked(show)
        assert asked(show).count("7.0") > stream.total, "what was sent, and after that the traffic"


def asked(show):
    """The bodies of all captured requests but the pipeline's own checks, which ask evaluated rows."""
    (bucket,) = show.rehearsal.run_buckets()
    s3 = show.rehearsal.gateway.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="capture/")["Contents"]]
    lines = "".join(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys).splitlines()
    return [json.loads(line)["captureData"]["endpointInput"]["data"] for line in lines]


def test_a_version_that_fails_some_requests_fails_its_pipeline_and_harms_nobody_after(stage):
    serve = (TINY / "model" / "serve").read_text()
    broken = serve.replace("import os\n", "import itertools\nimport os\n", 1)
    broken = broken.replace("class Handler", "NUMBER = itertools.count(1)\n\n\nclass Handler", 1)
    broken = broken.replace(
        "        try:\n",
        "        if next(NUMBER) % 5 == 0:\n            return self.answer(500, 'no')\n        try:\n",
        1,
    )

    with stage(requests=REQUESTS) as show:
        show.rehearsal.requests_per_second = 30.0
        with show.rehearsal.under_traffic():
            first = show.begin()
            second = show.push({"serve": broken})

        assert (first.status, second.status) == ("Succeeded", "Failed")
        action, message = failure(second)
        assert action == "Deploy"
        assert re.search(r"the CloudWatch alarm \S+ went to ALARM .*Invocation5XXErrors", message)
        taken_back = show.report()["releases"][1]
        assert taken_back["outcome"] == "RolledBack"
        assert taken_back["reason"] in message
        assert taken_back["requests"]["failed"] == taken_back["steps"][1]["requests"]["failed"] > 0
        assert set(taken_back["steps"][-1]["requests"]["by_version"]) == {taken_back["from"]}
        assert show.executions[-1].is_roll_back, "the stage was put back after the failure"
        assert show.executions[-1].status == "Succeeded"
        assert not show.rehearsal.succeeded
        assert show.report()["status"] == "Failed"
        assert show.report()["reason"] == f"Live / Deploy: {message}"


def test_refuses_when_there_is_nothing_to_send(tmp_path, capsys):
    assert _rehearse(tmp_path, "--traffic") == 1
    assert "'--traffic' needs something to send: add [[requests]] to rehearsal.toml" in capsys.readouterr().out


@pytest.mark.parametrize("rate", ["-1", "5000"])
def test_refuses_when_the_rate_is_out_of_bounds(tmp_path, capsys, rate):
    assert _rehearse(tmp_path, f"--traffic={rate}") == 1
    assert "'--traffic' must be above 0 and at most 500, got" in capsys.readouterr().out


def _rehearse(folder, *arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(folder), *arguments]))


def test_the_clock_is_set_in_the_settings(tmp_path):
    (tmp_path / "rehearsal.toml").write_text("[clock]\nminute_seconds = 0.5\nrequests = 50\n")

    clock = read_settings(tmp_path).clock

    assert (clock.minute_seconds, clock.requests, clock.shortest_seconds) == (0.5, 50, 0.5)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hour_seconds = 1", "'clock.hour_seconds' is not a setting; the settings are longest_seconds, minute_seconds"),
        ('requests = "many"', "'clock.requests' must be a number, 0 or more, got 'many'"),
        ("requests = -1", "'clock.requests' must be a number, 0 or more, got -1"),
    ],
)
def test_fails_when_the_clock_is_set_wrong(tmp_path, line, reason):
    (tmp_path / "rehearsal.toml").write_text(f"[clock]\n{line}\n")

    with pytest.raises(SettingsError, match=re.escape(reason)):
        read_settings(tmp_path)
