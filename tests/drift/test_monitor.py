"""Whole runs of the monitor's program, on an account of moto's."""

import json
from datetime import timedelta

import pytest

from cdk_ml_release.runtime.contract import Gate

from .scene import BUCKET, ENDPOINT, FIRST, SECOND, START, age, animals, csv

FOLDER = f"monitoring/{ENDPOINT}/2026-03-01T09-00Z"
FILES = ["constraint_violations.json", "constraints.json", "report.html", "statistics.json", "window.json"]


@pytest.fixture
def topic(scene):
    """A topic, and what gives the messages that were published to it."""
    arn = scene.client("sns").create_topic(Name="findings")["TopicArn"]
    queue = scene.client("sqs").create_queue(QueueName="mail")["QueueUrl"]
    queue_arn = scene.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    endpoint = queue_arn["Attributes"]["QueueArn"]
    scene.client("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)

    def messages():
        found = scene.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(each["Body"])["Message"] for each in found.get("Messages", ())]

    return arn, messages


def test_a_window_like_the_baseline_has_no_finding(scene, topic):
    scene.released()
    scene.captured(animals(300, "like"))
    arn, messages = topic

    assert scene.run(topic_arn=arn) == 0

    window = scene.window()
    assert (window["status"], window["records"], window["unfit"]) == ("Compared", 300, 0)
    assert (window["drifted"], window["drift_share"], window["violations"]) == ([], 0.0, [])
    assert window["execution_id"] == FIRST
    assert window["model_package_arn"].endswith("model-package/abalone/1")
    assert (window["start"], window["end"]) == ("2026-03-01T09:00:00+00:00", "2026-03-01T10:00:00+00:00")
    assert scene.names() == [f"{FOLDER}/1/{name}" for name in FILES]
    assert messages() == []
    assert scene.metrics() == {
        "Completed": 1,
        "Records": 300,
        "UnfitRecords": 0,
        "NewestRecordAge": 3600 - 299,
        "DriftedFeatureShare": 0,
        "FeatureDrifted:sex": 0,
        "FeatureDrifted:length": 0,
        "FeatureDrifted:width": 0,
        "FeatureDrifted:rings": 0,
        "PredictionDrifted": 0,
        "Violations": 0,
    }


def test_a_season_of_bigger_animals_is_told_by_feature_value_limit_and_report(scene, topic):
    scene.released()
    scene.captured(animals(300, "big", length=1.0, width=0.5))
    arn, messages = topic

    assert scene.run(topic_arn=arn) == 0

    window = scene.window()
    assert (window["drifted"], window["drift_share"]) == (["length", "width"], 0.5)
    assert window["features"]["length"]["method"] == "ks"
    assert window["features"]["length"]["score"] < window["features"]["length"]["threshold"] == 0.01
    assert window["report"] == f"s3://{BUCKET}/{FOLDER}/1/report.html"
    metrics = scene.metrics()
    assert (metrics["DriftedFeatureShare"], metrics["FeatureDrifted:length"]) == (0.5, 1)
    (message,) = messages()
    assert "2 of 4 features have drifted, 50% with a limit of 30%" in message
    assert "length has drifted: Kolmogorov-Smirnov p-value" in message
    assert "limit 0.01" in message
    assert f"Report: s3://{BUCKET}/{FOLDER}/1/report.html" in message
    drifts = json.loads(scene.read(f"{FOLDER}/1/constraint_violations.json"))["violations"]
    assert {(each["feature_name"], each["constraint_check_type"]) for each in drifts} >= {
        ("length", "baseline_drift_check"),
        ("width", "baseline_drift_check"),
    }


def test_before_the_first_release_a_run_only_says_that_it_is_alive(scene):
    assert scene.run() == 0

    window = scene.window("none")
    assert (window["status"], window["records"], window["report"]) == ("NoEndpoint", 0, None)
    assert scene.names() == [f"{FOLDER}/none/window.json"]
    assert scene.metrics() == {"Completed": 1}


def test_a_window_without_data_says_so(scene):
    scene.released()
    scene.captured(animals(10, "earlier"), at=START - timedelta(hours=1))
    scene.captured(animals(10, "later"), at=START + timedelta(hours=1))

    assert scene.run() == 0

    assert scene.window("none")["status"] == "NoData"
    assert scene.names() == [f"{FOLDER}/none/window.json"]
    assert scene.metrics() == {"Completed": 1, "Records": 0, "UnfitRecords": 0}


def test_fewer_records_than_a_test_needs_are_counted_and_not_judged(scene, topic):
    scene.released()
    scene.captured(animals(99, "few", length=9.0))
    arn, messages = topic

    assert scene.run(topic_arn=arn) == 0

    window = scene.window()
    assert (window["status"], window["records"], window["drift_share"], window["features"]) == ("TooFew", 99, None, {})
    assert scene.metrics() == {"Completed": 1, "Records": 99, "UnfitRecords": 0, "NewestRecordAge": 3600 - 98}
    assert f"{FOLDER}/1/report.html" not in scene.names()
    assert messages() == []


def test_a_window_over_a_release_is_split_by_version_each_with_its_own_baseline(scene):
    scene.released(FIRST, 1)
    scene.released(SECOND, 2, rows=animals(800, "baseline 2", length=3.0))
    scene.captured(animals(150, "old"), execution=FIRST)
    scene.captured(animals(200, "new", length=3.0), execution=SECOND, at=START + timedelta(minutes=30))

    assert scene.run() == 0

    first, second = scene.window(1), scene.window(2)
    assert (first["records"], second["records"]) == (150, 200)
    assert (first["drifted"], second["drifted"]) == ([], [])
    assert scene.metrics()["Records"] == 350


def test_alarms_are_about_the_version_in_service_and_not_about_the_one_that_it_has_replaced(scene):
    scene.released(FIRST, 1)
    scene.released(SECOND, 2, rows=animals(800, "baseline 2", length=3.0, width=1.0))
    scene.captured(animals(150, "season", length=3.0, width=1.0), execution=FIRST)
    scene.captured(animals(200, "new", length=3.0, width=1.0), execution=SECOND, at=START + timedelta(minutes=30))

    assert scene.run() == 0

    assert scene.window(1)["drift_share"] == 0.5
    metrics = scene.metrics()
    assert (metrics["DriftedFeatureShare"], metrics["Violations"]) == (0, 0)


def test_a_version_that_was_replaced_right_after_the_window_is_still_judged(scene):
    scene.released(FIRST, 1)
    scene.released(SECOND, 2)
    scene.captured(animals(150, "season", length=3.0, width=1.0), execution=FIRST)

    assert scene.run() == 0

    assert scene.metrics()["DriftedFeatureShare"] == 0.5


def test_a_version_of_before_the_schema_is_counted_while_it_is_on_its_way_out(scene):
    scene.released(FIRST, 1, schema=None)
    scene.released(SECOND, 2)
    scene.captured(animals(150, "old"), execution=FIRST)
    scene.captured(animals(200, "new"), execution=SECOND, at=START + timedelta(minutes=30))

    assert scene.run() == 0

    assert (scene.window(1)["status"], scene.window(1)["records"]) == ("NoBaseline", 150)
    assert scene.window(2)["status"] == "Compared"


def test_records_without_a_declared_content_type_are_decoded(scene):
    scene.released()
    rows = animals(240, "base64")
    named = [{"rings": row[3], "sex": row[0], "width": row[2], "length": row[1]} for row in rows[120:]]
    scene.captured(rows[:120], encoding="BASE64")
    answers = [json.dumps({"age": age(row)}) for row in rows[120:]]
    scene.captured([json.dumps(each) for each in named], answers=answers, encoding="BASE64")

    assert scene.run() == 0

    assert (scene.window()["records"], scene.window()["unfit"], scene.window()["drifted"]) == (240, 0, [])


def test_rows_that_do_not_fit_are_counted_told_and_never_blamed_on_another_column(scene, topic):
    scene.released()
    rows = animals(200, "fits")
    scene.captured(rows)
    odd = [csv([*rows[0], 7]), csv(rows[0][:3]), csv([rows[0][0], "long", *rows[0][2:]]), csv(rows[0])]
    scene.captured(odd, answers=["1", "1", "1", "no idea"], at=START + timedelta(minutes=10))
    arn, messages = topic

    assert scene.run(topic_arn=arn) == 0

    window = scene.window()
    assert (window["records"], window["unfit"]) == (204, 4)
    assert [told.partition(" (line")[0] for told in window["misfits"]] == [
        "row 1: has 5 columns instead of 4: sex, length, width, rings",
        "row 1: has 3 columns instead of 4: sex, length, width, rings",
        "row 1: column 'length' must be a number, got 'long'",
        "row 1: column 'age' must be a number, got 'no idea'",
    ]
    assert (
        f"(line 1 of s3://{BUCKET}/capture/{FIRST}/{ENDPOINT}/AllTraffic/2026/03/01/09/10-00-" in window["misfits"][0]
    )
    assert {(each["feature_name"], each["constraint_check_type"]) for each in window["violations"]} == {
        ("Extra columns", "extra_column_check"),
        ("Missing columns", "missing_column_check"),
        ("length", "data_type_check"),
        ("age", "data_type_check"),
    }
    assert window["drifted"] == []
    assert scene.metrics()["UnfitRecords"] == 4
    assert (
        "length: 1 of 204 rows hold a value of another type in length, such as row 1: column 'length'" in messages()[0]
    )


def test_rows_in_another_order_are_read_by_their_header_or_their_names(scene):
    scene.released()
    rows = animals(150, "order")
    bodies = ["rings,width,sex,length\n" + csv([row[3], row[2], row[0], row[1]]) for row in rows[:75]]
    bodies += [json.dumps({"rings": row[3], "width": row[2], "sex": row[0], "length": row[1]}) for row in rows[75:]]
    scene.captured(bodies[:75], answers=[str(age(row)) for row in rows[:75]])
    scene.captured(bodies[75:], answers=[str(age(row)) for row in rows[75:]], encoding="JSON")

    assert scene.run() == 0

    assert (scene.window()["unfit"], scene.window()["drifted"]) == (0, [])


def test_rows_in_another_order_without_names_are_unfit_by_the_column_that_shows_it(scene):
    scene.released()
    scene.captured([csv([row[1], row[0], *row[2:]]) for row in animals(150, "order")], answers=["9"] * 150)

    assert scene.run() == 0

    window = scene.window()
    assert (window["status"], window["unfit"]) == ("TooFew", 150)
    assert [each["feature_name"] for each in window["violations"]] == ["length"]
    assert scene.metrics()["Violations"] == 1


def test_a_request_of_several_rows_is_as_many_records(scene):
    scene.released()
    rows = animals(200, "several")
    groups = [rows[first : first + 4] for first in range(0, 200, 4)]
    answers = [csv(*([age(row)] for row in group)) for group in groups]
    scene.captured([csv(*group) for group in groups], answers=answers)

    assert scene.run() == 0

    assert (scene.window()["records"], scene.window()["unfit"], scene.window()["drifted"]) == (200, 0, [])


def test_a_request_whose_answer_has_another_number_of_rows_is_unfit_as_a_whole(scene):
    scene.released()
    rows = animals(200, "fits")
    scene.captured(rows)
    scene.captured([csv(*rows[:3])], answers=["1\n2"])

    assert scene.run() == 0

    window = scene.window()
    assert (window["records"], window["unfit"]) == (203, 3)
    assert "column 'age' must have 3 values, one for each row of the request, got 2" in window["misfits"][0]


def test_records_of_another_endpoint_are_left_alone(scene):
    scene.released()
    scene.captured(animals(150, "mine"))
    scene.captured(animals(150, "other", length=9.0), endpoint="abalone-staging")
    scene.captured(animals(150, "other", length=9.0), endpoint=f"{ENDPOINT}-2")

    assert scene.run() == 0

    assert (scene.window()["records"], scene.window()["drifted"]) == (150, [])


def test_a_sample_is_declared_wherever_somebody_looks(scene, topic):
    scene.released()
    scene.captured(animals(400, "many", length=1.0, width=1.0))
    arn, messages = topic

    assert scene.run(sample=150, topic_arn=arn) == 0

    window = scene.window()
    assert (window["records"], window["sampled_from"]) == (400, 400)
    assert window["drifted"] == ["length", "width"]
    assert "a sample of 150 was analysed" in messages()[0]
    assert "a sample of 150 was analysed" in scene.read(f"{FOLDER}/1/report.html")


def test_without_more_records_than_the_sample_nothing_is_sampled(scene):
    scene.released()
    scene.captured(animals(150, "few"))

    assert scene.run(sample=150) == 0

    assert scene.window()["sampled_from"] is None


def test_the_same_window_again_gives_the_same_results(scene):
    scene.released()
    scene.captured(animals(400, "many"))
    scene.run(sample=150)
    before = scene.window()

    scene.run(sample=150)

    assert scene.window() == before


def test_the_distance_of_a_single_feature_takes_the_place_of_its_test(scene):
    scene.released()
    scene.captured(animals(300, "big", length=1.0, width=0.5))

    assert scene.run("--threshold", "length=2.5", "--threshold=width=0.5") == 0

    features = scene.window()["features"]
    assert (features["length"]["method"], features["length"]["threshold"]) == ("wasserstein", 2.5)
    assert features["length"]["score"] == pytest.approx(1, abs=0.15)
    assert scene.window()["drifted"] == ["width"]


def test_any_window_can_be_asked_for(scene):
    scene.released()
    scene.captured(animals(150, "first"), at=START + timedelta(minutes=10))
    scene.captured(animals(150, "second"), at=START + timedelta(minutes=40))

    assert scene.run("--start", "2026-03-01T09:30", "--end", "2026-03-01T11:30+01:00", scheduled="") == 0

    window = scene.window(start="2026-03-01T09-30Z")
    assert (window["records"], window["end"]) == (150, "2026-03-01T10:30:00+00:00")


def test_a_window_of_a_day_holds_all_of_its_hours(scene):
    scene.released()
    for hours in (0, 1, 23, 24, 25):
        scene.captured(animals(50, hours), at=START.replace(hour=0) - timedelta(days=1) + timedelta(hours=hours))

    assert scene.run(scheduled="2026-03-01T00:20:00Z", every_hours=24) == 0

    assert scene.window(start="2026-02-28T00-00Z")["records"] == 150


def test_new_categories_missing_values_and_strange_numbers_break_the_constraints(scene):
    scene.released()
    rows = animals(300, "odd")
    for number in range(20):
        rows[number][0] = "X"
        rows[20 + number][3] = None
        rows[40 + number][2] = 3000.0
    scene.captured(rows, answers=["9.5"] * 300)

    assert scene.run() == 0

    told = {each["feature_name"]: each for each in scene.window()["violations"]}
    assert told["sex"]["constraint_check_type"] == "categorical_values_check"
    assert told["sex"]["description"] == "20 of 300 values are not in the baseline: 'X' (20)"
    assert told["rings"]["description"] == "20 of 300 values are missing: completeness 0.9333 is below 1"
    assert told["width"]["constraint_check_type"] == "range_check"
    assert told["width"]["description"].startswith("20 of 300 values are outside the baseline's range")
    assert scene.metrics()["Violations"] == 3


def test_a_column_without_any_value_is_not_compared_but_told(scene):
    scene.released()
    scene.captured([[sex, None, width, rings] for sex, _, width, rings in animals(150, "none")], answers=["9"] * 150)

    assert scene.run() == 0

    window = scene.window()
    assert "length" not in window["features"]
    assert [each["feature_name"] for each in window["violations"]] == ["length"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda scene, run: scene.delete(f"{run}/baseline/schema.json"), "the baseline has no s3://"),
        (lambda scene, run: scene.delete(f"{run}/baseline/constraints.json"), "the baseline has no s3://"),
        (lambda scene, run: scene.delete(f"{run}/baseline/statistics.json"), "the baseline has no s3://"),
        (lambda scene, run: scene.delete(f"{run}/evaluation/predictions.jsonl"), "the baseline has no s3://"),
        (lambda scene, run: scene.put(f"{run}/baseline/schema.json", '{"features"'), "schema.json is damaged"),
        (lambda scene, run: scene.put(f"{run}/baseline/constraints.json", "[]"), "constraints.json is damaged"),
        (lambda scene, run: scene.put(f"{run}/baseline/statistics.json", "{}"), "statistics.json is damaged"),
        (lambda scene, run: scene.put(f"{run}/evaluation/predictions.jsonl", "no"), "predictions.jsonl is not JSON"),
        (lambda scene, run: scene.delete(f"{run}/release.json"), "has no s3://abalone-artifacts/runs/"),
        (lambda scene, run: scene.put(f"{run}/release.json", "{}"), "release.json is damaged"),
        (lambda scene, run: scene.put(f"in-service/{ENDPOINT}.json", "{"), "is damaged"),
    ],
)
def test_refuses_when_a_baseline_is_missing_or_damaged_in_one_line_and_leaves_nothing(scene, capsys, damage, message):
    scene.released()
    scene.captured(animals(150, "like"))
    damage(scene, f"runs/{FIRST}")

    assert scene.run() == 1

    told = capsys.readouterr().err
    assert message in told
    assert told.startswith("monitoring failed: ")
    assert told.count("\n") == 1
    assert scene.names() == []
    assert scene.metrics() == {}


def test_the_reason_of_a_failure_is_what_sagemaker_shows_of_the_job(scene, tmp_path):
    from cdk_ml_release.drift.__main__ import main

    (tmp_path / "output").mkdir()

    status = main(["--scheduled", "soon"], {"ML_BUCKET": BUCKET, "SAGEMAKER_BASE_DIR": str(tmp_path)}, scene.client)

    assert status == 1
    assert (tmp_path / "output/message").read_text() == (
        "the environment has no 'ML_ENDPOINT_NAME': deploy the monitor again"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which window is not said: give --scheduled TIME, or --start TIME and --end TIME"),
        (["--start", "2026-03-01T09:00"], "which window is not said"),
        (["--scheduled", "soon"], "'soon' is not a time: write it like 2026-01-31T13:00:00Z"),
        (["--start", "2026-03-01T09:00", "--end", "2026-03-01T09:00"], "the window must end after it starts"),
    ],
)
def test_refuses_when_the_window_is_not_one(scene, capsys, arguments, message):
    assert scene.run(*arguments, scheduled="") == 1

    assert message in capsys.readouterr().err


@pytest.mark.parametrize("given", ["length", "length=", "length=far", "=1", "length=0", "length=-1", "length=nan"])
def test_refuses_when_the_threshold_of_a_feature_is_none(scene, capsys, given):
    assert scene.run("--threshold", given) == 1

    assert f"must be written FEATURE=VALUE, with a value above 0, got '{given}'" in capsys.readouterr().err


def test_refuses_when_a_setting_is_wrong(scene, capsys):
    from cdk_ml_release.drift.__main__ import main

    environment = {"ML_BUCKET": BUCKET, "ML_ENDPOINT_NAME": ENDPOINT, "ML_ALPHA": "7"}

    assert main(["--scheduled", "2026-03-01T10:20:00Z"], environment, scene.client) == 1
    assert "the monitor's settings are wrong: 'alpha' must be a number from" in capsys.readouterr().err


RMSE = Gate(metric="regression_metrics.rmse.value", comparison="at_most", limit=2.5)


def labelled(scene, ids, error, *, at=START):
    """Labels that are off by ``error`` from a prediction of 10 were collected."""
    lines = [
        json.dumps(
            {
                "groundTruthData": {"data": str(10 + error), "encoding": "CSV"},
                "eventMetadata": {"eventId": each},
                "eventVersion": "0",
            }
        )
        for each in ids
    ]
    scene.put(f"ground-truth/{ENDPOINT}/{at:%Y/%m/%d/%H}/00-{len(scene.names('ground'))}.jsonl", "\n".join(lines))


def test_labels_that_come_two_windows_late_tell_how_good_the_predictions_were(scene, topic):
    scene.released()
    ids = [f"id-{number}" for number in range(120)]
    scene.captured(animals(120, "early"), at=START - timedelta(hours=2), ids=ids, answers=["10"] * 120)
    scene.captured(animals(120, "now"))
    labelled(scene, ids[:50], 3.0)
    arn, messages = topic

    assert scene.run(quality=(RMSE,), topic_arn=arn) == 0

    window = scene.window()
    assert window["labels"] == {"joined": 50, "duplicates": 0, "unknown": 0}
    assert window["quality"]["regression_metrics.rmse.value"] == pytest.approx(3.0)
    metrics = scene.metrics()
    assert (metrics["Labels"], metrics["ModelQuality:regression_metrics.rmse.value"]) == (50, 3.0)
    assert "regression_metrics.rmse.value of the labelled records is 3, which is not at most 2.5" in messages()[0]


def test_labels_that_come_twice_count_once_and_those_of_unknown_requests_never(scene):
    scene.released()
    ids = [f"id-{number}" for number in range(120)]
    scene.captured(animals(120, "now"), ids=ids, answers=["10"] * 120)
    labelled(scene, ids[:5], 1.0, at=START - timedelta(hours=1))
    labelled(scene, [*ids[:10], *ids[8:12], "nobody", "no-one"], 2.0)

    assert scene.run() == 0

    window = scene.window()
    assert window["labels"] == {"joined": 7, "duplicates": 7, "unknown": 2}
    assert window["quality"]["regression_metrics.mae.value"] == 2.0


def test_labels_go_by_the_event_id_where_the_client_gave_no_other(scene):
    scene.released()
    scene.captured(animals(120, "now"), answers=["10"] * 120)
    labelled(scene, ["event-3", "event-4"], 1.0)

    assert scene.run() == 0

    assert scene.window()["labels"]["joined"] == 2


def test_labels_are_not_joined_with_what_is_longer_ago_than_they_may_be_late(scene):
    scene.released()
    scene.captured(animals(20, "old"), at=START - timedelta(days=2), ids=[f"id-{n}" for n in range(20)])
    labelled(scene, ["id-1"], 1.0)

    scene.run(label_days=1)

    assert scene.window("none")["labels"] == {"joined": 0, "duplicates": 0, "unknown": 1}


def test_labels_of_a_version_that_was_replaced_set_off_no_alarm(scene):
    scene.released(FIRST, 1)
    scene.released(SECOND, 2)
    scene.captured(animals(20, "old"), at=START - timedelta(hours=2), ids=[f"id-{n}" for n in range(20)])
    scene.captured(animals(120, "new"), execution=SECOND)
    labelled(scene, ["id-1", "id-2"], 50.0)

    assert scene.run() == 0

    assert scene.window(1)["labels"]["joined"] == 2
    assert scene.window(1)["records"] == 0
    assert not [name for name in scene.metrics() if name.startswith(("ModelQuality", "Labels"))]


def test_what_has_captured_nothing_for_long_may_have_lost_its_run(scene):
    scene.released()
    scene.captured(animals(20, "old"), execution=SECOND, at=START - timedelta(days=9))
    scene.captured(animals(120, "now"), ids=[f"id-{number}" for number in range(120)])
    labelled(scene, ["id-1"], 1.0)

    assert scene.run() == 0

    assert scene.window()["labels"]["joined"] == 1


@pytest.mark.parametrize(
    ("label", "joined", "unknown"),
    [("11\n22\n33", 3, 1), ("11,22,33", 3, 1), ("11\nold\n33", 2, 2), ("11\n22", 0, 4)],
)
def test_labels_of_a_request_of_several_rows_belong_to_its_rows(scene, label, joined, unknown):
    scene.released()
    scene.captured([csv(*animals(3, "several"))], answers=["10\n20\n30"], ids=["three"])
    truth = {"groundTruthData": {"data": label, "encoding": "CSV"}, "eventMetadata": {"eventId": "three"}}
    scene.put(f"ground-truth/{ENDPOINT}/2026/03/01/09/labels.jsonl", f"{json.dumps(truth)}\n\nnot a label\n")

    assert scene.run() == 0

    assert scene.window()["labels"] == {"joined": joined, "duplicates": 0, "unknown": unknown}
    if joined == 3:
        assert scene.window()["quality"]["regression_metrics.mae.value"] == 2.0
