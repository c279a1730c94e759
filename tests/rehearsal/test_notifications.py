"""What people are told while a pipeline runs, as far as the pipeline tells of it."""

from __future__ import annotations

from moto.sns.models import sns_backends

from cdk_ml_release.rehearsal.cloud.events import told_targets

RULES = {
    "A": {
        "EventPattern": {"source": ["aws.codepipeline"], "detail": {"type": {"category": [{"anything-but": ["X"]}]}}},
        "Targets": [
            {
                "Arn": "arn:aws:sns:us-east-1:1:team",
                "InputTransformer": {
                    "InputPathsMap": {"id": "$.detail.execution-id", "gone": "$.detail.no.such"},
                    "InputTemplate": '"<id> failed<gone>"',
                },
            },
            {"Arn": "arn:aws:sns:us-east-1:1:log"},
            {"Arn": "arn:aws:codepipeline:us-east-1:1:other"},
        ],
    },
    "B": {"EventPattern": {"source": ["aws.s3"]}, "Targets": [{"Arn": "arn:aws:sns:us-east-1:1:never"}]},
}


def event(category):
    return {"source": "aws.codepipeline", "detail": {"type": {"category": category}, "execution-id": "42"}}


def test_a_topic_is_told_the_text_of_its_rule_or_the_whole_event():
    (_, one, text), (_, other, whole), _ = told_targets(RULES, event("Build"))

    assert (one["Arn"], text) == ("arn:aws:sns:us-east-1:1:team", "42 failed")
    assert (other["Arn"], '"execution-id": "42"' in whole) == ("arn:aws:sns:us-east-1:1:log", True)


def test_nobody_is_told_what_no_rule_matches():
    assert told_targets(RULES, event("X")) == []


def test_people_are_told_what_to_do(stage):
    with stage(variant="told") as show:
        show.begin()
        show.release(1, approve="no")
        show.push({"train": "#!/bin/sh\nexit 1\n"})
        gateway = show.rehearsal.gateway
        (topic,) = sns_backends[gateway.account][gateway.region].topics.values()
        told = [message for _, message, *_ in topic.sent_notifications]
        (pipeline,) = show.rehearsal.walkers

    waits, released, again, rejected, failed = told
    assert waits.startswith("Model tiny: stage Promote waits for your approval. Compare the metrics")
    assert f"pipelines/{pipeline}/view" in waits
    assert released.startswith(f"Model tiny: pipeline {pipeline} has released it and checked it in service.")
    assert again == waits
    assert rejected.startswith("Model tiny: the approval in stage Promote was rejected")
    assert failed.startswith("Model tiny: action Train of stage Build failed. The last line of its log tells why")
    assert failed.endswith(f"/executions/{show.releases[-1].id}")
