"""ReleaseStage and StageInput: what a stage of a release is."""

from dataclasses import dataclass, field

import pytest
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions

from cdk_ml_release import MlPipeline, ReleaseStage, StageInput


@dataclass
class LoadTest:
    """A stage of a team's own: no base class, a name and actions are enough."""

    stage_name: str = "LoadTest"
    rolls_back: bool = False
    given: list[StageInput] = field(default_factory=list)

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        self.given.append(given)
        return [actions.ManualApprovalAction(action_name="Watch")]


def test_a_stage_of_a_teams_own_stands_among_the_others(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, LoadTest()])

    assert list(template(stack).stages()["LoadTest"]) == ["Watch"]


def test_a_stage_is_given_the_source_and_the_build_before_it(stack, source, build):
    before, after = LoadTest("Before"), LoadTest("After")

    MlPipeline(stack, "Pipeline", source=source, stages=[before, build, after])

    assert [(given.commit, given.build) for given in before.given + after.given] == [
        ("#{Source.CommitId}", None),
        ("#{Source.CommitId}", build),
    ]
    assert before.given[0].source.artifact_name == "Source"


@pytest.mark.parametrize("rolls_back", [True, False])
def test_a_stage_says_itself_whether_it_is_rolled_back(stack, source, build, template, rolls_back):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, LoadTest(rolls_back=rolls_back)])

    (declared,) = [
        stage for stage in template(stack).one("AWS::CodePipeline::Pipeline")["Stages"] if stage["Name"] == "LoadTest"
    ]
    assert ("OnFailure" in declared) is rolls_back


def test_what_a_stage_must_have_is_written_down(build):
    wanted: ReleaseStage = LoadTest()

    assert {name for name in dir(ReleaseStage) if not name.startswith("_")} <= set(dir(wanted)) & set(dir(build))
