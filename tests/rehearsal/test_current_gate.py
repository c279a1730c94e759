"""A gate that the model in service sets."""

from __future__ import annotations

from .conftest import TINY, failure

MODEL = (TINY / "model" / "tiny.py").read_text()
OFF = MODEL.replace("mean_y - slope * mean_x}", "mean_y - slope * mean_x + 0.4}")


def test_the_first_model_passes_and_a_worse_one_is_refused_before_anybody_is_asked(stage):
    with stage(variant="no-worse") as show:
        first = show.begin()
        assert first.status == "Succeeded", failure(first)
        assert "passed, for no model in service has that metric yet" in show.log("Evaluate")
        assert "(gate: at most 1, at most 0.05 worse than in service)" in show.log("Approve")

        worse = show.push({"tiny.py": OFF})

        name, told = failure(worse)
        assert name == "Evaluate"
        assert "which is not at most 0.05 worse than in service: version 1 at tiny-live has 0." in told
        assert worse.stage("Promote") is None
        assert show.report()["endpoints"][0]["model_package_arn"].endswith("/1")
