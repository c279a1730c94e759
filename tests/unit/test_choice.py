"""Any version, any time: the pipeline variable that names what is released."""

import pytest
from aws_cdk import aws_codepipeline as codepipeline

from cdk_ml_release import Approval, MlArtifactRepo, MlBuildStage, MlPipeline, SageMakerEndpointRelease, StageInput

from .conftest import GATE


@pytest.fixture
def production(stack, repo):
    return SageMakerEndpointRelease(stack, "Production", repo=repo)


def declared(made, stage):
    """A stage of the only pipeline, as it is declared."""
    pipeline = made.one("AWS::CodePipeline::Pipeline")
    return next(each for each in pipeline["Stages"] if each["Name"] == stage)


def test_an_execution_builds_a_new_model_unless_it_is_told_otherwise(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    (variable,) = template(stack).one("AWS::CodePipeline::Pipeline")["Variables"]
    assert (variable["Name"], variable["DefaultValue"]) == ("ModelVersion", "new")
    assert len(variable["Description"]) <= 200


def test_the_build_is_skipped_when_a_version_is_named(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    (condition,) = declared(template(stack), "Build")["BeforeEntry"]["Conditions"]
    (rule,) = condition["Rules"]
    assert condition["Result"] == "SKIP"
    assert rule["RuleTypeId"]["Provider"] == "VariableCheck"
    assert rule["Configuration"] == {"Variable": "#{variables.ModelVersion}", "Value": "new", "Operator": "EQ"}


def test_nothing_but_the_build_is_skipped(stack, source, build, production, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote"), production])

    made = template(stack)
    assert [stage for stage in made.stages() if "BeforeEntry" in declared(made, stage)] == ["Build"]


def test_nothing_after_the_build_reads_a_variable_that_a_skipped_build_would_not_set(
    stack, source, build, production, template
):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, production, Approval("Promote")])

    stages = template(stack).stages()
    assert list(stages) == ["Source", "Build", "BuildChoice", "Production", "Promote"]
    later = [action for stage in ("BuildChoice", "Production", "Promote") for action in stages[stage].values()]
    build_actions = ("Container", "Preprocess", "Train", "Evaluate")
    assert not [name for name in build_actions if f"#{{Build{name}." in str(later)]


def test_where_an_approval_chooses_no_other_stage_does(stack, source, build, production, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote"), production])

    made = template(stack)
    assert list(made.stages()) == ["Source", "Build", "Promote", "Production"]
    assert made.action_environment("Production", "Prepare")["ML_MANIFEST_KEY"] == "#{PromoteChoose.MANIFEST_KEY}"


def test_a_second_build_has_a_variable_of_its_own(stack, source, template):
    stages = []
    for model in ("age", "sex"):
        repo = MlArtifactRepo(stack, f"{model}Repo", model_name=model)
        stages += [MlBuildStage(stack, model, repo=repo, gate=GATE), Approval(f"{model}Promote")]

    MlPipeline(stack, "Pipeline", source=source, stages=stages)

    made = template(stack)
    variables = made.one("AWS::CodePipeline::Pipeline")["Variables"]
    assert [each["Name"] for each in variables] == ["ModelVersion", "sexModelVersion"]
    assert made.action_environment("agePromote", "Choose")["ML_MODEL_VERSION"] == "#{variables.ModelVersion}"
    assert made.action_environment("sexPromote", "Choose")["ML_MODEL_VERSION"] == "#{variables.sexModelVersion}"


def test_the_choice_may_look_at_the_versions_of_its_own_model_only(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote")])

    (versions,) = template(stack).allowed("BuildJobsRole", "sagemaker:DescribeModelPackage")
    assert versions.endswith(":model-package/abalone/*")


def test_a_pipeline_without_the_variable_releases_what_it_builds(build, production):
    given = StageInput(source=codepipeline.Artifact("Source"), commit="#{Source.CommitId}", build=build)

    actions = production.actions(given)

    assert len(actions) == 3
    assert given.variable("MANIFEST_KEY") == "#{BuildEvaluate.MANIFEST_KEY}"


def test_fails_when_there_is_no_build_to_tell_of():
    given = StageInput(source=codepipeline.Artifact("Source"), commit="#{Source.CommitId}")

    with pytest.raises(ValueError, match="'SUMMARY' must come from an MlBuildStage, got none before"):
        given.variable("SUMMARY")
