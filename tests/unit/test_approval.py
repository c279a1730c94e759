"""Approval: a person looks at the numbers."""

import pytest
from aws_cdk import Aws
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_sns as sns

from cdk_ml_release import Approval, MlPipeline, StageInput


def test_the_question_tells_the_metrics_of_the_build(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote")])

    question = template(stack).stages()["Promote"]["Approve"]
    assert question["ActionTypeId"]["Category"] == "Approval"
    assert question["Configuration"]["CustomData"] == "#{BuildEvaluate.SUMMARY}"


def test_the_question_leads_to_the_evaluation_of_this_execution(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote")])

    made = template(stack)
    link = made.stages()["Promote"]["Approve"]["Configuration"]["ExternalEntityLink"]
    (bucket,) = [name for name in made.all("AWS::S3::Bucket") if name.startswith("Repo")]
    assert link.startswith(f"https://${{AWS::Region}}.console.aws.amazon.com/s3/object/${{{bucket}}}?prefix=runs/")
    assert "#{codepipeline.PipelineExecutionId}/evaluation/evaluation.json" in link


def test_nobody_is_told_by_default(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote")])

    assert "NotificationArn" not in template(stack).stages()["Promote"]["Approve"]["Configuration"]


def test_a_topic_is_told_if_there_is_one(stack, source, build, template):
    topic = sns.Topic(stack, "Releases")

    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote", notify=topic)])

    made = template(stack)
    (arn,) = [f"${{{name}}}" for name in made.all("AWS::SNS::Topic")]
    assert made.stages()["Promote"]["Approve"]["Configuration"]["NotificationArn"] == arn
    assert made.allowed("PipelineRole", "sns:Publish") == [arn]


def test_there_may_be_several(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Team"), Approval("Owner")])

    assert list(template(stack).stages()) == ["Source", "Build", "Team", "Owner"]


def test_fails_when_there_is_nothing_to_approve():
    given = StageInput(source=codepipeline.Artifact("Source"), commit="#{Source.CommitId}")

    with pytest.raises(ValueError, match="the approval 'Promote' must come after an MlBuildStage, got none before it"):
        Approval("Promote").actions(given)


@pytest.mark.parametrize("name", ["", "two words", "a.b", "x" * 81, Aws.STACK_NAME])
def test_fails_when_a_stage_cannot_be_called_so(name):
    with pytest.raises(ValueError, match="'stage_name' must be 1 to 80 letters, digits, '_' and '-' known at synthes"):
        Approval(name)
