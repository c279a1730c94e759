"""What people are told: which model, which stage, and what to do."""

import json

import pytest
from aws_cdk import aws_sns as sns

from cdk_ml_release import Approval, MlPipeline, SageMakerEndpointRelease


@pytest.fixture
def told(stack, source, repo, build, template):
    """A pipeline whose people are told."""
    release = SageMakerEndpointRelease(stack, "Production", repo=repo)
    topic = sns.Topic(stack, "Team")
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote"), release], notify=topic)
    return template(stack)


def rules(made):
    """The rules that tell the topic, by what their logical ids say."""
    found = {}
    for name, rule in made.all("AWS::Events::Rule").items():
        if "Notifications" in name:
            found[name.partition("Notifications")[2][:-8]] = rule
    return found


def test_people_are_told_of_approvals_failures_releases_and_deployments_that_go_wrong(told):
    assert list(rules(told)) == [
        *("ActionFailed", "ApprovalNeeded", "Rejected", "Released"),
        "abaloneproductionDeployment",
    ]


def test_only_this_pipeline_and_this_endpoint_are_told_of(told):
    (pipeline,) = [f"${{{name}}}" for name in told.all("AWS::CodePipeline::Pipeline")]
    *of_pipeline, of_endpoint = [rule["EventPattern"]["detail"] for rule in rules(told).values()]

    assert [detail["pipeline"] for detail in of_pipeline] == [[pipeline]] * 4
    assert of_endpoint["EndpointName"] == ["abalone-production"]
    assert "InService" not in of_endpoint["EndpointStatus"]


def test_every_text_names_the_model_and_fills_in_what_the_event_says(told):
    for rule in rules(told).values():
        (target,) = rule["Targets"]
        transformer = target["InputTransformer"]
        text = json.loads(transformer["InputTemplate"])
        assert text.startswith("Model abalone: ")
        assert "https://${AWS::Region}.console.aws.amazon.com/" in text
        for name in transformer["InputPathsMap"]:
            assert f"<{name}>" in text
            text = text.replace(f"<{name}>", "")
        assert "<" not in text


def test_an_approval_that_is_waited_for_is_no_failure_and_a_rejection_is_told_as_such(told):
    details = {name: rule["EventPattern"]["detail"] for name, rule in rules(told).items()}

    assert details["ActionFailed"]["type"] == {"category": [{"anything-but": ["Approval"]}]}
    assert details["ApprovalNeeded"]["state"] == ["STARTED"]
    assert (details["Rejected"]["state"], details["Rejected"]["type"]) == (["FAILED"], {"category": ["Approval"]})


def test_the_topic_lets_these_rules_in_and_nothing_else(told):
    statements = told.one("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = [arn for each in statements for arn in _listed(each["Condition"]["ArnEquals"]["aws:SourceArn"])]
    names = [name for name in told.all("AWS::Events::Rule") if "Notifications" in name]

    assert sorted(allowed) == sorted(f"${{{name}.Arn}}" for name in names)
    assert {each["Principal"]["Service"] for each in statements} == {"events.amazonaws.com"}
    assert {each["Action"] for each in statements} == {"sns:Publish"}


def _listed(value):
    return value if isinstance(value, list) else [value]


def test_nobody_is_told_by_default(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    assert rules(template(stack)) == {}
