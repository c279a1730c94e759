"""Approval: a person looks at the numbers."""

import pytest
from aws_cdk import Aws
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_sns as sns

from cdk_ml_release import Approval, MlPipeline, StageInput


def test_the_question_tells_what_is_released_and_is_asked_once_that_is_chosen(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote")])

    made = template(stack)
    choice, question = made.stages()["Promote"].values()
    assert (choice["Name"], choice["RunOrder"], choice["Namespace"]) == ("Choose", 1, "PromoteChoose")
    assert made.action_environment("Promote", "Choose") == {
        "ML_TASK": "choose",
        "ML_EXECUTION_ID": "#{codepipeline.PipelineExecutionId}",
        "ML_MODEL_VERSION": "#{variables.ModelVersion}",
    }
    assert (question["ActionTypeId"]["Category"], question["RunOrder"]) == ("Approval", 2)
    assert question["Configuration"]["CustomData"] == "#{PromoteChoose.SUMMARY}"


def test_in_a_pipeline_without_a_variable_the_question_tells_the_metrics_of_the_build(build):
    given = StageInput(source=codepipeline.Artifact("Source"), commit="#{Source.CommitId}", build=build)

    (question,) = Approval("Promote").actions(given)

    assert question.action_properties.action_name == "Approve"
    assert given.variable("SUMMARY") == "#{BuildEvaluate.SUMMARY}"


def test_the_question_leads_to_the_evaluation_of_the_model(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote")])

    made = template(stack)
    link = made.stages()["Promote"]["Approve"]["Configuration"]["ExternalEntityLink"]
    (bucket,) = [name for name in made.all("AWS::S3::Bucket") if name.startswith("Repo")]
    address = f"https://${{AWS::Region}}.console.aws.amazon.com/s3/object/${{{bucket}}}"
    assert link == f"{address}?prefix=#{{PromoteChoose.EVALUATION_KEY}}"


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
