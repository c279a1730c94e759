"""Labels, written in the layout in which they are merged."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cdk_ml_release.drift import ground_truth
from cdk_ml_release.drift.files import Bucket
from cdk_ml_release.drift.window import Window

from .scene import BUCKET, ENDPOINT, START, animals

WINDOW = Window(start=START, end=START + timedelta(hours=1))


def written(scene, labels, collected=START):
    """The records in the file that is written, and its key."""
    uri = ground_truth.write(scene.s3, BUCKET, ENDPOINT, labels, collected=collected)
    key = uri.removeprefix(f"s3://{BUCKET}/")
    return [json.loads(line) for line in scene.read(key).splitlines()], key


def test_labels_lie_in_the_hour_in_which_they_became_known(scene):
    _, key = written(scene, {"id": 1}, datetime(2026, 3, 1, 11, 5, tzinfo=timezone(timedelta(hours=2))))

    assert key.startswith(f"ground-truth/{ENDPOINT}/2026/03/01/09/05-00-")


def test_without_a_time_labels_became_known_now(scene):
    uri = ground_truth.write(scene.s3, BUCKET, ENDPOINT, {"id": 1})

    today = {f"{time:%Y/%m/%d/%H}" for time in (datetime.now(UTC), datetime.now(UTC) - timedelta(minutes=1))}
    assert uri.split(f"{ENDPOINT}/")[1][:13] in today


@pytest.mark.parametrize(
    ("label", "data"),
    [
        (10.5, "10.5"),
        (3, "3"),
        ("male", "male"),
        ("a, b", '"a, b"'),
        (True, "true"),
        ([1, 2.5], "1\n2.5"),
        (["a", "b"], "a\nb"),
    ],
)
def test_a_label_is_a_record_of_sagemakers_merge_layout(scene, label, data):
    records, _ = written(scene, {"id-1": label})

    assert records == [
        {
            "groundTruthData": {"data": data, "encoding": "CSV"},
            "eventMetadata": {"eventId": "id-1"},
            "eventVersion": "0",
        }
    ]


def test_what_is_written_is_what_is_read(scene):
    written(scene, {"a": 1, "b": [2, 3]})
    written(scene, {"c": "x"})
    written(scene, {"late": 1}, START + timedelta(hours=1))

    truth = ground_truth.read(Bucket(scene.s3, BUCKET), ENDPOINT, WINDOW, 2)

    assert truth.labels == {"a": "1", "b": "2\n3", "c": "x"}


def test_the_monitor_joins_what_is_written(scene):
    scene.released()
    scene.captured(animals(120, "labels"), ids=[f"id-{number}" for number in range(120)], answers=["10"] * 120)
    written(scene, {f"id-{number}": 12.0 for number in range(30)})

    assert scene.run() == 0

    assert scene.window()["labels"]["joined"] == 30
    assert scene.window()["quality"]["regression_metrics.rmse.value"] == 2.0


def test_the_inference_id_of_a_label_wins_over_its_event_id(scene):
    record = {"groundTruthData": {"data": "1"}, "eventMetadata": {"eventId": "event", "inferenceId": "mine"}}
    scene.put(f"ground-truth/{ENDPOINT}/2026/03/01/09/labels.jsonl", json.dumps(record))

    assert ground_truth.read(Bucket(scene.s3, BUCKET), ENDPOINT, WINDOW, 2).labels == {"mine": "1"}


@pytest.mark.parametrize(
    "line", ["no", "[]", "{}", '{"eventMetadata": {"eventId": 7}, "groundTruthData": {"data": "1"}}']
)
def test_a_line_that_is_no_label_is_counted(scene, line):
    scene.put(f"ground-truth/{ENDPOINT}/2026/03/01/09/labels.jsonl", line)

    truth = ground_truth.read(Bucket(scene.s3, BUCKET), ENDPOINT, WINDOW, 2)

    assert (truth.labels, truth.unreadable) == ({}, 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, "'labels' must hold at least one label, got none; leave the call out"),
        ({"id": None}, "'labels' must hold texts, numbers, or lists of them, got None for 'id'; leave out"),
        ({"id": []}, r"got \[\] for 'id'"),
        ({"id": [1, None]}, r"got \[1, None\] for 'id'"),
    ],
)
def test_fails_when_there_is_nothing_that_a_model_could_predict(scene, labels, message):
    with pytest.raises(ValueError, match=message):
        ground_truth.write(scene.s3, BUCKET, ENDPOINT, labels)

    assert scene.names("ground-truth/") == []
