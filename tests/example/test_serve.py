"""serve answers with the ages that were evaluated, and tells a client what is wrong with a request."""

import json
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

MEASUREMENTS = [0.455, 0.365, 0.095, 0.514, 0.2245, 0.101, 0.15]
NAMES = ["length", "diameter", "height", "whole_weight", "shucked_weight", "viscera_weight", "shell_weight"]
CSV_ROW = "M," + ",".join(map(str, MEASUREMENTS))
LIST_ROW = ["M", *MEASUREMENTS]
OBJECT_ROW = {"sex": "M", **dict(zip(NAMES, MEASUREMENTS, strict=True))}


@pytest.fixture(scope="session")
def predictions(released):
    lines = released.read("processing/output/evaluation/predictions.jsonl").splitlines()
    return [json.loads(line) for line in lines]


def test_each_evaluated_row_gets_the_evaluated_age_to_the_last_digit(endpoint, predictions):
    answers = [endpoint.ask(row["input"], row["content_type"]) for row in predictions]

    assert answers == [(200, repr(row["prediction"])) for row in predictions]


def test_many_clients_at_once_get_their_own_ages(endpoint, predictions):
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda row: endpoint.ask(row["input"]), predictions * 3))

    assert {status for status, _ in answers} == {200}
    expected = [row["prediction"] for row in predictions * 3]
    assert [float(text) for _, text in answers] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_several_csv_rows_get_one_age_per_line(endpoint, predictions, end):
    rows = predictions[:100]

    status, text = endpoint.ask("\n".join(row["input"] for row in rows) + end)

    assert status == 200
    assert [float(line) for line in text.split("\n")] == pytest.approx([row["prediction"] for row in rows], rel=1e-12)


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [LIST_ROW, LIST_ROW]},
        [LIST_ROW, LIST_ROW],
        {"instances": [OBJECT_ROW] * 2},
        [OBJECT_ROW] * 2,
    ],
)
def test_json_rows_are_lists_or_objects(endpoint, document):
    age = float(endpoint.ask(CSV_ROW)[1])

    status, text = endpoint.ask_json(document)

    assert status == 200
    assert json.loads(text) == {"predictions": pytest.approx([age, age], rel=1e-12)}


def test_the_names_decide_in_an_object_not_the_order(endpoint):
    backwards = dict(reversed(OBJECT_ROW.items()))

    assert endpoint.ask_json([backwards]) == endpoint.ask_json([OBJECT_ROW])


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("text/html, application/json;q=0.9", True),
        ("text/csv", False),
        ("*/*", False),
    ],
)
def test_the_client_chooses_the_form_of_the_answer(endpoint, accept, is_json):
    status, text = endpoint.ask(CSV_ROW, "text/csv; charset=utf-8", Accept=accept)

    assert status == 200
    assert text.startswith('{"predictions": [') == is_json


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("M,0.455,0.365,0.095,0.514,0.2245,0.101", "row 2: column 'shell_weight' is missing"),
        (f"{CSV_ROW},15", "row 2: unexpected value after column 'shell_weight', expected 8 columns, got 9"),
        (
            CSV_ROW.replace("0.095", "tall"),
            "row 2, column 'height': must be a number from 0 to 1000, got 'tall'",
        ),
        (CSV_ROW.replace("0.095", ""), "row 2, column 'height'"),
        (CSV_ROW.replace("0.095", "NaN"), "row 2, column 'height'"),
        (CSV_ROW.replace("0.101", "inf"), "row 2, column 'viscera_weight'"),
        (CSV_ROW.replace("0.15", "-0.15"), "row 2, column 'shell_weight'"),
        (CSV_ROW.replace("0.15", "1_5"), "row 2, column 'shell_weight'"),
        (CSV_ROW.replace("M", "male"), "row 2, column 'sex': must be one of F, I, M, got 'male'"),
        ("", "row 2: column 'sex' is missing"),
    ],
)
def test_refuses_when_a_csv_row_is_malformed(endpoint, row, reason):
    status, text = endpoint.ask(f"{CSV_ROW}\n{row}\n{CSV_ROW}\n")

    assert status == 400
    assert reason in text


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([LIST_ROW[:-1]], "row 1: column 'shell_weight' is missing"),
        ([LIST_ROW, [*LIST_ROW, 15]], "row 2: unexpected value after column 'shell_weight'"),
        ([["M", "0.455", *LIST_ROW[2:]]], "row 1, column 'length': must be a number, got '0.455'"),
        ([{**OBJECT_ROW, "height": True}], "row 1, column 'height': must be a number, got True"),
        ([{**OBJECT_ROW, "height": None}], "row 1, column 'height': must be a number, got None"),
        ([{**OBJECT_ROW, "height": float("nan")}], "row 1, column 'height': must be a number from 0 to 1000"),
        ([{**OBJECT_ROW, "height": 10**400}], "row 1, column 'height': must be a number from 0 to 1000"),
        ([{**OBJECT_ROW, "sex": ["M"]}], "row 1, column 'sex': must be one of F, I, M"),
        ([{**OBJECT_ROW, "rings": 15}], "row 1: unknown column 'rings'"),
        ([{"sex": "M"}], "row 1: column 'length' is missing"),
        ([1], "row 1: must be a list or an object"),
        ({"rows": []}, "the body must be a list of rows"),
        ("text", "the body must be a list of rows"),
        ([], "the request has no rows"),
    ],
)
def test_refuses_when_a_json_row_is_malformed(endpoint, document, reason):
    status, text = endpoint.ask_json(document)

    assert status == 400
    assert reason in text


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        ("", "text/csv", 400, "the request has no rows"),
        (b"\xff\xfe", "text/csv", 400, "the body is not text/csv"),
        ("a" * 200_000, "text/csv", 400, "row 1: field larger than"),
        ("{", "application/json", 400, "the body is not application/json"),
        ("[" * 100_000, "application/json", 400, "the body is not application/json"),
        ("<row/>", "text/xml", 415, "must be text/csv or application/json, got 'text/xml'"),
    ],
)
def test_refuses_when_the_body_is_not_what_it_says(endpoint, body, content_type, status, reason):
    answer = endpoint.ask(body, content_type)

    assert answer[0] == status
    assert reason in answer[1]


def test_refuses_when_the_client_accepts_neither_form(endpoint):
    status, _ = endpoint.ask(CSV_ROW, Accept="text/html")

    assert status == 406


def test_asked_to_stop_it_ends_quickly_and_leaves_no_process(released):
    with released.serve() as endpoint, socket.create_connection(("127.0.0.1", endpoint.port)):
        started = time.monotonic()
        endpoint.process.send_signal(signal.SIGTERM)
        status = endpoint.process.wait(timeout=10)

        assert status == 0
        assert time.monotonic() - started < 5
        assert not group_exists(endpoint.process.pid)


def test_workers_end_with_a_parent_that_is_killed(released):
    with released.serve() as endpoint:
        endpoint.process.kill()
        endpoint.process.wait()

        deadline = time.monotonic() + 5
        while group_exists(endpoint.process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not group_exists(endpoint.process.pid)


def group_exists(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_refuses_when_the_port_is_taken(released, endpoint):
    command = released.command("serve")
    command["env"]["SAGEMAKER_BIND_TO_PORT"] = str(endpoint.port)

    done = subprocess.run(**command, capture_output=True, timeout=30)

    assert done.returncode == 1
    assert done.stderr == f"cannot listen on port {endpoint.port}: Address already in use\n"


def test_refuses_when_there_is_no_model(container):
    done = container.run("serve")

    assert done.returncode == 1
    assert done.stderr.startswith("no model: ")
