"""Staging here, production in another region of the account: what is there, what stays, and what is refused."""

import json
from pathlib import Path

import pytest
from aws_cdk import App, Environment, RemovalPolicy, Stack, Stage
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from cfnlint.api import lint_file

from cdk_ml_release import (
    Approval,
    Asynchronous,
    MlArtifactRepo,
    MlBuildStage,
    MlPipeline,
    ModelMonitorSchedule,
    QualityGate,
    RealTime,
    SageMakerEndpointRelease,
    Scaling,
    Schema,
    Serverless,
    Shadow,
    Source,
    StageInput,
)
from cdk_ml_release.cost.bill import estimate
from cdk_ml_release.rehearsal.assembly import Assembly, AssemblyError
from cdk_ml_release.runtime.contract import ReleaseSettings

from .conftest import Template, listed, words

ACCOUNT, HOME, THERE = "111111111111", "eu-central-1", "us-east-1"
OTHER = Environment(region=THERE)
GATE = QualityGate.at_most("a.b", 1)
NAME = "abalone-america"
BUCKET = f"{NAME}-{ACCOUNT}-c800b6"
BUCKET_ARN = f"arn:${{AWS::Partition}}:s3:::{BUCKET}"
KEYS = f"arn:${{AWS::Partition}}:kms:{THERE}:${{AWS::AccountId}}:key/*"
ALIAS = f"arn:${{AWS::Partition}}:kms:{THERE}:${{AWS::AccountId}}:alias/{NAME}"
OURS = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
CALLED = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{NAME}"}}


def there(service, resource):
    """The ARN of something in the endpoint's region, as the stack at home names it."""
    return f"arn:${{AWS::Partition}}:{service}:{THERE}:${{AWS::AccountId}}:{resource}"


class TwoRegions:
    """An app with staging beside the pipeline, and production in another region."""

    def __init__(self, app, *, encrypted=True, shown=True, **options):
        self.app = app
        self.stack = Stack(app, "Abalone", env=Environment(account=ACCOUNT, region=HOME))
        self.key = kms.Key(self.stack, "Key", enable_key_rotation=True) if encrypted else None
        self.repo = MlArtifactRepo(self.stack, "Repo", model_name="abalone", encryption_key=self.key)
        self.build = MlBuildStage(self.stack, "Build", repo=self.repo, gate=GATE)
        self.staging = SageMakerEndpointRelease(self.stack, "Staging", repo=self.repo)
        self.america = SageMakerEndpointRelease(self.stack, "America", repo=self.repo, env=OTHER, **options)
        self.pipeline = MlPipeline(
            self.stack,
            "Pipeline",
            source=Source.code_commit("code"),
            stages=[self.build, self.staging, Approval("Promote"), *([self.america] if shown else [])],
            encryption_key=self.key,
        )

    def templates(self):
        """What is deployed at home and there, in words."""
        folder = Path(self.app.synth().directory)
        return [
            Template(words(json.loads((folder / f"{name}.template.json").read_text())["Resources"]), folder)
            for name in ("Abalone", f"{NAME}-home")
        ]

    def given(self):
        return StageInput(source=codepipeline.Artifact("Code"), commit="#{Code.CommitId}", build=self.build)


@pytest.fixture
def two(app):
    return TwoRegions(app)


@pytest.fixture
def made(two):
    return two.templates()


def role(template, name):
    """What a role at home may do, but for keys and lists: action to resources."""
    found = {}
    for each in template.statements(name):
        for action in listed(each["Action"]) if each.get("Condition", OURS) == OURS else ():
            found.setdefault(action, []).extend(listed(each["Resource"]))
    return found


def test_a_stack_there_holds_what_sagemaker_reads_of_a_model(made):
    _, america = made

    assert sorted(each["Type"] for each in america.resources.values()) == [
        "AWS::ECR::Repository",
        "AWS::KMS::Alias",
        "AWS::KMS::Key",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SageMaker::ModelPackageGroup",
    ]
    assert america.one("AWS::S3::Bucket")["BucketName"] == BUCKET
    assert america.one("AWS::ECR::Repository")["RepositoryName"] == NAME
    assert america.one("AWS::SageMaker::ModelPackageGroup")["ModelPackageGroupName"] == NAME
    assert america.one("AWS::KMS::Alias")["AliasName"] == f"alias/{NAME}"


def test_the_bucket_there_is_as_private_as_the_one_at_home(made):
    bucket, at_home = (
        next(each for name, each in template.all("AWS::S3::Bucket").items() if not name.startswith("Pipeline"))
        for template in reversed(made)
    )

    for same in ("OwnershipControls", "PublicAccessBlockConfiguration", "VersioningConfiguration"):
        assert bucket[same] == at_home[same]
    assert "NotificationConfiguration" not in bucket, "no raw data comes there"
    (statement,) = made[1].one("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_bucket_and_images_there_are_encrypted_with_a_key_of_there(made):
    _, america = made
    (key,) = america.all("AWS::KMS::Key")

    assert america.one("AWS::KMS::Key")["EnableKeyRotation"] is True
    (rule,) = america.one("AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == f"${{{key}.Arn}}"
    assert america.one("AWS::ECR::Repository")["EncryptionConfiguration"]["KmsKey"] == f"${{{key}.Arn}}"


def test_without_a_key_at_home_there_is_none_there(app):
    two = TwoRegions(app, encrypted=False)

    home, america = two.templates()

    assert america.all("AWS::KMS::Key") == america.all("AWS::KMS::Alias") == {}
    assert "EncryptionConfiguration" not in america.one("AWS::ECR::Repository")
    assert "kms" not in json.dumps(home.one("AWS::IAM::Role", "AmericaRole"))
    assert "EncryptionKey" not in json.dumps(home.one("AWS::CodePipeline::Pipeline")["ArtifactStores"])


def test_what_the_repo_keeps_is_kept_there_and_what_it_destroys_is_destroyed(app):
    stack = Stack(app, "Abalone", env=Environment(account=ACCOUNT, region=HOME))
    for name, policy in (("kept", RemovalPolicy.RETAIN), ("gone", RemovalPolicy.DESTROY)):
        repo = MlArtifactRepo(stack, name, model_name=name, removal_policy=policy)
        SageMakerEndpointRelease(stack, f"America-{name}", repo=repo, env=OTHER)

    folder = Path(app.synth().directory)
    found = {
        name: {
            each["DeletionPolicy"]
            for each in json.loads((folder / f"{name}-america-{name}-home.template.json").read_text())[
                "Resources"
            ].values()
            if each["Type"] != "AWS::S3::BucketPolicy"
        }
        for name in ("kept", "gone")
    }

    assert found == {"kept": {"Retain"}, "gone": {"Delete"}}


def test_the_longest_name_of_an_endpoint_makes_a_bucket_name_that_s3_takes(app):
    stack = Stack(app, "Abalone", env=Environment(account=ACCOUNT, region=HOME))
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone")

    release = SageMakerEndpointRelease(stack, "America", repo=repo, endpoint_name="a" * 43, env=OTHER)

    assert len(Template.of(release.home_stack).one("AWS::S3::Bucket")["BucketName"]) == 63


def test_the_stack_there_is_deployed_before_the_stack_that_names_what_is_in_it(two, made):
    manifest = json.loads(Path(two.app.outdir, "manifest.json").read_text())["artifacts"]

    assert manifest[f"{NAME}-home"]["environment"] == f"aws://{ACCOUNT}/{THERE}"
    assert f"{NAME}-home" in manifest["Abalone"]["dependencies"]
    assert two.america.home_stack.stack_name == f"{NAME}-home"
    assert two.america.roles_stack is two.staging.home_stack is None


def test_a_pipeline_in_a_stack_of_its_own_waits_for_the_stack_there_too(app):
    two = TwoRegions(app, encrypted=False, shown=False)
    other = Stack(app, "Pipelines", env=Environment(account=ACCOUNT, region=HOME))
    build = MlBuildStage(two.stack, "Again", repo=two.repo, gate=GATE)

    MlPipeline(other, "Pipeline", source=Source.code_commit("code"), stages=[build, two.america])

    assert f"{NAME}-home" in {each.id for each in app.synth().get_stack_by_name("Pipelines").dependencies}


def test_the_roles_are_at_home_and_name_the_region_of_the_endpoint(made):
    home, america = made

    assert america.all("AWS::IAM::Role") == {}
    model = role(home, "AmericaRole")
    assert model["s3:GetObject"] == [f"{BUCKET_ARN}/runs/*"]
    assert model["s3:PutObject"] == [f"{BUCKET_ARN}/capture/*"]
    assert model["ecr:BatchGetImage"] == [there("ecr", f"repository/{NAME}")]
    assert all(f":logs:{THERE}:" in each for each in model["logs:PutLogEvents"])
    deployment = role(home, "AmericaDeploymentRole")
    assert deployment["sagemaker:CreateModel"] == [there("sagemaker", f"model/{NAME}-*")]
    assert deployment["sagemaker:DescribeModelPackage"] == [there("sagemaker", f"model-package/{NAME}/*")]
    assert deployment["cloudwatch:PutMetricAlarm"] == [there("cloudwatch", f"alarm:{NAME}-endpoint-*")]
    for name in ("AmericaRole", "AmericaDeploymentRole"):
        assert "${AWS::Region}" not in json.dumps(home.statements(name))


def test_the_key_there_is_named_by_its_alias_in_every_policy(made):
    home, _ = made

    for name in ("AmericaRole", "AmericaDeploymentRole", "AmericaPrepareRole", "PipelineRole"):
        used = [each for each in home.statements(name) if KEYS in listed(each["Resource"])]
        assert used != []
        assert all(each["Condition"] == CALLED for each in used)
    assert not any("alias/" in json.dumps(each["Resource"]) for each in home.statements("PipelineRole"))


def test_nobody_writes_into_a_bucket_of_that_name_that_is_somebody_elses(app):
    two = TwoRegions(app, hosting=Asynchronous(), scaling=Scaling.on_backlog(maximum=3, per_instance=5))

    home, _ = two.templates()

    found = [
        each
        for name in home.all("AWS::IAM::Role")
        for each in home.statements(name)
        if any(resource.startswith(BUCKET_ARN) for resource in listed(each["Resource"]))
    ]
    assert len(found) > 8
    assert all(each["Condition"]["StringEquals"] == OURS["StringEquals"] for each in found)


def test_the_endpoint_is_told_the_bucket_and_the_key_of_there(made):
    home, _ = made

    told = ReleaseSettings.from_environment(home.environment("AmericaPrepare")).parameters
    assert told["CaptureUri"] == f"s3://{BUCKET}/capture"
    assert told["KmsKeyArn"] == ALIAS


def test_prepare_is_told_where_a_copy_goes_and_may_make_it(made):
    home, _ = made

    settings = ReleaseSettings.from_environment(home.environment("AmericaPrepare"))
    assert (settings.region, settings.region_bucket, settings.region_group) == (THERE, BUCKET, NAME)
    assert settings.region_images == f"${{AWS::AccountId}}.dkr.ecr.{THERE}.${{AWS::URLSuffix}}/{NAME}"
    (images,) = home.all("AWS::ECR::Repository")
    may = role(home, "AmericaPrepareRole")
    assert may["ecr:GetDownloadUrlForLayer"] == [f"${{{images}.Arn}}", there("ecr", f"repository/{NAME}")]
    assert may["ecr:PutImage"] == [there("ecr", f"repository/{NAME}")]
    assert [each for each in may["s3:PutObject"] if "Artifacts" not in each] == [f"{BUCKET_ARN}/runs/*"]
    assert may["sagemaker:CreateModelPackage"] == [
        there("sagemaker", f"model-package-group/{NAME}"),
        there("sagemaker", f"model-package/{NAME}/*"),
    ]
    assert may["cloudformation:DescribeStacks"] == [there("cloudformation", f"stack/{NAME}-endpoint/*")]
    assert not any("*" in listed(each["Resource"]) for each in home.statements("AmericaPrepareRole"))


def test_verify_looks_after_the_endpoint_there_and_records_at_home(made):
    home, _ = made
    bucket = next(name for name in home.all("AWS::S3::Bucket") if name.startswith("Repo"))

    assert ReleaseSettings.from_environment(home.environment("AmericaVerify")).region == THERE
    may = role(home, "AmericaVerifyRole")
    assert may["sagemaker:InvokeEndpoint"] == [there("sagemaker", f"endpoint/{NAME}")]
    assert may["cloudformation:UpdateStack"] == [there("cloudformation", f"stack/{NAME}-endpoint/*")]
    assert may["logs:FilterLogEvents"] == [there("logs", f"log-group:/aws/sagemaker/Endpoints/{NAME}:*")]
    assert [each for each in may["s3:PutObject"] if "Artifacts" not in each] == [
        f"${{{bucket}.Arn}}/in-service/{NAME}.json"
    ]
    assert "ecr:PutImage" not in may


def test_versions_are_approved_at_home_and_there(made):
    home, _ = made

    approved = home.allowed("AmericaPrepareRole", "sagemaker:UpdateModelPackage")
    assert [each.rpartition(":")[2] for each in approved] == ["model-package/abalone/*", f"model-package/{NAME}/*"]


def test_staging_stays_as_it_is_at_home(made):
    home, _ = made

    assert "Region" not in home.stages()["Staging"]["Deploy"]
    assert "ML_REGION" not in home.environment("StagingPrepare")
    assert THERE not in json.dumps([home.statements(f"Staging{each}Role") for each in ("", "Deployment", "Verify")])


def test_cloudformation_deploys_there_with_a_role_of_home(made):
    home, _ = made

    deploy = home.stages()["America"]["Deploy"]
    assert deploy["Region"] == THERE
    assert deploy["Configuration"]["RoleArn"].startswith("${AmericaDeploymentRole")
    assert {name: each.get("Region") for name, each in home.stages()["America"].items()} == {
        "Prepare": None,
        "Deploy": THERE,
        "Verify": None,
    }
    assert home.allowed("PipelineRole", "cloudformation:CreateStack") == [
        "arn:${AWS::Partition}:cloudformation:${AWS::Region}:${AWS::AccountId}:stack/abalone-staging-endpoint/*",
        there("cloudformation", f"stack/{NAME}-endpoint/*"),
    ]


def test_a_shadow_is_deployed_there_too(app):
    two = TwoRegions(app, hosting=RealTime(shadow=Shadow()))

    home, _ = two.templates()

    assert home.stages()["America"]["Shadow"]["Region"] == THERE


def test_the_pipeline_has_a_store_in_either_region_and_may_use_both(made):
    home, _ = made
    own = next(name for name in home.all("AWS::S3::Bucket") if name.startswith("Pipeline"))
    (key,) = home.all("AWS::KMS::Key")

    pipeline = home.one("AWS::CodePipeline::Pipeline")
    assert "ArtifactStore" not in pipeline
    assert pipeline["ArtifactStores"] == [
        {
            "Region": "${AWS::Region}",
            "ArtifactStore": {
                "Type": "S3",
                "Location": f"${{{own}}}",
                "EncryptionKey": {"Id": f"${{{key}.Arn}}", "Type": "KMS"},
            },
        },
        {
            "Region": THERE,
            "ArtifactStore": {"Type": "S3", "Location": BUCKET, "EncryptionKey": {"Id": ALIAS, "Type": "KMS"}},
        },
    ]
    assert home.allowed("PipelineRole", "s3:PutObject") == [f"{BUCKET_ARN}/*", f"${{{own}.Arn}}/*"]


def test_a_stage_that_comes_late_brings_its_store(app):
    two = TwoRegions(app, shown=False)
    two.pipeline.add_stage(two.america)

    home, _ = two.templates()

    pipeline = home.one("AWS::CodePipeline::Pipeline")
    assert "ArtifactStore" not in pipeline
    assert [each["Region"] for each in pipeline["ArtifactStores"]] == ["${AWS::Region}", THERE]
    assert f"{BUCKET_ARN}/*" in home.allowed("PipelineRole", "s3:PutObject")


def test_two_endpoints_of_a_region_have_homes_of_their_own_and_the_pipeline_one_store(two):
    second = SageMakerEndpointRelease(two.stack, "Second", repo=two.repo, env=OTHER)
    two.pipeline.add_stage(second)

    home, _ = two.templates()

    stores = home.one("AWS::CodePipeline::Pipeline")["ArtifactStores"]
    assert [each["ArtifactStore"]["Location"] for each in stores][1:] == [BUCKET]
    assert home.stages()["Second"]["Deploy"]["Region"] == THERE
    assert second.home_stack.stack_name == "abalone-second-home"


def test_endpoints_in_two_other_regions_have_a_store_each(two):
    asia = SageMakerEndpointRelease(two.stack, "Asia", repo=two.repo, env=Environment(region="ap-southeast-1"))
    two.pipeline.add_stage(asia)

    home, _ = two.templates()

    stores = home.one("AWS::CodePipeline::Pipeline")["ArtifactStores"]
    assert [each["Region"] for each in stores] == ["${AWS::Region}", THERE, "ap-southeast-1"]


def test_a_pipeline_without_another_region_has_one_store(app):
    home = Template.of(TwoRegions(app, shown=False).stack)

    assert "ArtifactStores" not in home.one("AWS::CodePipeline::Pipeline")


def test_the_pipeline_as_a_construct_of_cdks_has_the_same_stores(two):
    assert two.pipeline.pipeline is not None

    home, _ = two.templates()

    stores = {
        each["Region"]: each["ArtifactStore"] for each in home.one("AWS::CodePipeline::Pipeline")["ArtifactStores"]
    }
    assert stores.keys() == {HOME, THERE}
    assert stores[THERE] == {"Type": "S3", "Location": BUCKET, "EncryptionKey": {"Id": ALIAS, "Type": "KMS"}}
    assert home.stages()["America"]["Deploy"]["Region"] == THERE
    policy = home.one("AWS::IAM::Policy", "PipelineCodePipelineRole")["PolicyDocument"]["Statement"]
    keys = [each for each in policy if any(action.startswith("kms:") for action in listed(each["Action"]))]
    assert [each["Condition"] for each in keys if each["Resource"] == KEYS] == [CALLED, CALLED]
    assert all(each["Resource"] != "*" for each in keys)
    assert {each.stack_name for each in two.app.synth().stacks} == {"Abalone", f"{NAME}-home"}


def test_without_a_key_the_construct_of_cdks_has_none_in_either_store(app):
    two = TwoRegions(app, encrypted=False)
    assert two.pipeline.pipeline is not None

    home, _ = two.templates()

    stores = {
        each["Region"]: each["ArtifactStore"] for each in home.one("AWS::CodePipeline::Pipeline")["ArtifactStores"]
    }
    assert stores[THERE] == {"Type": "S3", "Location": BUCKET}
    assert "EncryptionKey" not in stores[HOME]


def test_a_stage_for_a_pipeline_of_your_own_works_with_a_store_that_cdk_makes(app):
    two = TwoRegions(app, encrypted=False, shown=False)
    pipeline = codepipeline.Pipeline(two.stack, "Mine", cross_account_keys=False)
    source = Source.code_commit("code").action(two.stack, codepipeline.Artifact("Code"))
    pipeline.add_stage(stage_name="Source", actions=[source])

    pipeline.add_stage(stage_name="America", actions=two.america.actions(two.given()))

    made = two.templates()[0].one("AWS::CodePipeline::Pipeline", "Mine")
    stores = {each["Region"]: each["ArtifactStore"]["Location"] for each in made["ArtifactStores"]}
    assert stores.keys() == {HOME, THERE}
    assert stores[THERE] != BUCKET
    (deploy,) = (each for each in made["Stages"][-1]["Actions"] if each["Name"] == "Deploy")
    assert deploy["Region"] == THERE


def test_a_stage_that_comes_when_the_pipeline_is_cdks_works_with_a_store_that_cdk_makes(app):
    two = TwoRegions(app, encrypted=False, shown=False)
    assert two.pipeline.pipeline is not None

    two.pipeline.add_stage(two.america)

    made = two.templates()[0].one("AWS::CodePipeline::Pipeline")
    assert {each["Region"] for each in made["ArtifactStores"]} == {HOME, THERE}
    assert made["Stages"][-1]["Actions"][1]["Region"] == THERE


def test_a_queue_there_has_its_objects_there(app):
    two = TwoRegions(app, hosting=Asynchronous(), scaling=Scaling.on_backlog(maximum=3, per_instance=5))

    home, _ = two.templates()

    where = f"{BUCKET_ARN}/async/{NAME}"
    assert f"{where}/*" in home.allowed("AmericaRole", "s3:PutObject")
    assert f"{where}/input/*" in home.allowed("AmericaVerifyRole", "s3:PutObject")
    told = ReleaseSettings.from_environment(home.environment("AmericaVerify")).parameters
    assert told["AsyncUri"] == f"s3://{BUCKET}/async/{NAME}"


def test_callers_of_a_queue_there_are_let_into_its_bucket(app):
    two = TwoRegions(app, hosting=Asynchronous())
    client = iam.Role(two.stack, "Client", assumed_by=iam.AccountRootPrincipal())

    two.america.grant_invoke(client)

    home, _ = two.templates()
    assert home.allowed("Client", "sagemaker:InvokeEndpointAsync") == [there("sagemaker", f"endpoint/{NAME}")]
    assert home.allowed("Client", "s3:PutObject") == [f"{BUCKET_ARN}/async/{NAME}/input/*"]


def test_a_serverless_endpoint_may_be_there(app):
    two = TwoRegions(app, hosting=Serverless())

    home, _ = two.templates()

    assert "CaptureUri" not in ReleaseSettings.from_environment(home.environment("AmericaPrepare")).parameters
    assert home.stages()["America"]["Deploy"]["Region"] == THERE


def test_a_client_may_be_let_invoke_the_endpoint_there(two):
    client = iam.Role(two.stack, "Client", assumed_by=iam.AccountRootPrincipal())

    two.america.grant_invoke(client)

    home, _ = two.templates()
    assert home.allowed("Client", "sagemaker:InvokeEndpoint") == [there("sagemaker", f"endpoint/{NAME}")]


def test_metrics_are_those_of_the_other_region(two):
    assert two.america.metric_invocations().region == THERE
    assert two.staging.metric_invocations().region is None


def test_news_of_the_endpoint_there_are_not_promised(app):
    two = TwoRegions(app, shown=False)
    topic = sns.Topic(two.stack, "News")
    build = MlBuildStage(two.stack, "Again", repo=two.repo, gate=GATE)

    MlPipeline(two.stack, "Told", source=Source.code_commit("code"), stages=[build, two.america], notify=topic)

    home, _ = two.templates()
    rules = home.all("AWS::Events::Rule")
    assert any(name.startswith("ToldNotifications") for name in rules)
    assert not any("America" in name for name in rules)


def test_the_dashboard_there_has_no_room_for_a_monitor_that_cannot_be(app):
    stack = Stack(app, "Abalone", env=Environment(account=ACCOUNT, region=HOME))
    schema = Schema(features={"length": "number"}, prediction="age")
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", schema=schema)
    SageMakerEndpointRelease(stack, "Staging", repo=repo)
    SageMakerEndpointRelease(stack, "America", repo=repo, env=OTHER)

    made = Template.of(stack)
    staging, america = (made.document(f"{each}Prepare", "endpoint.template.json") for each in ("Staging", "America"))
    assert "drift" in json.dumps(staging["Resources"]["Dashboard"]).lower()
    assert "drift" not in json.dumps(america["Resources"]["Dashboard"]).lower()


def test_in_a_stage_of_cdks_the_stack_there_is_in_the_same_stage(app):
    stage = Stage(app, "Live", env=Environment(account=ACCOUNT, region=HOME))
    stack = Stack(stage, "Abalone")
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone")

    release = SageMakerEndpointRelease(stack, "America", repo=repo, env=OTHER)

    assert release.home_stack.node.path == f"Live/{NAME}-home"
    assert release.home_stack.account == ACCOUNT


def test_the_own_account_may_be_named_beside_the_region(app):
    stack = Stack(app, "Abalone", env=Environment(account=ACCOUNT, region=HOME))
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone")

    release = SageMakerEndpointRelease(stack, "America", repo=repo, env=Environment(account=ACCOUNT, region=THERE))

    assert release.home_stack.region == THERE
    assert release.roles_stack is None


def test_refuses_a_network_whose_subnets_are_here(app):
    network = Stack(app, "Network", env=Environment(account=ACCOUNT, region=HOME))

    with pytest.raises(ValueError, match=f"another region, {THERE}, cannot be used with 'vpc', whose .*; leave it out"):
        TwoRegions(app, vpc=ec2.Vpc(network, "Vpc", max_azs=1))


def test_refuses_a_monitor_of_an_endpoint_there(app):
    stack = Stack(app, "Abalone", env=Environment(account=ACCOUNT, region=HOME))
    schema = Schema(features={"length": "number"}, prediction="age")
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", schema=schema)
    america = SageMakerEndpointRelease(stack, "America", repo=repo, env=OTHER)

    with pytest.raises(
        ValueError,
        match=f"'endpoint' must be in the region of this stack, got '{NAME}' in {THERE}, .*; define the monitor",
    ):
        ModelMonitorSchedule(stack, "Drift", endpoint=america)


def test_fails_when_the_own_stack_is_in_no_region(stack, repo):
    with pytest.raises(ValueError, match="so must the stack of the release, got no account of"):
        SageMakerEndpointRelease(stack, "America", repo=repo, env=OTHER)


def test_a_rehearsal_of_two_regions_is_refused_by_name(two):
    assembly = Assembly(Path(two.app.synth().directory))

    with pytest.raises(
        AssemblyError,
        match=f"in several regions, '{NAME}-home' in {THERE} and 'Abalone' in {HOME}, and a rehearsal has one: .*"
        "without the 'env' of the release, so that all stages are in one region",
    ):
        assembly.stacks()


def test_what_stands_there_is_priced_there(two):
    priced = estimate(Path(two.app.synth().directory))

    assert priced.regions == [HOME, THERE]
    known = {(line.where, line.item) for line in priced.inventory.lines if line.usd is not None}
    assert (f"{NAME} / AllTraffic", "2 x ml.m5.large, 730 hours") in known
    assert (f"{NAME}-home", "1 x AWS::S3::Bucket with 10 GB") in known
    assert "Abalone" not in {where for where, _ in known}, "the table has no prices of that region"


def test_two_synths_write_the_same_bytes(tmp_path):
    written = []
    for attempt in ("first", "second"):
        TwoRegions(App(outdir=str(tmp_path / attempt), analytics_reporting=False)).app.synth()
        written.append(
            {each.name: each.read_bytes() for each in (tmp_path / attempt).glob("*.json") if "report" not in each.name}
        )

    assert written[0] == written[1]


@pytest.mark.parametrize("as_construct", [False, True], ids=["plain", "construct"])
def test_cfn_lint_finds_nothing_in_either_region(two, as_construct):
    if as_construct:
        assert two.pipeline.pipeline is not None
    folder = Path(two.app.synth().directory)
    templates = [*folder.glob("*.template.json"), *folder.glob("asset.*/endpoint.template.json")]

    assert len(templates) == 4
    assert [str(each) for template in templates for each in lint_file(template)] == []


@pytest.mark.parametrize("as_construct", [False, True], ids=["plain", "construct"])
def test_cdk_nag_finds_nothing_in_either_region(nag, as_construct):
    from aws_cdk import Acknowledgment, Validations

    app = App()
    two = TwoRegions(app)
    if as_construct:
        assert two.pipeline.pipeline is not None
    Validations.of(app).add_plugins(nag.AwsSolutionsChecks(verbose=True))
    Validations.of(app).acknowledge(Acknowledgment(id="AwsSolutions-S1", reason="the account has a trail"))

    app.synth(force=True)
