"""Sending rows of a file, and labels."""

from __future__ import annotations

import json
import threading
import time

import pytest

from cdk_ml_release.rehearsal.cloud import hours
from cdk_ml_release.rehearsal.cloud.gateway import ApiError, Gateway
from cdk_ml_release.rehearsal.sending import put_labels, send


@pytest.fixture
def gateway():
    opened = Gateway("us-east-1")
    yield opened
    opened.close()


@pytest.fixture
def asked(gateway):
    """What an endpoint is asked that answers everything but the word "bad", and how much it does at the same time."""
    seen, under_way, lock = {}, [], threading.Lock()

    def answer(call):
        body = call.parameters["Body"].decode()
        with lock:
            under_way.append(body)
            seen[call.parameters["InferenceId"]] = (body, call.parameters["ContentType"], len(under_way))
        time.sleep(0.01)
        under_way.remove(body)
        if body == "bad":
            raise ApiError("ModelError", "I do not understand", 424)
        return {"_status": 200, "_type": "text/csv", "_body": b"1", "_headers": {}}

    gateway.services["sagemaker", "InvokeEndpoint"] = answer
    return seen


def test_every_line_is_a_request_with_an_id_of_its_own(gateway, asked, tmp_path):
    path = tmp_path / "winter.csv"
    path.write_text("".join(f"{number},x\n" for number in range(40)))

    sent = send(gateway, "live", path)

    assert (sent.total, sent.failed) == (40, 0)
    assert {identifier: body for identifier, (body, *_) in asked.items()} == {
        f"winter-{number + 1}": f"{number},x" for number in range(40)
    }
    assert {kind for _, kind, _ in asked.values()} == {"text/csv"}
    assert 1 < max(under_way for *_, under_way in asked.values()) <= 8, "some at the same time, not all"


def test_failures_are_counted_with_their_reasons(gateway, asked, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("{}\nbad\n\nbad\n")

    sent = send(gateway, "live", path)

    assert (sent.total, sent.failed) == (3, 2)
    assert "I do not understand" in str(sent)
    assert sum(sent.to_json()["failures"].values()) == 2
    assert asked["rows-1"][1] == "application/json"


def test_labels_lie_under_the_hour_in_which_they_were_collected(gateway, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("winter-1,9\n\nwinter-2, 11\n")
    s3 = gateway.client("s3")
    s3.create_bucket(Bucket="home")

    count = put_labels(s3, "home", "live", path)

    (entry,) = s3.list_objects_v2(Bucket="home")["Contents"]
    lines = s3.get_object(Bucket="home", Key=entry["Key"])["Body"].read().decode().splitlines()
    assert count == 2
    assert entry["Key"].startswith(f"ground-truth/live/{hours.now():%Y/%m/%d/%H}/")
    assert json.loads(lines[1]) == {
        "groundTruthData": {"data": "11", "encoding": "CSV"},
        "eventMetadata": {"eventId": "winter-2"},
        "eventVersion": "0",
    }
