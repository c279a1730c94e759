"""The example as a newcomer meets it: one command, and an age in the end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .test_quality import ORIGINAL

EXAMPLE = Path(__file__).parents[2] / "examples" / "abalone"


@pytest.mark.parametrize("data", ["the sample", "the original"])
def test_the_age_calculator_is_rehearsed_from_source_to_prediction(data, tmp_path):
    if data == "the original" and not ORIGINAL.is_file():
        pytest.skip("the original data is not on this machine")
    chosen = ["--data", f"abalone.data={ORIGINAL}"] if data == "the original" else []

    done = subprocess.run(
        [Path(sys.executable).parent / "ml-release", "rehearse", EXAMPLE, "--out", tmp_path / "out", *chosen],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["status"] == "Succeeded"
    assert report["metrics"]["regression_metrics.rmse"] <= 2.5
    (prediction,) = report["predictions"]
    assert 5 < float(prediction["output"]) < 20
    assert report["endpoints"][0]["status"] == "InService"
