"""The example as a newcomer meets it: one command, and a loop that closes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .test_quality import ORIGINAL

EXAMPLE = Path(__file__).parents[2] / "examples" / "abalone"
MEASUREMENTS = 7


def rehearse(out: Path, *options: str) -> dict:
    done = subprocess.run(
        [Path(sys.executable).parent / "ml-release", "rehearse", EXAMPLE, "--out", out, *options],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["status"] == "Succeeded"
    assert report["metrics"]["regression_metrics.rmse"] <= 2.5
    (prediction,) = report["predictions"]
    assert 5 < float(prediction["output"]) < 20
    assert report["endpoints"][0]["status"] == "InService"
    return report


@pytest.fixture(scope="module")
def loop(tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("loop") / "out"
    return out, rehearse(out)


def test_the_alarm_of_a_season_starts_the_next_release(loop):
    _, report = loop

    first, second = report["executions"]
    assert first["trigger"] == "CreatePipeline"
    assert "alarm abalone-production-drift" in second["trigger"]
    assert report["endpoints"][0]["model_package_arn"].endswith("/2")


def test_only_the_season_is_drift_and_only_for_the_version_that_has_not_seen_it(loop):
    _, report = loop

    told = [(each["model_package_arn"][-1], len(each["drifted"]), each["alarms"]) for each in report["windows"]]
    assert [(version, drifted > MEASUREMENTS - 2) for version, drifted, _ in told] == [
        ("1", False),
        ("1", True),
        ("1", True),
        ("2", False),
    ]
    assert "abalone-production-drift" in told[1][2]
    assert [alarms for _, _, alarms in told[2:]] == [[], []]
    assert {each["status"] for each in report["windows"]} == {"Compared"}


def test_no_request_is_lost_while_the_versions_change(loop):
    _, report = loop

    change = report["releases"][-1]
    (stream,) = report["traffic"]
    assert {each[-2:] for each in change["requests"]["by_version"]} == {"/1", "/2"}
    assert (change["requests"]["failed"], stream["failed"]) == (0, 0)
    assert stream["total"] > 50


def test_the_page_tells_the_story_and_links_to_the_reports_of_the_windows(loop):
    out, report = loop

    page = (out / "report.html").read_text()
    assert "drift was found in" in page
    for window in report["windows"]:
        assert window["report"] in page
        assert (out / window["report"]).stat().st_size > 100_000


def test_the_original_data_is_released_too(tmp_path):
    if not ORIGINAL.is_file():
        pytest.skip("the original data is not on this machine")

    rehearse(tmp_path / "out", "--data", f"abalone.data={ORIGINAL}", "--first-only")
