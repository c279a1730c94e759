"""Which events start which pipelines."""

from __future__ import annotations

import pytest

from cdk_ml_release.rehearsal.cloud.events import PatternError, code_pushed, matches, object_created, started_pipelines

ARN = "arn:aws:codepipeline:us-east-1:123456789012:release"
UPLOAD = object_created("lake", "data/new.csv", 12)


def rule(pattern, **properties):
    return {"EventPattern": pattern, "Targets": [{"Arn": ARN, "Id": "1"}], **properties}


def test_an_object_under_the_prefix_starts_the_pipeline():
    pattern = {"source": ["aws.s3"], "detail": {"object": {"key": [{"prefix": "data/"}]}}}

    assert started_pipelines({"new-data": rule(pattern)}, UPLOAD) == [("new-data", "release")]


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["aws.codecommit"]},
        {"detail": {"object": {"key": [{"prefix": "runs/"}]}}},
        {"detail": {"bucket": {"name": ["another"]}}},
        {"detail": {"object": {"version-id": [{"exists": True}]}}},
    ],
)
def test_another_object_starts_nothing(pattern):
    assert started_pipelines({"new-data": rule(pattern)}, UPLOAD) == []


def test_a_rule_that_is_off_starts_nothing():
    assert started_pipelines({"off": rule({"source": ["aws.s3"]}, State="DISABLED")}, UPLOAD) == []


def test_a_push_is_told_by_branch():
    push = code_pushed("model", "arn:aws:codecommit:us-east-1:123456789012:model", "main")

    assert matches({"detail": {"referenceName": ["main"]}}, push)
    assert not matches({"detail": {"referenceName": ["side"]}}, push)


def test_refuses_a_pattern_that_it_cannot_match():
    with pytest.raises(PatternError, match=r"does not know the event pattern .'numeric'"):
        matches({"detail": {"object": {"size": [{"numeric": [">", 1]}]}}}, UPLOAD)
