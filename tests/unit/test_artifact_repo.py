"""MlArtifactRepo: the home of one model."""

import pytest
from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from cdk_ml_release import MlArtifactRepo

from .conftest import Template

KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


@pytest.fixture
def user(stack):
    return iam.Role(stack, "User", assumed_by=iam.AccountRootPrincipal())


def test_the_bucket_is_versioned_private_encrypted_and_tells_of_new_objects(stack, repo, template):
    bucket = template(stack).one("AWS::S3::Bucket")

    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"] == [
        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    ]
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}


def test_the_bucket_refuses_requests_without_tls(stack, repo, template):
    (statement,) = template(stack).one("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]

    assert (statement["Effect"], statement["Principal"]) == ("Deny", {"AWS": "*"})
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_old_versions_and_broken_uploads_do_not_stay_for_ever(stack, repo, template):
    (rule,) = template(stack).one("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]

    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_an_image_tag_is_written_once_and_scanned(stack, repo, template):
    images = template(stack).one("AWS::ECR::Repository")

    assert images["ImageTagMutability"] == "IMMUTABLE"
    assert images["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_everything_is_named_after_the_model(stack, repo, template):
    made = template(stack)

    assert made.one("AWS::ECR::Repository")["RepositoryName"] == "abalone"
    assert made.one("AWS::SageMaker::ModelPackageGroup")["ModelPackageGroupName"] == "abalone"


@pytest.mark.parametrize("kind", ["S3::Bucket", "ECR::Repository", "SageMaker::ModelPackageGroup"])
def test_what_a_repo_holds_outlives_its_stack(stack, repo, template, kind):
    (resource,) = [each for each in template(stack).resources.values() if each["Type"] == f"AWS::{kind}"]

    assert KEPT.items() <= resource.items()


def test_a_repo_leaves_with_its_stack_if_it_is_told_to(stack, template):
    MlArtifactRepo(stack, "Repo", model_name="abalone", code="code", removal_policy=RemovalPolicy.DESTROY)

    made = template(stack)
    policies = {each["Type"]: each.get("DeletionPolicy") for each in made.resources.values()}
    assert policies.pop("AWS::S3::BucketPolicy") is None
    assert set(policies.values()) == {"Delete"}
    assert made.one("AWS::ECR::Repository")["EmptyOnDelete"] is True


def test_a_key_encrypts_bucket_and_images(stack, template):
    key = kms.Key(stack, "Key")

    MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=key)

    made = template(stack)
    (rule,) = made.one("AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (key_arn,) = [f"${{{name}.Arn}}" for name in made.all("AWS::KMS::Key")]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    assert rule["BucketKeyEnabled"] is True
    assert made.one("AWS::ECR::Repository")["EncryptionConfiguration"] == {
        "EncryptionType": "KMS",
        "KmsKey": key_arn,
    }


def test_there_is_no_code_repository_unless_one_is_named(stack, repo, template):
    assert template(stack).all("AWS::CodeCommit::Repository") == {}


def test_a_named_code_repository_is_created_and_kept(stack, template):
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", code="abalone-cicd-pipeline")

    (resource,) = [each for each in template(stack).resources.values() if "CodeCommit" in each["Type"]]
    assert resource["Properties"]["RepositoryName"] == "abalone-cicd-pipeline"
    assert KEPT.items() <= resource.items()
    assert repo.code.repository_name == "abalone-cicd-pipeline"


def test_a_code_repository_that_exists_is_taken_as_it_is(stack, template):
    mine = codecommit.Repository.from_repository_name(stack, "Mine", "mine")

    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", code=mine)

    assert repo.code is mine
    assert template(stack).all("AWS::CodeCommit::Repository") == {}


def test_fails_when_code_is_wanted_that_was_not_given(repo):
    with pytest.raises(ValueError, match=r"'code' must be given to the MlArtifactRepo of 'abalone'.*, got None; name"):
        _ = repo.code


def test_the_raw_data_is_under_data_in_the_bucket(repo):
    assert repo.data_bucket is repo.bucket
    assert repo.data_uri == f"s3://{repo.bucket.bucket_name}/data/"


def test_data_may_be_in_a_bucket_that_exists(stack):
    lake = s3.Bucket.from_bucket_name(stack, "Lake", "lake")

    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", data_bucket=lake, data_prefix="sea/abalone/")

    assert repo.data_bucket is lake
    assert repo.data_uri == "s3://lake/sea/abalone/"


def test_a_local_folder_is_copied_to_the_data_prefix(stack, tmp_path, template):
    (tmp_path / "rows.csv").write_text("1,2\n")

    MlArtifactRepo(stack, "Repo", model_name="abalone", data_folder=str(tmp_path))

    made = template(stack)
    copy = made.one("Custom::MlDataFolder")
    (bucket,) = made.all("AWS::S3::Bucket")
    assert (copy["DestinationBucketName"], copy["DestinationBucketKeyPrefix"]) == (f"${{{bucket}}}", "data/")
    (key,) = copy["SourceObjectKeys"]
    assert (made.assembly / f"asset.{key.removesuffix('.zip')}" / "rows.csv").read_text() == "1,2\n"


def test_other_rows_are_copied_again(app, tmp_path):
    keys = []
    for number, rows in enumerate(("1,2\n", "1,3\n", "1,3\n")):
        (tmp_path / "rows.csv").write_text(rows)
        stack = Stack(app, f"Test{number}")
        MlArtifactRepo(stack, "Repo", model_name="abalone", data_folder=str(tmp_path))
        keys.append(stack)
    keys = [Template.of(each).one("Custom::MlDataFolder")["SourceObjectKeys"] for each in keys]

    assert keys[0] != keys[1]
    assert keys[1] == keys[2]


def test_the_function_that_copies_may_write_under_the_data_prefix_only(stack, tmp_path, template):
    MlArtifactRepo(stack, "Repo", model_name="abalone", data_folder=str(tmp_path))

    made = template(stack)
    (bucket,) = made.all("AWS::S3::Bucket")
    assert made.allowed("RepoDataRole", "s3:PutObject") == [f"${{{bucket}.Arn}}/data/*"]
    assert len(made.one("AWS::Lambda::Function")["Code"]["ZipFile"]) < 4096


def test_a_repo_without_a_local_folder_needs_no_function(stack, repo, template):
    assert template(stack).all("AWS::Lambda::Function") == {}


def test_a_relative_folder_is_looked_up_from_where_the_app_runs(stack, tmp_path, monkeypatch):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "rows.csv").write_text("1,2\n")
    monkeypatch.chdir(tmp_path)

    MlArtifactRepo(stack, "Repo", model_name="abalone", data_folder="rows")


def test_readers_of_data_may_list_and_read_under_its_prefix_only(stack, repo, user, template):
    repo.grant_read_data(user)

    made = template(stack)
    (bucket,) = made.all("AWS::S3::Bucket")
    assert made.allowed("User", "s3:GetObject") == [f"${{{bucket}.Arn}}/data/*"]
    (listing,) = [each for each in made.statements("User") if each["Action"] == "s3:ListBucket"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["data/*"]}}


def test_readers_of_data_in_another_bucket_may_decrypt_it(stack, user, template):
    lake = s3.Bucket(stack, "Lake", encryption=s3.BucketEncryption.KMS)
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", data_bucket=lake)

    repo.grant_read_data(user)

    made = template(stack)
    assert [name[:4] for name in made.allowed("User", "s3:GetObject")] == ["${La"]
    assert made.allowed("User", "kms:Decrypt") == [f"${{{name}.Arn}}" for name in made.all("AWS::KMS::Key")]


def test_readers_and_writers_of_an_encrypted_repo_may_use_its_key(stack, user, template):
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(stack, "Key"))

    repo.grant_read_runs(user)
    repo.grant_write(user, "labels/*")

    made = template(stack)
    (key,) = [f"${{{name}.Arn}}" for name in made.all("AWS::KMS::Key")]
    assert made.allowed("User", "kms:GenerateDataKey") == [key]
    assert set(made.allowed("User", "kms:Decrypt")) == {key}


def test_a_writer_may_write_what_matches_its_pattern_only(stack, repo, user, template):
    repo.grant_write(user, "labels/*")

    made = template(stack)
    (bucket,) = made.all("AWS::S3::Bucket")
    assert made.allowed("User", "s3:PutObject") == [f"${{{bucket}.Arn}}/labels/*"]
    assert made.allowed("User", "s3:GetObject") == []


def test_a_grant_to_pull_is_for_this_models_images(stack, repo, user, template):
    granted = repo.grant_pull(user)

    made = template(stack)
    (images,) = made.all("AWS::ECR::Repository")
    assert made.allowed("User", "ecr:BatchGetImage") == [f"${{{images}.Arn}}"]
    assert granted.success


@pytest.mark.parametrize(
    "name", ["", "a", "Abalone", "a_b", "a--b", "-a", "a-", "a.b", "a" * 33, "a-" * 16 + "b", Aws.STACK_NAME]
)
def test_fails_when_the_model_name_is_not_a_name(stack, name):
    with pytest.raises(ValueError, match="'model_name' must be 2 to 32 lower-case letters") as refusal:
        MlArtifactRepo(stack, "Repo", model_name=name)

    assert repr(name) in str(refusal.value)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "code.git", "x" * 101, Aws.STACK_NAME])
def test_fails_when_the_code_repository_cannot_be_called_so(stack, name):
    with pytest.raises(ValueError, match="'code' must be 1 to 100 letters"):
        MlArtifactRepo(stack, "Repo", model_name="abalone", code=name)


@pytest.mark.parametrize("prefix", ["", "data", "/data/", "data//", "a//b/", "a b/", f"{Aws.STACK_NAME}/"])
def test_fails_when_the_data_prefix_is_not_a_prefix(stack, prefix):
    with pytest.raises(ValueError, match="'data_prefix' must be a key prefix that ends with a slash"):
        MlArtifactRepo(stack, "Repo", model_name="abalone", data_prefix=prefix)


def test_fails_when_the_data_folder_is_unknown(stack):
    with pytest.raises(ValueError, match="'data_folder' must be a folder, got 'nowhere'; it is looked up from where"):
        MlArtifactRepo(stack, "Repo", model_name="abalone", data_folder="nowhere")


def test_fails_when_data_is_both_local_and_in_a_bucket(stack, tmp_path):
    lake = s3.Bucket.from_bucket_name(stack, "Lake", "lake")

    with pytest.raises(ValueError, match="cannot be used together with 'data_bucket'"):
        MlArtifactRepo(stack, "Repo", model_name="abalone", data_folder=str(tmp_path), data_bucket=lake)


def test_refuses_a_removal_policy_that_its_resources_do_not_have(stack):
    with pytest.raises(ValueError, match=r"'removal_policy' must be RETAIN, DESTROY .*, got SNAPSHOT, .*; use RETAIN"):
        MlArtifactRepo(stack, "Repo", model_name="abalone", removal_policy=RemovalPolicy.SNAPSHOT)


def test_what_a_failed_creation_made_is_deleted_and_nothing_else(stack, template):
    policy = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    MlArtifactRepo(stack, "Repo", model_name="abalone", removal_policy=policy)

    (bucket,) = (each for each in template(stack).resources.values() if each["Type"] == "AWS::S3::Bucket")
    assert bucket["DeletionPolicy"] == "RetainExceptOnCreate"
