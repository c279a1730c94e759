"""The records that both sides of the wire share."""

import json
import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime import shapes
from cdk_ml_release.runtime.contract import (
    MODEL_NAME_PATTERN,
    BuildRun,
    BuildSettings,
    Gate,
    Manifest,
    ReleaseSettings,
    RunFolder,
    fill,
    job_name,
    run_label,
)

from .samples import MANIFEST, RELEASE_SETTINGS

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
numbers = st.floats(allow_nan=False, allow_infinity=False)
model_names = st.from_regex(MODEL_NAME_PATTERN, fullmatch=True)
tasks = st.sampled_from(["preprocess", "train", "evaluate"])
executions = st.uuids().map(str)
attempts = st.integers(1, 99)
gates = st.builds(Gate, metric=texts, comparison=st.sampled_from(["at_most", "at_least"]), limit=numbers)


@given(model_names, tasks, executions, attempts)
def test_every_job_name_is_one_that_sagemaker_takes(model_name, task, execution, attempt):
    rule = shapes.packaged()["shapes"]["TrainingJobName"]

    name = job_name(model_name, task, execution, attempt)

    assert len(name) <= rule["max"]
    assert re.fullmatch(rule["pattern"], name)


@given(model_names, tasks, st.lists(st.tuples(executions, attempts), min_size=2, max_size=2, unique=True))
def test_jobs_of_other_executions_and_attempts_have_other_names(model_name, task, runs):
    labels = {(run_label(execution), attempt) for execution, attempt in runs}

    assert len({job_name(model_name, task, execution, attempt) for execution, attempt in runs}) == len(labels)


def test_a_job_of_the_same_run_and_attempt_has_the_same_name():
    execution = str(UUID(int=0x4C0F << 112))

    assert job_name("abalone", "train", execution) == "abalone-train-4c0f00000000"
    assert job_name("abalone", "train", execution, 2) == "abalone-train-4c0f00000000-2"


@pytest.mark.parametrize("name", ["a", "abalone", "a1-b2", "a" * 32, "a-" * 15 + "ab"])
def test_a_short_plain_model_name_is_legal(name):
    assert re.fullmatch(MODEL_NAME_PATTERN, name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a--b", "A", "a_b", "a.b", "a\n", "a" * 33, "a-" * 16 + "a", "ä"])
def test_refuses_a_model_name_that_a_job_name_cannot_carry(name):
    assert not re.fullmatch(MODEL_NAME_PATTERN, name)


@given(
    st.builds(
        BuildSettings,
        model_name=model_names,
        bucket=texts,
        data_uri=texts,
        package_group=texts,
        versions_arn=texts,
        gates=st.lists(gates, max_size=3).map(tuple),
        values=st.dictionaries(texts, texts, max_size=3),
    )
)
def test_build_settings_survive_the_trip_through_the_environment(settings):
    assert BuildSettings.from_environment(settings.to_environment()) == settings


@given(
    st.builds(
        BuildRun,
        execution_id=executions,
        image_uri=texts,
        commit=texts,
        data_version=st.just("") | texts,
        model_data=st.just("") | texts,
    )
)
def test_a_run_survives_the_trip_through_the_environment_without_an_empty_variable(run):
    environment = run.to_environment()

    assert "" not in environment.values()
    assert BuildRun.from_environment(environment) == run


@given(
    st.builds(
        ReleaseSettings,
        endpoint_name=texts,
        stack_name=texts,
        bucket=texts,
        parameters=st.dictionaries(texts, texts),
    )
)
def test_release_settings_survive_the_trip_through_the_environment(settings):
    environment = settings.to_environment()

    assert "" not in environment.values()
    assert ReleaseSettings.from_environment(environment) == settings


@pytest.mark.parametrize("name", ["ML_ENDPOINT_NAME", "ML_STACK_NAME", "ML_BUCKET", "ML_PARAMETERS"])
def test_refuses_an_environment_that_lacks_a_setting(name):
    environment = {key: value for key, value in RELEASE_SETTINGS.to_environment().items() if key != name}

    with pytest.raises(KeyError, match=name):
        ReleaseSettings.from_environment(environment)


@given(st.builds(Manifest, metrics=st.dictionaries(texts, numbers, max_size=3)))
def test_a_manifest_survives_the_trip_through_json(manifest):
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert Manifest.from_json(manifest.to_json().encode()) == manifest


def test_a_manifest_of_a_later_version_can_be_read():
    later = json.dumps({**json.loads(MANIFEST.to_json()), "color": "blue"})

    assert Manifest.from_json(later) == MANIFEST


def test_refuses_a_manifest_that_lacks_a_field():
    earlier = {name: value for name, value in json.loads(MANIFEST.to_json()).items() if name != "commit"}

    with pytest.raises(KeyError, match="commit"):
        Manifest.from_json(json.dumps(earlier))


def test_a_run_keeps_its_files_under_its_execution():
    folder = RunFolder(bucket="bucket", execution_id="4c0f")

    assert folder.uri("data/training") == "s3://bucket/runs/4c0f/data/training"
    assert folder.manifest_key == "runs/4c0f/release.json"


@pytest.mark.parametrize(
    ("comparison", "value", "allowed"),
    [
        ("at_most", 2.4, True),
        ("at_most", 2.5, True),
        ("at_most", 2.6, False),
        ("at_least", 2.4, False),
        ("at_least", 2.5, True),
        ("at_least", 2.6, True),
        ("at_most", float("nan"), False),
        ("at_least", float("nan"), False),
        ("at_most", float("inf"), False),
    ],
)
def test_a_gate_allows_what_keeps_its_limit(comparison, value, allowed):
    assert Gate(metric="m", comparison=comparison, limit=2.5).allows(value) is allowed


def test_a_gate_says_its_limit_to_the_last_digit():
    assert str(Gate(metric="a.b", comparison="at_most", limit=2.0)) == "a.b at most 2"
    assert Gate(metric="a.b", comparison="at_least", limit=1234567.25).rule == "at least 1234567.25"


def test_known_placeholders_are_filled_wherever_they_stand():
    document = {"a": ["${Run}/x", {"b": "s3://${Bucket}/${Run}"}], "n": 3, "t": True, "none": None}

    assert fill(document, {"Run": "r1", "Bucket": "b"}) == {
        "a": ["r1/x", {"b": "s3://b/r1"}],
        "n": 3,
        "t": True,
        "none": None,
    }


foreign = st.text() | st.text().map("${{{}}}".format) | st.sampled_from(["${", "$Run", "${Run", "$${X}", "${X.Y}"])
documents = st.recursive(
    foreign | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("${Run}"), inner, max_size=3),
)


@given(documents)
def test_what_is_not_a_known_placeholder_stays_as_it_is(document):
    assert fill(document, {"Known only here": "x"}) == document
