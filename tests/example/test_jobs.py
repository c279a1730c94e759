"""preprocess, train and evaluate keep SageMaker's contract, and say what is wrong with their input."""

import io
import json
import re
import shutil
import tarfile
from collections import Counter

import pytest

DATA = "processing/input/data/abalone.data"
LABELLED = "M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,15\n"
TRAINING = "input/data/training/abalone.csv"
HYPERPARAMETERS = "input/config/hyperparameters.json"


def sample(rows=60):
    """Rows that differ in age only."""
    return "".join(LABELLED.replace("15\n", f"{age % 20 + 1}\n") for age in range(rows))


def split(container):
    return [container.read(f"processing/output/{name}/abalone.csv") for name in ("training", "testing")]


def test_every_row_is_either_for_training_or_for_testing(released):
    training, testing = (text.splitlines() for text in split(released))

    assert Counter(training + testing) == Counter(released.read(DATA).splitlines())
    assert len(testing) / len(training + testing) == pytest.approx(0.2, abs=0.001)


def test_training_and_testing_hold_the_same_ages(container):
    container.write(DATA, sample(100))

    container.run("preprocess")

    testing = Counter(line.split(",")[-1] for line in split(container)[1].splitlines())
    assert set(testing.values()) == {1}  # five rows of each of twenty ages: one of them is held out
    assert len(testing) == 20


def test_rows_come_from_every_file_and_subfolder(container):
    container.write(DATA, sample(60))
    container.write("processing/input/data/later/2026/labelled.csv", LABELLED.replace("M,", "F,") * 40)
    container.write("processing/input/data/.DS_Store", "not data")

    container.run("preprocess")

    assert sum(text.count("\n") for text in split(container)) == 100


def test_the_seed_chooses_the_split(image, tmp_path, container):
    def split_with(name, **environment):
        one = type(container)(image, tmp_path / name, environment)
        one.write(DATA, "".join(LABELLED.replace("0.15,", f"0.{n},") for n in range(100, 200)))
        assert one.run("preprocess").returncode == 0
        return split(one)

    assert split_with("default") == split_with("again", SEED="42")
    assert split_with("other", SEED="7") != split_with("default-again")


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("0.095", "tall", ", column 'height': must be a number from 0 to 1000, got 'tall'"),
        ("0.101", "nan", ", column 'viscera_weight': must be a number from 0 to 1000, got 'nan'"),
        ("0.514", "-0.514", ", column 'whole_weight': must be a number from 0 to 1000, got '-0.514'"),
        ("M", "W", ", column 'sex': must be one of F, I, M, got 'W'"),
        (",15\n", "\n", ": column 'rings' is missing, expected 9 columns, got 8"),
        (",15\n", ",15,1\n", ": unexpected value after column 'rings', expected 9 columns, got 10"),
        (LABELLED, "\n", ": column 'sex' is missing, expected 9 columns, got 0"),
    ],
)
def test_preprocess_refuses_when_a_row_is_malformed(container, good, bad, reason):
    container.write("processing/input/data/a/good.csv", sample())
    container.write("processing/input/data/b/later.csv", LABELLED + LABELLED.replace(good, bad) + LABELLED)

    done = container.run("preprocess")

    assert (done.returncode, done.stderr) == (1, f"b/later.csv, line 2{reason}\n")
    assert not (container.base / "processing/output").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "no data"), ("", "no data"), ("\n\n", "no data"), (LABELLED, "at least 50, got 1")],
)
def test_preprocess_refuses_when_there_is_too_little_data(container, text, reason):
    if text is not None:
        container.write(DATA, text)

    done = container.run("preprocess")

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert reason in done.stderr


def test_preprocess_refuses_when_a_file_is_not_text(container):
    container.write(DATA, sample())
    (container.base / "processing/input/data/photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")

    done = container.run("preprocess")

    assert (done.returncode, done.stderr) == (1, "photo.jpg: not a text file\n")


def test_training_prints_a_metric_that_a_pattern_can_find(container):
    container.write(TRAINING, sample())
    container.write(HYPERPARAMETERS, json.dumps({"hidden_units": "2", "alpha": "1e1", "max_iter": "50"}))

    done = container.run("train")

    assert re.search(r"^train:rmse=(\d+\.\d+)$", done.stdout, re.MULTILINE)
    assert (container.base / "model/model.joblib").exists()
    assert not (container.base / "output/failure").exists()


@pytest.mark.parametrize(
    ("hyperparameters", "reason"),
    [
        ({"depth": "3"}, "unknown hyperparameter 'depth', known are hidden_units, alpha, max_iter, seed"),
        ({"alpha": "strong"}, "hyperparameter 'alpha' must be a number, at least 0, got 'strong'"),
        ({"hidden_units": "0"}, "hyperparameter 'hidden_units' must be a whole number, at least 1, got '0'"),
    ],
)
def test_training_refuses_when_a_hyperparameter_is_wrong(container, hyperparameters, reason):
    container.write(TRAINING, sample())
    container.write(HYPERPARAMETERS, json.dumps(hyperparameters))

    done = container.run("train")

    assert (done.returncode, done.stderr) == (1, f"{reason}\n")
    assert container.read("output/failure") == reason


def test_training_leaves_a_reason_and_a_traceback_when_it_meets_a_bug(container):
    container.write(TRAINING, sample())
    container.write(HYPERPARAMETERS, "not JSON")

    done = container.run("train")

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert container.read("output/failure").startswith("JSONDecodeError: ")
    assert "\n" not in container.read("output/failure")


def test_the_evaluation_has_the_layout_of_a_model_quality_report(released):
    metrics = json.loads(released.read("processing/output/evaluation/evaluation.json"))["regression_metrics"]

    assert list(metrics) == ["rmse", "mse", "mae", "r2"]
    assert metrics["rmse"]["value"] == pytest.approx(metrics["mse"]["value"] ** 0.5)
    assert metrics["mae"]["value"] < metrics["rmse"]["value"] < 2.5
    assert all(0 < metric["standard_deviation"] < 1 for metric in metrics.values())


def test_each_prediction_stands_beside_the_request_that_asks_for_it(released):
    lines = released.read("processing/output/evaluation/predictions.jsonl").splitlines()

    predictions = [json.loads(line) for line in lines]
    rows = released.read("processing/input/testing/abalone.csv").splitlines()
    assert [prediction["input"] for prediction in predictions] == [row.rpartition(",")[0] for row in rows]
    assert {prediction["content_type"] for prediction in predictions} == {"text/csv"}


@pytest.mark.parametrize("member", [None, "weights.bin", "../../escaped"])
def test_evaluation_refuses_when_there_is_no_model(released, container, member):
    shutil.copytree(released.base / "processing/input/testing", container.base / "processing/input/testing")
    if member:
        (container.base / "processing/input/model").mkdir()
        with tarfile.open(container.base / "processing/input/model/model.tar.gz", "w:gz") as tar:
            tar.addfile(tarfile.TarInfo(member), io.BytesIO())

    done = container.run("evaluate")

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("no model in ")
