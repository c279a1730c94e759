"""A batch instead of an endpoint: what is scored, what is refused, and where both end."""

from __future__ import annotations

import contextlib
import json

import pytest

from cdk_ml_release.rehearsal.event import Event

from .conftest import actions, failure

GOOD = "1.0\n2.0\n3.0\n"
MIXED = "1.0\nbroken\n3.0\n4.0\nNA\n6.0\n"


@pytest.fixture
def batch(stage, tmp_path):
    """Opens the rehearsal of a pipeline that ends in a batch, with its input there before the first execution."""

    @contextlib.contextmanager
    def opened(objects, **changed):
        with stage(variant="batch", **changed) as show:
            for number, (key, text) in enumerate(objects.items()):
                path = tmp_path / f"input-{number}"
                path.write_text(text)
                show.rehearsal.data = {**show.rehearsal.data, f"/batch-input/{key}": path}
            yield show

    return opened


def left(show, execution):
    """What a batch has left, by what follows the execution's prefix."""
    s3 = show.rehearsal.gateway.client("s3")
    (bucket,) = show.rehearsal.run_buckets()
    prefix = f"batch/tiny-scores/{execution.id}/"
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())]
    return {key.removeprefix(prefix): s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys}


def scores(text):
    """The numbers of a result; None for an empty line."""
    return [float(line) if line else None for line in text.splitlines()]


def transforms(show):
    return [job["status"] for job in show.report()["jobs"] if job["kind"] == "Transform"]


def test_a_bad_record_lands_under_the_failure_prefix_and_loses_nothing_else(batch):
    with batch({"good.csv": GOOD, "mixed.csv": MIXED, "deep/good.csv": GOOD}) as show:
        execution = show.begin()

        assert execution.status == "Succeeded"
        assert actions(execution)[-1] == ("Transform", "Succeeded")
        results = left(show, execution)
        assert scores(results["output/good.csv.out"]) == pytest.approx([3.0, 5.0, 7.0], abs=0.5)
        assert results["output/deep/good.csv.out"] == results["output/good.csv.out"]
        mixed = scores(results["output/mixed.csv.out"])
        assert [value is None for value in mixed] == [False, True, False, False, True, False]
        assert mixed[3] == pytest.approx(9.0, abs=0.5)
        failed = [json.loads(line) for line in results["failed/mixed.csv.jsonl"].splitlines()]
        assert [(each["record"], each["content"]) for each in failed] == [(2, "broken"), (5, "NA")]
        assert all("Bad HTTP status received from algorithm: 400" in each["reason"] for each in failed)
        assert "could not convert string to float: 'NA'" in failed[1]["reason"]
        assert transforms(show) == ["Failed", "Failed"]
        assert show.report()["endpoints"] == []
        assert "refused: record 2 of mixed.csv: Bad HTTP status" in show.log("Transform")


def test_a_later_release_scores_again_with_its_own_model_and_leaves_earlier_results_alone(batch):
    with batch({"good.csv": GOOD}) as show:
        first = show.begin()
        before = left(show, first)
        second = show.push({"README.md": "a new commit"})

        assert (first.status, second.status) == ("Succeeded", "Succeeded")
        assert left(show, first) == before
        assert left(show, second)["output/good.csv.out"] == before["output/good.csv.out"]
        assert transforms(show) == ["Completed", "Completed"]
        assert "in service at tiny-scores" in second.stage("Promote").actions[-1].message


def test_a_batch_without_input_or_of_which_nothing_can_be_scored_fails_with_the_reason_and_changes_nothing(
    batch, tmp_path
):
    bad = tmp_path / "bad.csv"
    bad.write_text("x\ny\n")
    with batch({}) as show:
        empty = show.begin()

        assert "no data under s3://" in failure(empty)[1]
        assert transforms(show) == [], "it fails before any job runs"

        show.rehearsal.happen(Event(upload={"/batch-input/bad.csv": bad}))
        unfit = show.release(1)

        assert unfit.status == "Failed"
        name, message = failure(unfit)
        assert name == "Transform"
        assert "no record under s3://" in message
        assert "could not convert string to float: 'x'" in message
        assert show.executions == [empty, unfit], "there is nothing to roll back"
        assert not [key for key in left(show, unfit) if key.startswith("output/")]


def test_a_model_that_does_not_start_fails_the_batch_with_its_last_words(batch):
    with batch({"good.csv": GOOD}, changed={"serve": "#!/usr/bin/env python3\nraise SystemExit('no model')\n"}) as show:
        execution = show.begin()

        name, message = failure(execution)
        assert name == "Transform"
        assert "AlgorithmError: the container exited with code 1" in message
        assert "its last line was: no model" in message
        assert transforms(show) == ["Failed"]
