"""BatchTransformRelease: a registered model version scores a batch, without an endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from aws_cdk import Acknowledgment, Aws, Duration, Validations
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from cfnlint.api import lint_file

from cdk_ml_release import (
    BatchTransformRelease,
    MlArtifactRepo,
    MlBuildStage,
    MlPipeline,
    QualityGate,
    SageMakerEndpointRelease,
    StageInput,
    TransformJob,
)
from cdk_ml_release.runtime.batch_settings import BatchSettings

ARN = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:"


@pytest.fixture
def batch(stack, repo):
    return BatchTransformRelease(stack, "Scores", repo=repo)


def name_of(made, kind, named):
    (found,) = [name for name in made.all(kind) if name.startswith(named)]
    return found


def settings(made, project="ScoresTransform"):
    return BatchSettings.from_environment(made.environment(project))


def request(made):
    return made.document("ScoresTransform", "transform.json")


def test_the_batch_is_named_after_model_and_stage(batch, stack, template):
    assert batch.batch_name == "abalone-scores"
    assert settings(template(stack)).batch_name == "abalone-scores"


def test_a_name_can_be_chosen(stack, repo):
    assert BatchTransformRelease(stack, "Scores", repo=repo, batch_name="nightly").batch_name == "nightly"


def test_the_input_is_a_prefix_of_the_repos_bucket_by_default(batch, stack, template):
    made = template(stack)

    bucket = name_of(made, "AWS::S3::Bucket", "Repo")
    assert settings(made).input_uri == f"s3://${{{bucket}}}/batch-input/"
    for role in ("ScoresRole", "ScoresTransformRole"):
        assert f"${{{bucket}.Arn}}/batch-input/*" in made.allowed(role, "s3:GetObject")


def test_the_input_may_be_in_another_bucket_with_a_key_of_its_own(stack, repo, template):
    key = kms.Key(stack, "Other")
    bucket = s3.Bucket(stack, "Input", encryption_key=key)

    BatchTransformRelease(stack, "Scores", repo=repo, input_bucket=bucket, input_prefix="new/rows/")

    made = template(stack)
    name = name_of(made, "AWS::S3::Bucket", "Input")
    assert settings(made).input_uri == f"s3://${{{name}}}/new/rows/"
    assert f"${{{name}.Arn}}/new/rows/*" in made.allowed("ScoresRole", "s3:GetObject")
    assert made.allowed("ScoresRole", "kms:Decrypt") == [f"${{{name_of(made, 'AWS::KMS::Key', 'Other')}.Arn}}"]


def test_lines_are_scored_as_many_at_a_time_as_fit_by_default(batch, stack, template):
    document = request(template(stack))

    assert document["TransformInput"]["SplitType"] == "Line"
    assert document["TransformInput"]["ContentType"] == "text/csv"
    assert document["BatchStrategy"] == "MultiRecord"
    assert document["TransformOutput"] == {"S3OutputPath": "${OutputUri}", "AssembleWith": "Line"}
    assert document["TransformResources"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    assert "MaxConcurrentTransforms" not in document


def test_everything_about_the_job_can_be_chosen(stack, repo, template):
    job = TransformJob(
        instance_type="ml.c5.xlarge",
        instance_count=3,
        content_type="application/json",
        accept="application/jsonlines",
        batch_strategy="SingleRecord",
        max_concurrent_transforms=4,
        max_payload_mib=25,
        max_runtime=Duration.hours(2),
        environment={"LEVEL": "2"},
    )

    BatchTransformRelease(stack, "Scores", repo=repo, job=job, max_failed_records=0)

    made = template(stack)
    document = request(made)
    assert document["TransformResources"] == {"InstanceType": "ml.c5.xlarge", "InstanceCount": 3}
    assert document["TransformInput"]["ContentType"] == "application/json"
    assert document["TransformOutput"]["Accept"] == "application/jsonlines"
    assert document["BatchStrategy"] == "SingleRecord"
    assert (document["MaxConcurrentTransforms"], document["MaxPayloadInMB"]) == (4, 25)
    assert document["Environment"]["LEVEL"] == "2"
    assert (settings(made).max_runtime_seconds, settings(made).max_failed_records) == (7200, 0)


def test_an_object_may_be_one_record(stack, repo, template):
    BatchTransformRelease(stack, "Scores", repo=repo, job=TransformJob(split_type="None"))

    document = request(template(stack))
    assert document["TransformInput"]["SplitType"] == "None"
    assert document["TransformOutput"]["AssembleWith"] == "None"
    assert "BatchStrategy" not in document


def test_a_key_encrypts_results_and_volumes(stack, template):
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(stack, "Key"))

    BatchTransformRelease(stack, "Scores", repo=repo)

    made = template(stack)
    key = f"${{{name_of(made, 'AWS::KMS::Key', 'Key')}.Arn}}"
    assert request(made)["TransformOutput"]["KmsKeyId"] == "${KmsKeyArn}"
    assert request(made)["TransformResources"]["VolumeKmsKeyId"] == "${KmsKeyArn}"
    assert settings(made).values["KmsKeyArn"] == key
    assert set(made.allowed("ScoresRole", "kms:GenerateDataKey")) == {key}
    assert made.allowed("ScoresRole", "kms:CreateGrant") == [key]


def test_disks_that_encrypt_themselves_are_given_no_key(stack, template):
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(stack, "Key"))

    BatchTransformRelease(stack, "Scores", repo=repo, job=TransformJob(instance_type="ml.g5.xlarge"))

    document = request(template(stack))
    assert "VolumeKmsKeyId" not in document["TransformResources"]
    assert "KmsKeyId" in document["TransformOutput"]


def test_the_batch_may_touch_its_own_models_jobs_and_folder_only(batch, stack, template):
    made = template(stack)

    bucket = name_of(made, "AWS::S3::Bucket", "Repo")
    folder = f"${{{bucket}.Arn}}/batch/abalone-scores/*"
    assert made.allowed("ScoresTransformRole", "sagemaker:CreateModel") == [f"{ARN}model/abalone-scores-*"]
    for verb in ("Create", "Describe", "Stop"):
        allowed = made.allowed("ScoresTransformRole", f"sagemaker:{verb}TransformJob")
        assert allowed == [f"{ARN}transform-job/abalone-scores-*"]
    record = f"${{{bucket}.Arn}}/in-service/abalone-scores.json"
    assert made.allowed("ScoresTransformRole", "s3:PutObject") == [folder, record]
    assert made.allowed("ScoresRole", "s3:PutObject") == [folder]
    assert made.allowed("ScoresTransformRole", "sagemaker:DeleteModel") == []


def test_the_results_can_be_granted(stack, batch, template):
    reader = iam.Role(stack, "Reader", assumed_by=iam.AccountRootPrincipal())

    granted = batch.grant_read_results(reader)

    made = template(stack)
    bucket = name_of(made, "AWS::S3::Bucket", "Repo")
    assert granted.success
    assert made.allowed("Reader", "s3:GetObject") == [f"${{{bucket}.Arn}}/batch/abalone-scores/*"]


def test_the_model_can_be_granted_something(stack, batch, template):
    features = s3.Bucket(stack, "Features")

    features.grant_read(batch)

    made = template(stack)
    assert f"${{{name_of(made, 'AWS::S3::Bucket', 'Features')}.Arn}}/*" in made.allowed("ScoresRole", "s3:GetObject*")


def test_it_stands_in_a_pipeline_like_an_endpoint_and_is_not_rolled_back(stack, repo, build, source, template):
    batch = BatchTransformRelease(stack, "Scores", repo=repo)

    MlPipeline(stack, "Pipeline", source=source, stages=[build, batch])

    made = template(stack)
    assert list(made.stages()["Scores"]) == ["Transform"]
    given = made.action_environment("Scores", "Transform")
    assert given["ML_EXECUTION_ID"] == "#{codepipeline.PipelineExecutionId}"
    assert given["ML_MANIFEST_KEY"].endswith(".MANIFEST_KEY}")
    (declared,) = [each for each in made.one("AWS::CodePipeline::Pipeline")["Stages"] if each["Name"] == "Scores"]
    assert "OnFailure" not in declared


def test_an_endpoint_and_batches_share_a_pipeline(stack, repo, build, source, template):
    stages = [
        build,
        SageMakerEndpointRelease(stack, "Live", repo=repo),
        BatchTransformRelease(stack, "Nightly", repo=repo),
        BatchTransformRelease(stack, "Backfill", repo=repo, input_prefix="history/"),
    ]

    MlPipeline(stack, "Pipeline", source=source, stages=stages)

    assert {"Live", "Nightly", "Backfill"} <= template(stack).stages().keys()


def test_later_actions_can_read_where_the_results_are(batch):
    assert batch.variable("OUTPUT_URI") == "#{ScoresTransform.OUTPUT_URI}"


def test_fails_when_there_is_nothing_to_release(batch):
    given = StageInput(source=codepipeline.Artifact("Source"), commit="#{Source.CommitId}")

    with pytest.raises(ValueError, match="the release 'Scores' must come after an MlBuildStage, got none before"):
        batch.actions(given)


def test_fails_when_a_stage_is_used_twice(build, batch):
    given = StageInput(source=codepipeline.Artifact("Source"), commit="#{Source.CommitId}", build=build)
    batch.actions(given)

    with pytest.raises(ValueError, match=r"the stage 'Scores' is used twice: .*; define a second BatchTransform"):
        batch.actions(given)


@pytest.mark.parametrize("prefix", ["", "rows", "/rows/", "a//b/", "a b/", Aws.STACK_NAME])
def test_fails_when_the_input_prefix_is_none(stack, repo, prefix):
    with pytest.raises(ValueError, match="'input_prefix' must be a key prefix that ends with a slash, got ") as refusal:
        BatchTransformRelease(stack, "Scores", repo=repo, input_prefix=prefix)

    assert repr(prefix) in str(refusal.value)


def test_fails_when_the_results_would_be_the_input(stack, repo):
    with pytest.raises(ValueError, match=r"'input_prefix' must not be under 'batch/', .* got 'batch/x/'"):
        BatchTransformRelease(stack, "Scores", repo=repo, input_prefix="batch/x/")


@pytest.mark.parametrize("count", [-1, 1001, 0.5, True])
def test_fails_when_the_number_of_failed_records_is_none(stack, repo, count):
    with pytest.raises(ValueError, match="'max_failed_records' must be a whole number from 0 to 1000, got "):
        BatchTransformRelease(stack, "Scores", repo=repo, max_failed_records=count)


@pytest.mark.parametrize("name", ["", "a_b", "-a", "Age", "x" * 44, Aws.STACK_NAME])
def test_fails_when_the_batch_cannot_be_called_so(stack, repo, name):
    with pytest.raises(ValueError, match="'batch_name' must be 1 to 43 small letters, digits and hyphens"):
        BatchTransformRelease(stack, "Scores", repo=repo, batch_name=name)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"instance_type": "m5.large"}, "'instance_type' must be a SageMaker instance type"),
        ({"instance_count": 101}, "'instance_count' must be a whole number from 1 to 100, got 101"),
        ({"split_type": "RecordIO"}, "'split_type' must be 'Line' or 'None', got 'RecordIO'"),
        ({"batch_strategy": "Many"}, "'batch_strategy' must be 'MultiRecord' or 'SingleRecord', got 'Many'"),
        ({"max_payload_mib": 0}, "'max_payload_mib' must be a whole number from 1 to 100, got 0"),
        (
            {"max_payload_mib": 50, "max_concurrent_transforms": 3},
            "'max_concurrent_transforms' must be a whole number from 1 to 2, got 3",
        ),
        ({"max_runtime": 3600}, "'max_runtime' must be a Duration"),
        ({"environment": {"ML_INPUTS": "1"}}, "'environment' must not set 'ML_INPUTS'"),
        ({"content_type": Aws.STACK_NAME}, "'content_type' must be known at synthesis"),
    ],
)
def test_fails_when_sagemaker_would_refuse_the_job(chosen, message):
    with pytest.raises(ValueError, match=message):
        TransformJob(**chosen)


def test_fails_when_a_run_is_longer_than_the_build_that_waits_for_it():
    with pytest.raises(ValueError, match="'max_runtime' must be from 1 to 126000 seconds, got 129600 seconds"):
        TransformJob(max_runtime=Duration.hours(36))


def test_fails_when_the_rendered_request_is_one_that_sagemaker_refuses(stack, repo):
    job = TransformJob(environment={f"KEY{number}": "1" for number in range(15)})

    with pytest.raises(
        ValueError, match="'job' makes a request that SageMaker refuses: Environment must be at most 16"
    ):
        BatchTransformRelease(stack, "Scores", repo=repo, job=job)


# --- what AWS's own checkers find in an app that ends in a batch -----------------------------------

ACCEPTED = {
    "AwsSolutions-S1": "where access logs go is a decision of the account",
    "AwsSolutions-CB4": "the app gives no key of its own",
}


def plain(stack):
    return MlArtifactRepo(stack, "Repo", model_name="abalone"), None


def encrypted(stack):
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    bucket = s3.Bucket(stack, "Input", encryption_key=key, enforce_ssl=True)
    return MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=key), bucket


def ends_in_a_batch(stack, define, source):
    repo, bucket = define(stack)
    build = MlBuildStage(stack, "Build", repo=repo, gate=QualityGate.at_most("a.b", 1))
    batch = BatchTransformRelease(stack, "Scores", repo=repo, input_bucket=bucket)
    MlPipeline(stack, "Pipeline", source=source, stages=[build, batch])


@pytest.mark.parametrize("define", [plain, encrypted], ids=lambda each: each.__name__)
def test_cfn_lint_finds_nothing(app, stack, source, define):
    ends_in_a_batch(stack, define, source)

    templates = list(Path(app.synth().directory).glob("*.template.json"))
    assert [str(each) for template in templates for each in lint_file(template)] == []


@pytest.mark.parametrize("define", [plain, encrypted], ids=lambda each: each.__name__)
def test_cdk_nag_finds_nothing_but_what_the_author_of_an_app_chooses(nag, app, stack, source, define):
    ends_in_a_batch(stack, define, source)
    Validations.of(app).add_plugins(nag.AwsSolutionsChecks(verbose=True))

    Validations.of(app).acknowledge(*[Acknowledgment(id=rule, reason=reason) for rule, reason in ACCEPTED.items()])

    app.synth(force=True)
