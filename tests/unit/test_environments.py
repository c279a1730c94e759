"""Staging here, production in another account: what is shared, with whom, and what is refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

import aws_cdk
import pytest
from aws_cdk import Acknowledgment, App, Aws, Environment, Stack, Validations
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from cfnlint.api import lint_file

import cdk_ml_release
from cdk_ml_release import (
    Approval,
    Asynchronous,
    MlArtifactRepo,
    MlBuildStage,
    MlPipeline,
    QualityGate,
    SageMakerEndpointRelease,
    Scaling,
    Serverless,
    Source,
    StageInput,
)
from cdk_ml_release.rehearsal.assembly import Assembly, AssemblyError
from cdk_ml_release.runtime.contract import ReleaseSettings

from .conftest import Template, listed, words

HOME, THERE = "111111111111", "222222222222"
OTHER = Environment(account=THERE)
GATE = QualityGate.at_most("a.b", 1)
ROLE = f"arn:aws:iam::{THERE}:role/abalone-production"
ELSEWHERE = {"_other_place", "_target_environment", "_sharing", "_region_home"}
AT_HOME = {"StringEquals": {"aws:ResourceAccount": HOME}}


def home_stack(app, **options):
    return Stack(app, "Abalone", env=Environment(account=HOME, region="eu-central-1"), **options)


class TwoAccounts:
    """An app with staging beside the pipeline, and production in another account."""

    def __init__(self, app, **options):
        self.app = app
        self.stack = home_stack(app)
        self.key = kms.Key(self.stack, "Key", enable_key_rotation=True)
        self.repo = MlArtifactRepo(self.stack, "Repo", model_name="abalone", encryption_key=self.key)
        self.build = MlBuildStage(self.stack, "Build", repo=self.repo, gate=GATE)
        self.staging = SageMakerEndpointRelease(self.stack, "Staging", repo=self.repo)
        self.production = SageMakerEndpointRelease(self.stack, "Production", repo=self.repo, env=OTHER, **options)
        self.pipeline = MlPipeline(
            self.stack,
            "Pipeline",
            source=Source.code_commit("code"),
            stages=[self.build, self.staging, Approval("Promote"), self.production],
            encryption_key=self.key,
        )

    def templates(self):
        """What is deployed at home and there, in words."""
        folder = Path(self.app.synth().directory)
        return [
            Template(words(json.loads((folder / f"{name}.template.json").read_text())["Resources"]), folder)
            for name in ("Abalone", "abalone-production-roles")
        ]


@pytest.fixture
def two(app):
    return TwoAccounts(app)


@pytest.fixture
def made(two):
    return two.templates()


def statements_for(document, role):
    return [each for each in document["Statement"] if each.get("Principal") == {"AWS": f"{ROLE}-{role}"}]


def trust(template, name):
    role = template.one("AWS::IAM::Role", name)
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    return statement


def test_the_roles_are_in_the_other_account_and_everything_else_at_home(made):
    home, there = made

    assert {resource["Type"] for resource in there.resources.values()} == {"AWS::IAM::Role"}
    assert sorted(role["RoleName"] for role in there.all("AWS::IAM::Role").values()) == [
        "abalone-production-deployment",
        "abalone-production-model",
        "abalone-production-pipeline",
        "abalone-production-release",
    ]
    assert [name for name in home.all("AWS::IAM::Role") if name.startswith("ProductionDeploymentRole")] == []
    assert len(home.all("AWS::CodeBuild::Project")) == 6


def test_the_roles_are_deployed_before_the_policies_that_name_them(two, made):
    manifest = json.loads(Path(two.app.outdir, "manifest.json").read_text())["artifacts"]

    assert manifest["abalone-production-roles"]["environment"] == f"aws://{THERE}/eu-central-1"
    assert "abalone-production-roles" in manifest["Abalone"]["dependencies"]


def test_cloudformation_deploys_there_with_roles_that_are_there(made):
    home, _ = made

    deploy = home.stages()["Production"]["Deploy"]
    assert deploy["RoleArn"] == f"{ROLE}-pipeline"
    assert deploy["Configuration"]["RoleArn"] == f"{ROLE}-deployment"
    assert home.allowed("PipelineRole", "sts:AssumeRole") == [f"{ROLE}-pipeline"]


def test_staging_stays_as_it_is_in_one_account(made):
    home, _ = made

    deploy = home.stages()["Staging"]["Deploy"]
    assert "RoleArn" not in deploy
    assert "ML_TARGET_ROLE" not in home.environment("StagingPrepare")
    assert home.allowed("StagingPrepareRole", "sts:AssumeRole") == []


def test_prepare_and_verify_stay_and_act_there_by_a_role_that_trusts_them_only(made):
    home, there = made

    assert trust(there, "EndpointReleaseRole") == {
        "Action": "sts:AssumeRole",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:${{AWS::Partition}}:iam::{HOME}:root"},
        "Condition": {
            "ArnEquals": {
                "aws:PrincipalArn": [
                    f"arn:aws:iam::{HOME}:role/abalone-production-{each}" for each in ("prepare", "verify")
                ]
            }
        },
    }
    for program in ("Prepare", "Verify"):
        settings = ReleaseSettings.from_environment(home.environment(f"Production{program}"))
        assert settings.target_role == f"{ROLE}-release"
        role = home.one("AWS::IAM::Role", f"Production{program}Role")
        assert role["RoleName"] == f"abalone-production-{program.lower()}"
        assert home.allowed(f"Production{program}Role", "sts:AssumeRole") == [f"{ROLE}-release"]
        assert home.allowed(f"Production{program}Role", "cloudformation:DescribeStacks") == []


def test_the_registry_is_asked_at_home(made):
    home, there = made

    assert len(home.allowed("ProductionPrepareRole", "sagemaker:UpdateModelPackage")) == 1
    assert there.allowed("EndpointReleaseRole", "sagemaker:UpdateModelPackage") == []


def test_the_endpoint_is_told_the_model_role_that_is_there(made):
    home, _ = made

    told = ReleaseSettings.from_environment(home.environment("ProductionPrepare")).parameters
    assert told["ModelRoleArn"] == f"{ROLE}-model"


def test_the_bucket_lets_the_model_read_runs_and_write_what_is_captured(made):
    home, _ = made

    bucket = home.one("AWS::S3::BucketPolicy", "Repo")
    found = {
        action: each["Resource"]
        for each in statements_for(bucket["PolicyDocument"], "model")
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    (name,) = [each for each in home.all("AWS::S3::Bucket") if each.startswith("Repo")]
    assert found == {
        "s3:ListBucket": f"${{{name}.Arn}}",
        "s3:GetObject": f"${{{name}.Arn}}/runs/*",
        "s3:PutObject": f"${{{name}.Arn}}/capture/*",
        "s3:AbortMultipartUpload": f"${{{name}.Arn}}/capture/*",
    }
    assert statements_for(bucket["PolicyDocument"], "deployment") == []


def test_the_key_lets_each_role_do_its_own(made):
    home, _ = made

    policy = home.one("AWS::KMS::Key")["KeyPolicy"]
    found = {
        role: {
            action
            for each in statements_for(policy, role)
            for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
        }
        for role in ("model", "deployment", "pipeline", "release")
    }
    assert found == {
        "model": {"kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant", "kms:DescribeKey"},
        "deployment": {"kms:CreateGrant", "kms:DescribeKey"},
        "pipeline": {"kms:Decrypt", "kms:DescribeKey"},
        "release": set(),
    }


def test_images_are_for_the_model_and_for_sagemaker_on_behalf_of_that_account(made):
    home, _ = made

    model, service = home.one("AWS::ECR::Repository")["RepositoryPolicyText"]["Statement"]
    assert model["Principal"] == {"AWS": f"{ROLE}-model"}
    assert service["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert service["Condition"] == {"StringEquals": {"aws:SourceAccount": THERE}}
    assert model["Action"] == service["Action"]
    assert not any(action.startswith("ecr:Put") for action in model["Action"])


def test_versions_are_for_the_role_that_makes_models_of_them(made):
    home, _ = made

    (statement,) = home.one("AWS::SageMaker::ModelPackageGroup")["ModelPackageGroupPolicy"]["Statement"]
    assert statement["Principal"] == {"AWS": f"{ROLE}-deployment"}
    assert statement["Action"] == ["sagemaker:DescribeModelPackage", "sagemaker:CreateModel"]
    assert [each.rpartition(":")[2] for each in listed(statement["Resource"])] == ["model-package/abalone/*"]


def test_two_other_accounts_are_both_let_in(two):
    third = Environment(account="333333333333")
    release = SageMakerEndpointRelease(two.stack, "Asia", repo=two.repo, env=third)
    two.pipeline.add_stage(release)

    home, _ = two.templates()
    statements = home.one("AWS::SageMaker::ModelPackageGroup")["ModelPackageGroupPolicy"]["Statement"]
    assert [each["Principal"]["AWS"].split(":")[4] for each in statements] == [THERE, "333333333333"]


def test_what_the_roles_there_cannot_name_is_bound_to_the_home_account(made):
    _, there = made
    wide = [
        statement
        for role in ("EndpointRole", "EndpointDeploymentRole", "EndpointPipelineRole", "EndpointReleaseRole")
        for statement in there.statements(role)
        for resource in ([statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"])
        if resource.startswith("arn:aws:s3:::*")
    ]

    assert len(wide) == 5
    assert all(AT_HOME.items() <= {key: each["Condition"][key] for key in AT_HOME}.items() for each in wide)
    assert there.allowed("EndpointRole", "s3:GetObject") == ["arn:aws:s3:::*/runs/*"]
    assert there.allowed("EndpointRole", "s3:PutObject") == ["arn:aws:s3:::*/capture/*"]
    assert there.allowed("EndpointRole", "kms:CreateGrant") == [f"arn:aws:kms:eu-central-1:{HOME}:key/*"]
    assert there.allowed("EndpointDeploymentRole", "sagemaker:DescribeModelPackage") == [
        f"arn:aws:sagemaker:eu-central-1:{HOME}:model-package/abalone/*"
    ]


def test_the_pipelines_role_there_can_deploy_one_stack_with_one_role(made):
    _, there = made

    stack = "arn:${AWS::Partition}:cloudformation:${AWS::Region}:${AWS::AccountId}:stack/abalone-production-endpoint/*"
    assert there.allowed("EndpointPipelineRole", "cloudformation:CreateStack") == [stack]
    assert there.allowed("EndpointPipelineRole", "cloudformation:DeleteStack") == []
    (passed,) = there.allowed("EndpointPipelineRole", "iam:PassRole")
    assert passed.startswith("${EndpointDeploymentRole")


def test_a_queue_there_has_its_objects_in_the_bucket_at_home(app):
    home, there = TwoAccounts(
        app, hosting=Asynchronous(), scaling=Scaling.on_backlog(maximum=3, per_instance=5)
    ).templates()

    policy = home.one("AWS::S3::BucketPolicy", "Repo")["PolicyDocument"]
    shared = json.dumps(statements_for(policy, "model"))
    assert "/async/abalone-production/input/*" in shared
    assert "capture" not in shared
    assert "arn:aws:s3:::*/async/abalone-production/*" in there.allowed("EndpointRole", "s3:PutObject")
    assert any(
        "/async/abalone-production/input/*" in each for each in home.allowed("ProductionVerifyRole", "s3:PutObject")
    )
    assert there.allowed("EndpointReleaseRole", "sagemaker:InvokeEndpointAsync") != []


def test_metrics_are_those_of_the_other_account(two):
    assert two.production.metric_invocations().account == THERE
    assert two.staging.metric_invocations().account is None


def test_an_imported_key_keeps_its_policy(app):
    stack = home_stack(app)
    arn = f"arn:aws:kms:eu-central-1:{HOME}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    key = kms.Key.from_key_arn(stack, "Key", arn)
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=key)

    SageMakerEndpointRelease(stack, "Production", repo=repo, env=OTHER)

    assert Template.of(stack).all("AWS::KMS::Key") == {}


def test_a_client_of_the_other_account_may_be_let_invoke(two):
    elsewhere = Stack(two.app, "Shop", env=Environment(account=THERE, region="eu-central-1"))
    client = iam.Role(elsewhere, "Client", assumed_by=iam.AccountRootPrincipal())

    two.production.grant_invoke(client)

    assert Template.of(elsewhere).allowed("Client", "sagemaker:InvokeEndpoint") == [
        "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/abalone-production"
    ]


@pytest.mark.parametrize(
    "env", [Environment(account=HOME), Environment(region="eu-central-1"), Environment()], ids=["account", "region", ""]
)
def test_the_own_account_is_no_other_one(app, env):
    stack = home_stack(app)
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone")

    release = SageMakerEndpointRelease(stack, "Production", repo=repo, env=env)

    assert release.roles_stack is None
    assert [each.node.id for each in app.node.children] == ["Abalone"]


def test_two_releases_in_one_account_have_names_and_limits_of_their_own(app):
    stack = home_stack(app)
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone")
    limits = Scaling.on_invocations(minimum=2, maximum=8, per_instance_per_minute=600)

    SageMakerEndpointRelease(stack, "Staging", repo=repo)
    SageMakerEndpointRelease(stack, "Production", repo=repo, scaling=limits)

    made = Template.of(stack)
    staging, production = (
        made.document(f"{each}Prepare", "endpoint.template.json") for each in ("Staging", "Production")
    )
    assert "ScalableTarget" not in staging["Resources"]
    assert production["Resources"]["ScalableTarget"]["Properties"]["MaxCapacity"] == 8


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (
            Environment(account=THERE, region="us-east-1"),
            f"'env' must be in another account or in another region than the release, {HOME} in eu-central-1, got "
            f"both, {THERE} in us-east-1; leave out 'account' or 'region', or define another MlPipeline",
        ),
        (Environment(account=Aws.ACCOUNT_ID), "got no account of 'env' known at synthesis; .* 'cdk bootstrap'"),
        (Environment(region=Aws.REGION), "got no region of 'env' known at synthesis; give both an aws_cdk.Environment"),
    ],
    ids=["other account and region", "account is a token", "region is a token"],
)
def test_refuses_an_environment_that_it_cannot_release_to(app, env, message):
    stack = home_stack(app)
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(stack, "Key"))

    with pytest.raises(ValueError, match=message):
        SageMakerEndpointRelease(stack, "Production", repo=repo, env=env)


def test_fails_when_the_own_stack_is_in_no_account(stack, repo):
    env = Environment(account=THERE, region="eu-central-1")

    with pytest.raises(ValueError, match="so must the stack of the release, got no account of the stack"):
        SageMakerEndpointRelease(stack, "Production", repo=repo, env=env)


def test_fails_when_the_model_has_no_key_to_share(app):
    stack = home_stack(app)
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone")

    with pytest.raises(
        ValueError, match=r"got an MlArtifactRepo 'abalone' without 'encryption_key': .*; give MlArtifact"
    ):
        SageMakerEndpointRelease(stack, "Production", repo=repo, env=OTHER)


def test_fails_when_the_pipelines_artifacts_have_no_key_to_share(app):
    stack = home_stack(app)
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(stack, "Key"))
    build = MlBuildStage(stack, "Build", repo=repo, gate=GATE)
    production = SageMakerEndpointRelease(stack, "Production", repo=repo, env=OTHER)

    with pytest.raises(ValueError, match="'encryption_key' must be given to the MlPipeline that releases 'Production'"):
        MlPipeline(stack, "Pipeline", source=Source.code_commit("code"), stages=[build, production])


def test_a_plain_pipeline_without_a_key_is_refused_by_cdk(two):
    release = SageMakerEndpointRelease(two.stack, "Other", repo=two.repo, env=OTHER)
    pipeline = codepipeline.Pipeline(two.stack, "Mine", cross_account_keys=False)
    given = StageInput(source=codepipeline.Artifact("Code"), commit="#{Code.CommitId}", build=two.build)

    with pytest.raises(RuntimeError, match="Artifact Bucket must have a KMS Key"):
        pipeline.add_stage(stage_name="Live", actions=release.actions(given))


def test_refuses_a_serverless_endpoint_elsewhere(app):
    with pytest.raises(ValueError, match="cannot be used with serverless hosting, whose image SageMaker wants in"):
        TwoAccounts(app, hosting=Serverless())


def test_refuses_a_network_of_another_account(app):
    network = Stack(app, "Network", env=Environment(account=HOME, region="eu-central-1"))

    with pytest.raises(ValueError, match="cannot be used with 'vpc', whose subnets would have to be there"):
        TwoAccounts(app, vpc=ec2.Vpc(network, "Vpc", max_azs=1))


def test_refuses_to_let_callers_of_a_queue_elsewhere_in(app):
    two = TwoAccounts(app, hosting=Asynchronous())

    with pytest.raises(ValueError, match="'grantee' must be able to write to the repo's bucket, got an asynchronous"):
        two.production.grant_invoke(iam.Role(two.stack, "Client", assumed_by=iam.AccountRootPrincipal()))


def test_a_rehearsal_of_two_accounts_is_refused_by_name(two):
    assembly = Assembly(Path(two.app.synth().directory))

    with pytest.raises(
        AssemblyError,
        match=f"'abalone-production-roles' in {THERE} and 'Abalone' in {HOME}, and a rehearsal has one: .* without the",
    ):
        assembly.stacks()


def test_cfn_lint_finds_nothing_in_either_account(two):
    folder = Path(two.app.synth().directory)
    templates = [*folder.glob("*.template.json"), *folder.glob("asset.*/endpoint.template.json")]

    assert len(templates) == 4
    assert [str(each) for template in templates for each in lint_file(template)] == []


def test_cdk_nag_finds_nothing_in_either_account(nag):
    app = App()
    TwoAccounts(app)
    Validations.of(app).add_plugins(nag.AwsSolutionsChecks(verbose=True))
    Validations.of(app).acknowledge(Acknowledgment(id="AwsSolutions-S1", reason="the account has a trail"))

    app.synth(force=True)


def test_the_page_shows_what_works(app, stack, repo, build, source):
    page = (Path(__file__).parent.parent.parent / "docs" / "environments.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names = {"app": app, "stack": stack, "repo": repo, "build": build, "source": source, "gate": GATE}
    names |= {"cdk": aws_cdk, "kms": kms, "ml": cdk_ml_release}

    for each in shown:
        exec(each, names)

    assert len(shown) == 4
    assert {each.stack_name for each in app.synth().stacks} == {
        *("Test", "Elsewhere", "abalone-production-roles"),
        *("Across", "abalone-america-home"),
    }


def test_a_release_in_the_own_account_loads_nothing_of_this():
    code = (
        "import sys, aws_cdk, cdk_ml_release as ml; stack = aws_cdk.Stack(None, 'Test'); "
        "repo = ml.MlArtifactRepo(stack, 'Repo', model_name='abalone'); "
        "ml.SageMakerEndpointRelease(stack, 'Production', repo=repo); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "cdk_ml_release.endpoint_release" in loaded
    assert not {f"cdk_ml_release.{each}" for each in ELSEWHERE} & set(loaded)


def test_keys_of_a_stack_of_their_own_wait_for_the_roles_too(app):
    keys = Stack(app, "Keys", env=Environment(account=HOME, region="eu-central-1"))
    stack = home_stack(app)
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", encryption_key=kms.Key(keys, "Model"))
    build = MlBuildStage(stack, "Build", repo=repo, gate=GATE)
    production = SageMakerEndpointRelease(stack, "Production", repo=repo, env=OTHER)
    source = Source.code_commit("code")

    MlPipeline(stack, "Pipeline", source=source, stages=[build, production], encryption_key=kms.Key(keys, "Artifacts"))

    model, artifacts = Template.of(keys).all("AWS::KMS::Key").values()
    assert statements_for(model["KeyPolicy"], "model") != []
    assert statements_for(artifacts["KeyPolicy"], "pipeline") != []
    assert app.synth().get_stack_by_name("Keys").dependencies[0].id == "abalone-production-roles"
