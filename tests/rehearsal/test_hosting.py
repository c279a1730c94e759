"""Every way to host a model, through the whole pipeline with the roles as declared."""

import time

import pytest

from .conftest import actions

INPUTS = {"good": "1.0\n2.0\n", "bad": "broken\n"}


def test_a_queue_is_checked_like_any_endpoint_and_a_bad_record_loses_nothing_else(stage):
    with stage(variant="asynchronous") as show:
        execution = show.begin()
        assert execution.status == "Succeeded", show.log("Verify")

        places = {name: queue(show, name, text) for name, text in INPUTS.items()}

        answer = arrived(show, places["good"]["OutputLocation"])
        assert [float(line) for line in answer.split()] == pytest.approx([3.0, 5.0], abs=0.5)
        assert "/async/tiny-live/failure/" in places["bad"]["FailureLocation"]
        assert arrived(show, places["bad"]["FailureLocation"])


def queue(show, name, text):
    """Put a request in the queue as a caller does; returns where its answer will be."""
    (bucket,) = show.rehearsal.run_buckets()
    key = f"async/tiny-live/input/{name}"
    show.rehearsal.gateway.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())
    runtime = show.rehearsal.gateway.client("sagemaker-runtime")
    return runtime.invoke_endpoint_async(
        EndpointName="tiny-live", ContentType="text/csv", InputLocation=f"s3://{bucket}/{key}"
    )


def arrived(show, uri):
    """The object at a place, as soon as it is there."""
    s3 = show.rehearsal.gateway.client("s3")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    for _ in range(200):
        found = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", ())
        if found:
            return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        time.sleep(0.05)
    raise AssertionError(f"nothing has arrived at {uri}")


def test_a_serverless_endpoint_answers_what_was_evaluated(stage):
    with stage(variant="serverless") as show:
        assert show.begin().status == "Succeeded", show.log("Verify")
        assert float(show.invoke("2.0")) == pytest.approx(5.0, abs=0.5)


def test_scaling_shadow_and_canary_together_carry_one_release_over_to_the_next(stage):
    with stage(variant="careful") as show:
        assert show.begin().status == "Succeeded", show.log("Deploy")

        second = show.push({"notes.txt": "another version"})

        assert second.status == "Succeeded", show.log("Deploy")
        assert [name for name, _ in actions(second)][-4:] == ["Prepare", "Shadow", "Deploy", "Verify"]
        policies = [each["policy"] for each in show.report()["releases"]]
        assert policies[0] != policies[1] != policies[2], "created, shadowed, released"
        versions = [each["to"].rpartition("/")[2] for each in show.report()["releases"]]
        assert versions == ["1", "1", "2"]
