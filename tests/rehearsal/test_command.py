"""``ml-release rehearse`` as a person at a terminal meets it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from .conftest import TINY

COMMAND = [str(Path(sys.executable).parent / "ml-release"), "rehearse"]
LONG_ENOUGH_SECONDS = 240


def rehearse(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LONG_ENOUGH_SECONDS,
        check=False,
        **options,
    )


@pytest.fixture
def tiny_app(tmp_path):
    """A folder with the settings of the tiny app; its assembly is given by the tests."""
    folder = tmp_path / "app"
    folder.mkdir()
    settings = f'[sources]\ntiny-code = "{TINY}/model"\n\n[[requests]]\nendpoint = "tiny-live"\nbody = "3.0"\n'
    (folder / "rehearsal.toml").write_text(settings)
    return folder


def processes_with(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (entry / "cmdline").read_text(), (entry / "environ").read_text(errors="replace")
        except OSError:
            continue
        if mark in command or mark in environment:
            found.append(command.replace("\0", " "))
    return found


def test_a_redirected_rehearsal_reads_line_by_line_and_leaves_a_report(tiny_app, assembly, tmp_path):
    done = rehearse(tiny_app, "--assembly", assembly(""), "--out", tmp_path / "out", "--traffic", "25")

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"endpoint tiny-live: tiny/1, first creation: Succeeded", done.stdout)
    assert re.search(r"traffic to tiny-live: [1-9]\d* requests, 0 failed", done.stdout)
    assert "\x1b" not in done.stdout, "no terminal codes in a file"
    assert re.search(r"✓ Build · Train +[\d.]+ s", done.stdout)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["status"] == "Succeeded"
    assert report["predictions"][0]["input"] == "3.0"
    assert list(report) == [
        *(
            "status",
            "reason",
            "pipeline",
            "seconds",
            "job_seconds",
            "executions",
            "jobs",
            "metrics",
            "gates",
            "versions",
        ),
        *("endpoints", "releases", "traffic", "sent", "windows", "predictions", "cost", "log"),
    ]
    assert [(each["endpoint"], each["outcome"]) for each in report["releases"]] == [("tiny-live", "Succeeded")]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Version 1 was released." in page
    assert f"Not one of {report['traffic'][0]['total']:,} requests was lost." in page
    (version,) = report["versions"]
    assert (version["version"], version["metrics"]) == (1, report["metrics"])
    (execution,) = report["executions"]
    assert version["execution_id"] == execution["id"]
    (release,) = report["releases"]
    assert execution["at"] < release["at"] < execution["at"] + execution["seconds"]
    assert sum(each["total"] for each in release["seconds"]) == release["requests"]["total"]
    starts = [action["at"] for stage in execution["stages"] for action in stage["actions"]]
    assert starts == sorted(starts)
    assert report["gates"] == [{"metric": "regression_metrics.rmse", "comparison": "at_most", "rule": "at most 1"}]
    assert report["cost"]["month"]["usd"] > 0
    assert any("Build-Train" in path.name for path in (tmp_path / "out" / "logs").iterdir())


def test_a_failed_pipeline_is_exit_status_1_and_says_so(tiny_app, assembly, tmp_path):
    done = rehearse(tiny_app, "--assembly", assembly(""), "--out", tmp_path / "out", "--approve", "no")

    assert done.returncode == 1
    assert re.search("✗ Promote · Approve .*rejected", done.stdout)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["status"] == "Failed"
    assert report["reason"].startswith("Promote / Approve: rejected: tiny from commit")
    assert report["endpoints"] == []
    assert report["executions"][0]["not_reached"] == ["Live"]


def test_an_approval_can_be_asked_at_the_terminal(tiny_app, assembly, tmp_path):
    done = rehearse(tiny_app, "--assembly", assembly(""), "--out", tmp_path / "out", "--approve", "ask", input="n\n")

    assert done.returncode == 1
    assert "approve? [y/N]" in done.stdout


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_keep_leaves_an_endpoint_that_curl_and_other_verbs_can_ask_and_ctrl_c_leaves_nothing(
    tiny_app, assembly, tmp_path
):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*COMMAND, str(tiny_app), "--assembly", str(assembly("")), "--out", str(out), "--keep"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        try:
            line = next(line for line in process.stdout if "curl" in line)
            address = re.search(r"http://\S+/invocations", line)[0]
            request = urllib.request.Request(address, data=b"3.0", headers={"Content-Type": "text/csv"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                answered = float(answer.read())
            line = next(line for line in process.stdout if line.startswith("  export "))
            exported = dict(each.split("=", 1) for each in line.split()[1:])
            verb = [COMMAND[0], "versions", "--model", "tiny"]
            versions = subprocess.run(
                verb, env=os.environ | exported, capture_output=True, text=True, check=True
            ).stdout
        finally:
            process.send_signal(signal.SIGINT)
        process.stdout.read()

    assert answered == pytest.approx(7, abs=0.5)
    assert re.search(r"^1 +approved +tiny-live +rmse 0\.", versions, re.MULTILINE), versions
    assert process.returncode == 130
    time.sleep(0.2)
    assert processes_with(str(out)) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('approve = "perhaps"', "'approve' must be one of yes, no, ask, got 'perhaps'"),
        ('[sources]\ncode = "nowhere"', "'sources.code' must be a file or folder that exists, got 'nowhere'"),
        ("retries = 1", "'retries' is not a setting; the settings are"),
        ("approve =", "Invalid value"),
    ],
)
def test_settings_that_cannot_be_right_are_named(tmp_path, settings, told):
    (tmp_path / "rehearsal.toml").write_text(settings)

    done = rehearse(tmp_path, "--out", tmp_path / "out")

    assert done.returncode == 1
    assert told in done.stdout
    assert "rehearsal.toml" in done.stdout


def test_a_folder_that_is_no_app_is_named(tmp_path):
    done = rehearse(tmp_path, "--out", tmp_path / "out")

    assert done.returncode == 1
    assert "has no cdk.json: name the folder of a CDK app" in done.stdout


def test_an_app_that_fails_shows_its_own_words(tmp_path):
    (tmp_path / "cdk.json").write_text(json.dumps({"app": "python3 app.py"}))
    (tmp_path / "app.py").write_text("raise ValueError(\"'metric' must be a path\")")

    done = rehearse(tmp_path, "--out", tmp_path / "out")

    assert done.returncode == 1
    assert "'metric' must be a path" in done.stdout


def test_a_folder_of_somebody_else_is_not_emptied(tmp_path, tiny_app):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter.txt").touch()

    done = rehearse(tiny_app, "--out", precious)

    assert done.returncode == 1
    assert "'--out' must be an empty folder or an earlier rehearsal's" in done.stdout
    assert (precious / "letter.txt").exists()


@pytest.fixture
def earlier(tmp_path):
    """What an earlier rehearsal has left, its assembly among it."""
    folder = tmp_path / "out"
    (folder / "cdk.out").mkdir(parents=True)
    (folder / ".rehearsal").touch()
    (folder / "cdk.out" / "manifest.json").write_text("{}")
    (folder / "report.json").write_text("{}")
    return folder


@pytest.mark.parametrize("given", [[], ["--assembly", "nowhere"]], ids=["no app", "no assembly"])
def test_an_earlier_rehearsal_is_kept_until_there_is_something_to_rehearse(tmp_path, earlier, given):
    done = rehearse(tmp_path, "--out", earlier, *given)

    assert done.returncode == 1
    assert (earlier / "report.json").exists()


def test_an_assembly_within_the_folder_that_is_emptied_is_kept_and_refused(tiny_app, earlier):
    done = rehearse(tiny_app, "--out", earlier, "--assembly", earlier / "cdk.out")

    assert done.returncode == 1
    assert "'--assembly' must not be within '--out', which is emptied first" in " ".join(done.stdout.split())
    assert (earlier / "cdk.out" / "manifest.json").exists()
