"""MlPipeline: the stages of a release, in order."""

import pytest
from aws_cdk import Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_ml_release import Approval, MlArtifactRepo, MlBuildStage, MlPipeline, QualityGate, SageMakerEndpointRelease

GATE = QualityGate.at_most("a.b", 1)


@pytest.fixture
def production(stack, repo):
    return SageMakerEndpointRelease(stack, "Production", repo=repo)


def data_rules(made):
    """The rules that wait for new objects."""
    return [each for each in made.all("AWS::Events::Rule").values() if each["EventPattern"]["source"] == ["aws.s3"]]


def test_stages_stand_in_the_order_given(stack, source, build, production, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote"), production])

    assert list(template(stack).stages()) == ["Source", "Build", "Promote", "Production"]


def test_a_stage_may_be_added_later(stack, source, build, production, template):
    pipeline = MlPipeline(stack, "Pipeline", source=source, stages=[build])

    pipeline.add_stage(production)

    assert list(template(stack).stages()) == ["Source", "Build", "BuildChoice", "Production"]


def test_executions_are_queued_in_a_pipeline_of_type_v2(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    pipeline = template(stack).one("AWS::CodePipeline::Pipeline")
    assert (pipeline["PipelineType"], pipeline["ExecutionMode"]) == ("V2", "QUEUED")
    assert pipeline["RestartExecutionOnUpdate"] is False


def test_a_pipeline_has_no_fixed_name(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    assert "Name" not in template(stack).one("AWS::CodePipeline::Pipeline")


def test_a_pipeline_may_be_named(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build], pipeline_name="abalone-release")

    assert template(stack).one("AWS::CodePipeline::Pipeline")["Name"] == "abalone-release"


def test_artifacts_are_private_encrypted_and_gone_after_90_days(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    bucket = template(stack).one("AWS::S3::Bucket", "PipelineArtifacts")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "AES256" in str(bucket["BucketEncryption"])
    assert bucket["LifecycleConfiguration"]["Rules"] == [{"ExpirationInDays": 90, "Status": "Enabled"}]


def test_a_key_encrypts_the_artifacts(stack, source, build, template):
    key = kms.Key(stack, "Key")

    MlPipeline(stack, "Pipeline", source=source, stages=[build], encryption_key=key)

    made = template(stack)
    (key_arn,) = [f"${{{name}.Arn}}" for name in made.all("AWS::KMS::Key")]
    assert key_arn in str(made.one("AWS::S3::Bucket", "PipelineArtifacts")["BucketEncryption"])
    assert made.one("AWS::CodePipeline::Pipeline")["ArtifactStore"]["EncryptionKey"]["Id"] == key_arn
    assert made.one("AWS::CodeBuild::Project", "BuildJobs")["EncryptionKey"] == key_arn


def test_new_data_starts_a_release(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    made = template(stack)
    (rule,) = data_rules(made)
    (bucket,) = [name for name in made.all("AWS::S3::Bucket") if name.startswith("Repo")]
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [f"${{{bucket}}}"]}, "object": {"key": [{"prefix": "data/"}]}},
    }
    assert [target["Arn"].rpartition(":")[2][:10] for target in rule["Targets"]] == ["${Pipeline"]


def test_new_data_elsewhere_starts_a_release_too(stack, source, template):
    lake = s3.Bucket.from_bucket_name(stack, "Lake", "lake")
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", data_bucket=lake, data_prefix="sea/")
    build = MlBuildStage(stack, "Build", repo=repo, gate=GATE)

    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    (rule,) = data_rules(template(stack))
    assert rule["EventPattern"]["detail"] == {"bucket": {"name": ["lake"]}, "object": {"key": [{"prefix": "sea/"}]}}


def test_new_data_need_not_start_a_release(stack, source, build, template):
    MlPipeline(stack, "Pipeline", source=source, stages=[build], starts_on_data=False)

    assert data_rules(template(stack)) == []


def test_one_pipeline_may_release_two_models(stack, source, template):
    stages = []
    for model in ("age", "sex"):
        repo = MlArtifactRepo(stack, f"{model}Repo", model_name=model * 2)
        stages.append(MlBuildStage(stack, f"{model}Build", repo=repo, gate=GATE))
        stages.append(SageMakerEndpointRelease(stack, f"{model}Live", repo=repo))

    MlPipeline(stack, "Pipeline", source=source, stages=stages)

    made = template(stack)
    for model in ("age", "sex"):
        environment = made.action_environment(f"{model}Live", "Prepare")
        assert environment["ML_MANIFEST_KEY"] == f"#{{{model}BuildChoiceChoose.MANIFEST_KEY}}"


def test_a_repo_may_live_in_a_stack_of_its_own(app, stack, source, template):
    home = Stack(app, "Home")
    repo = MlArtifactRepo(home, "Repo", model_name="abalone")
    build = MlBuildStage(stack, "Build", repo=repo, gate=GATE)
    release = SageMakerEndpointRelease(stack, "Production", repo=repo)

    MlPipeline(stack, "Pipeline", source=source, stages=[build, release])

    made = template(stack)
    assert made.all("AWS::ECR::Repository") == {}
    assert "ImportValue" in str(made.one("AWS::CodeBuild::Project", "BuildContainer"))


def test_the_pipeline_itself_is_within_reach(stack, source, build, template):
    pipeline = MlPipeline(stack, "Pipeline", source=source, stages=[build])
    question = actions.ManualApprovalAction(action_name="Ask")

    pipeline.pipeline.add_stage(stage_name="Extra", actions=[question])

    assert list(template(stack).stages()) == ["Source", "Build", "Extra"]


def test_fails_when_two_stages_have_one_name(stack, source, build):
    with pytest.raises(ValueError, match="'stages' must have names of their own, got 'Promote' twice; rename one of"):
        MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote"), Approval("Promote")])


def test_fails_when_a_stage_is_called_as_the_source(stack, source, repo):
    build = MlBuildStage(stack, "Source", repo=repo, gate=GATE)

    with pytest.raises(ValueError, match="'stages' must have names of their own, got 'Source' twice"):
        MlPipeline(stack, "Pipeline", source=source, stages=[build])


def test_fails_when_a_stage_is_in_two_pipelines(stack, source, build):
    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    with pytest.raises(ValueError, match="the stage 'Build' is used twice"):
        MlPipeline(stack, "Another", source=source, stages=[build])


def test_fails_when_an_approval_comes_before_the_build(stack, source, build):
    with pytest.raises(ValueError, match="the approval 'Promote' must come after an MlBuildStage"):
        MlPipeline(stack, "Pipeline", source=source, stages=[Approval("Promote"), build])


def test_fails_when_a_release_comes_before_the_build(stack, source, build, production):
    with pytest.raises(ValueError, match="the release 'Production' must come after an MlBuildStage"):
        MlPipeline(stack, "Pipeline", source=source, stages=[production, build])


@pytest.mark.parametrize("name", ["", "a b", "x" * 101])
def test_fails_when_the_pipeline_cannot_be_called_so(stack, source, build, name):
    with pytest.raises(ValueError, match=r"'pipeline_name' must be 1 to 100 letters, digits and '.@_-'"):
        MlPipeline(stack, "Pipeline", source=source, stages=[build], pipeline_name=name)


def test_fails_at_synth_when_there_are_no_stages(app, stack, source):
    MlPipeline(stack, "Pipeline", source=source)

    with pytest.raises(RuntimeError, match=r"the pipeline has no stages behind its source: pass 'stages' or call add_"):
        app.synth()


def test_fails_at_synth_when_there_are_more_stages_than_code_pipeline_takes(app, stack, source, build):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, *[Approval(f"Ask{number}") for number in range(49)]])

    with pytest.raises(RuntimeError, match="the pipeline must have at most 50 stages, got 51"):
        app.synth()


def test_fails_at_synth_when_a_configuration_value_is_longer_than_code_pipeline_takes(app, stack, source, build):
    pipeline = MlPipeline(stack, "Pipeline", source=source, stages=[build])
    question = actions.ManualApprovalAction(action_name="Ask", additional_information="x" * 1001)

    pipeline.pipeline.add_stage(stage_name="Extra", actions=[question])

    with pytest.raises(RuntimeError, match="'CustomData' of action 'Ask' in stage 'Extra' must be at most 1000 charac"):
        app.synth()


def test_fails_at_synth_when_variables_of_a_build_are_longer_than_code_pipeline_takes(app, stack, source, build):
    pipeline = MlPipeline(stack, "Pipeline", source=source, stages=[build])
    variables = {
        f"VARIABLE{number}": codebuild.BuildEnvironmentVariable(value=f"{stack.region}{'x' * 90}")
        for number in range(9)
    }
    action = actions.CodeBuildAction(
        action_name="Extra",
        project=codebuild.PipelineProject(stack, "Mine"),
        input=codepipeline.Artifact("Source"),
        environment_variables=variables,
    )

    pipeline.pipeline.add_stage(stage_name="Extra", actions=[action])

    with pytest.raises(RuntimeError, match="'EnvironmentVariables' of action 'Extra' in stage 'Extra' must be at most"):
        app.synth()


def test_a_configuration_value_of_a_thousand_characters_passes(app, stack, source, build):
    pipeline = MlPipeline(stack, "Pipeline", source=source, stages=[build])
    question = actions.ManualApprovalAction(action_name="Ask", additional_information="x" * 1000)

    pipeline.pipeline.add_stage(stage_name="Extra", actions=[question])

    app.synth()


def test_the_longest_names_keep_every_configuration_value_within_the_limit(app, stack, source):
    repo = MlArtifactRepo(stack, "Repo", model_name="m" * 32)
    build = MlBuildStage(stack, "b" * 80, repo=repo, gate=GATE)
    release = SageMakerEndpointRelease(stack, "r" * 80, repo=repo, endpoint_name="e" * 43)

    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("a" * 80), release])

    app.synth()


def test_stages_may_all_be_put_on_the_pipeline_itself(app, stack, source):
    pipeline = MlPipeline(stack, "Pipeline", source=source)

    pipeline.pipeline.add_stage(stage_name="Ask", actions=[actions.ManualApprovalAction(action_name="Ask")])

    app.synth()
