"""A release that is not right harms nobody: not the model in service, not the next stage, not the next execution."""

from __future__ import annotations

import re
import threading
import time

import pytest
from botocore.exceptions import ClientError

from .conftest import TINY, failure

SERVE = (TINY / "model" / "serve").read_text()
SKEWED = SERVE.replace("predict(MODEL, float(line))", "predict(MODEL, float(line)) / 10").replace(
    "body = self.rfile", 'print("the scaler is missing", flush=True)\n        body = self.rfile'
)
MODEL = (TINY / "model" / "tiny.py").read_text()
LONG_ENOUGH_SECONDS = 120


def stages_of(template):
    (pipeline,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::CodePipeline::Pipeline")
    return pipeline["Properties"]["Stages"]


def test_right_after_a_change_of_the_pipeline_the_check_itself_brings_the_old_model_back(stage):
    def without_roll_back(template):
        # CodePipeline rolls back to executions of the pipeline's current structure only: here there are none.
        del stages_of(template)[-1]["OnFailure"]

    with stage(template=without_roll_back) as show:
        show.begin()
        before, answer = show.report()["endpoints"], show.invoke("3.0")

        bad = show.push({"serve": SKEWED})

        assert bad.status == "Failed"
        assert show.executions[-1] is bad, "nothing was rolled back"
        told = failure(bad)[1]
        assert "the scaler is missing" in told
        assert told.endswith("; version 1 is back in service, to which the stage rolls back")
        assert show.report()["endpoints"] == before
        assert show.invoke("3.0") == answer

        good = show.push({"README.md": "better"})

        assert good.status == "Succeeded"
        assert show.report()["endpoints"][0]["model_package_arn"].endswith("/3")


def test_a_broken_staging_leaves_production_untouched(stage):
    with stage(variant="staging") as show:
        first = show.begin()
        assert first.status == "Succeeded", failure(first)
        before = {each["name"]: each for each in show.report()["endpoints"]}
        assert set(before) == {"tiny-staging", "tiny-live"}

        bad = show.push({"serve": SKEWED})

        assert failure(bad)[0] == "Verify"
        assert [each.name for each in bad.stages][-1] == "Staging"
        assert {each["name"]: each for each in show.report()["endpoints"]} == before


def test_of_two_executions_in_the_queue_each_approval_deploys_its_own_weights_and_image(stage):
    questions = []

    with stage() as show:
        show.begin()

        def answer(message):
            questions.append((message, float(show.invoke("0.0"))))
            if len(questions) == 1:
                # The person takes so long that the next model is built in the meantime.
                _until(lambda: any(len(each.stages) > 2 or _built(each) for each in show.releases[2:]))
            return True

        show.spectator.answers = answer
        first = threading.Thread(target=show.push, args=(_model(+0.25),), kwargs={"approve": "ask"})
        first.start()
        _until(lambda: questions)
        show.push(_model(-0.25))
        first.join()

        _, one, two = show.releases
        assert [each.status for each in (one, two)] == ["Succeeded"] * 2
        # At the second question the first answer was in service already, or on its way; never the other way round.
        assert questions[0][1] == pytest.approx(1.0, abs=0.2)
        assert _deployed(show, one) != _deployed(show, two)
        assert show.report()["endpoints"][0]["model_package_arn"].endswith("/3")
        assert float(show.invoke("0.0")) == pytest.approx(1.0 - 0.5, abs=0.2)


def _model(shift):
    """Other weights, and an image with another way to use them: both are off by ``shift``."""
    weights = MODEL.replace("mean_y - slope * mean_x}", f"mean_y - slope * mean_x + {shift}}}")
    return {"tiny.py": weights.replace('x + model["offset"]', f'x + model["offset"] + {shift}')}


def _built(execution):
    build = execution.stage("Build")
    return build is not None and build.status == "Succeeded"


def _deployed(show, execution):
    """The image and the weights that an execution has put into the registry."""
    (bucket,) = show.rehearsal.run_buckets()
    s3 = show.rehearsal.gateway.client("s3")
    return s3.get_object(Bucket=bucket, Key=f"runs/{execution.id}/release.json")["Body"].read()


def _until(happened):
    deadline = time.monotonic() + LONG_ENOUGH_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_a_first_release_that_is_not_right_is_gone_with_its_stack(stage):
    with stage({"serve": SKEWED}) as show:
        bad = show.begin()

        name, told = failure(bad)
        assert name == "Verify"
        assert re.search("predicts otherwise than the evaluation: to '[^']+' it answers ", told), told
        assert told.endswith("taken out of service, for there was no release before: retry all actions of the stage")
        assert show.report()["endpoints"] == []
        with pytest.raises(ClientError, match="Could not find endpoint"):
            show.invoke("3.0")
