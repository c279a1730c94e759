"""Source: where a model's code comes from."""

import pytest
from aws_cdk import Aws
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_s3 as s3

from cdk_ml_release import Approval, MlArtifactRepo, MlBuildStage, MlPipeline, QualityGate, Source

CONNECTION = "arn:aws:codeconnections:us-east-1:111122223333:connection/1f2e"


@pytest.fixture
def declared(stack, build, template):
    """Puts a source into a pipeline and tells its action."""

    def declare(source):
        MlPipeline(stack, "Pipeline", source=source, stages=[build])
        return template(stack).stages()["Source"]["Source"]

    return declare


def test_a_code_commit_source_is_the_main_branch_of_a_named_repository(declared):
    action = declared(Source.code_commit("code"))

    assert action["ActionTypeId"]["Provider"] == "CodeCommit"
    assert action["Configuration"]["RepositoryName"] == "code"
    assert action["Configuration"]["BranchName"] == "main"


def test_a_code_commit_source_may_be_another_branch_of_a_repository_in_the_app(stack, declared):
    repository = codecommit.Repository(stack, "Mine", repository_name="mine")

    action = declared(Source.code_commit(repository, branch="model"))

    assert action["Configuration"]["RepositoryName"].endswith(".Name}")
    assert action["Configuration"]["BranchName"] == "model"


@pytest.mark.parametrize("given", ["a name", "a construct"])
def test_a_code_commit_source_may_be_in_the_home_of_the_model(stack, template, given):
    code = "code" if given == "a name" else codecommit.Repository.from_repository_name(stack, "Mine", "code")
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", code=code)
    build = MlBuildStage(stack, "Build", repo=repo, gate=QualityGate.at_most("a.b", 1))

    MlPipeline(stack, "Pipeline", source=Source.code_commit(repo, branch="model"), stages=[build])

    made = template(stack)
    assert made.stages()["Source"]["Source"]["Configuration"]["RepositoryName"] == "code"
    (mine,) = made.allowed("PipelineRole", "codecommit:GetCommit")
    assert mine.endswith(".Arn}" if given == "a name" else ":code")


def test_fails_when_the_home_of_the_model_has_no_code(repo):
    with pytest.raises(ValueError, match=r"'code' must be given to the MlArtifactRepo of 'abalone'"):
        Source.code_commit(repo)


def test_a_push_to_the_branch_starts_a_release_without_polling(stack, build, template):
    MlPipeline(stack, "Pipeline", source=Source.code_commit("code", branch="model"), stages=[build])

    made = template(stack)
    (rule,) = [each for each in made.all("AWS::Events::Rule").values() if "aws.codecommit" in str(each)]
    assert rule["EventPattern"]["detail"]["referenceName"] == ["model"]
    assert made.stages()["Source"]["Source"]["Configuration"]["PollForSourceChanges"] is False


def test_a_connection_leads_to_a_branch_elsewhere(declared):
    action = declared(Source.connection(CONNECTION, repository="team/model", branch="next"))

    assert action["ActionTypeId"]["Provider"] == "CodeStarSourceConnection"
    assert action["Configuration"]["ConnectionArn"] == CONNECTION
    assert action["Configuration"]["FullRepositoryId"] == "team/model"
    assert action["Configuration"]["BranchName"] == "next"
    assert action["Configuration"].get("DetectChanges", True) is True


def test_a_connection_reads_the_main_branch_by_default(declared):
    action = declared(Source.connection(CONNECTION, repository="team/model"))

    assert action["Configuration"]["BranchName"] == "main"


def test_a_repository_may_be_in_a_subgroup(declared):
    action = declared(Source.connection(CONNECTION, repository="group/team/model"))

    assert action["Configuration"]["FullRepositoryId"] == "group/team/model"


def test_a_connection_may_be_used_by_its_older_and_its_newer_name(stack, build, template):
    source = Source.connection(CONNECTION, repository="team/model")

    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    made = template(stack)
    assert made.allowed("PipelineRole", "codestar-connections:UseConnection") == [CONNECTION]
    assert made.allowed("PipelineRole", "codeconnections:UseConnection") == [CONNECTION]


def test_a_connection_may_be_known_at_deployment_only(declared):
    action = declared(Source.connection(f"arn:aws:{Aws.REGION}", repository="team/model"))

    assert action["Configuration"]["ConnectionArn"] == "arn:aws:${AWS::Region}"


def test_an_archive_in_s3_is_looked_at_by_code_pipeline(stack, declared):
    bucket = s3.Bucket.from_bucket_name(stack, "Code", "code")

    action = declared(Source.s3(bucket, key="model/source.zip"))

    assert action["ActionTypeId"]["Provider"] == "S3"
    assert action["Configuration"]["S3Bucket"] == "code"
    assert action["Configuration"]["S3ObjectKey"] == "model/source.zip"
    assert action["Configuration"]["PollForSourceChanges"] is True


@pytest.mark.parametrize(
    ("source", "variable"),
    [
        (Source.code_commit("code"), "#{Source.CommitId}"),
        (Source.connection(CONNECTION, repository="team/model"), "#{Source.CommitId}"),
    ],
)
def test_the_build_is_told_the_commit(stack, build, template, source, variable):
    MlPipeline(stack, "Pipeline", source=source, stages=[build, Approval("Promote")])

    made = template(stack)
    assert made.stages()["Source"]["Source"]["Namespace"] == "Source"
    assert made.action_environment("Build", "Train")["ML_COMMIT"] == variable


def test_the_build_is_told_the_version_of_an_archive(stack, build, template):
    source = Source.s3(s3.Bucket.from_bucket_name(stack, "Code", "code"), key="source.zip")

    MlPipeline(stack, "Pipeline", source=source, stages=[build])

    assert template(stack).action_environment("Build", "Train")["ML_COMMIT"] == "#{Source.VersionId}"


@pytest.mark.parametrize("branch", ["", " main"])
def test_fails_when_the_branch_has_no_name(branch):
    with pytest.raises(ValueError, match="'branch' must be a name without spaces around it"):
        Source.code_commit("code", branch=branch)


def test_fails_when_the_repository_has_no_name():
    with pytest.raises(ValueError, match="'repository' must be a name without spaces around it, got ''"):
        Source.code_commit("")


@pytest.mark.parametrize("repository", ["model", "/model", "team/"])
def test_fails_when_a_repository_has_no_owner(repository):
    with pytest.raises(ValueError, match=f"'repository' must be '<owner>/<name>', got '{repository}'; add the owner"):
        Source.connection(CONNECTION, repository=repository)


@pytest.mark.parametrize("arn", ["", "my-connection", "arn:aws:codecommit:us-east-1:111122223333:code"])
def test_fails_when_the_connection_is_none(arn):
    with pytest.raises(ValueError, match="'connection_arn' must be the ARN of a connection"):
        Source.connection(arn, repository="team/model")


@pytest.mark.parametrize("key", ["", "model", "/model.zip", "model.tar.gz"])
def test_fails_when_the_archive_is_not_a_zip_file(stack, key):
    bucket = s3.Bucket.from_bucket_name(stack, "Code", "code")

    with pytest.raises(ValueError, match="'key' must name a zip archive"):
        Source.s3(bucket, key=key)
