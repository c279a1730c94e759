"""Resources that are written as their properties, and what other resources say of them."""

import json
from pathlib import Path

import jsii
import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

import cdk_ml_release as ml
from cdk_ml_release._reference import Verbatim
from cdk_ml_release._resource import Resource, include, rendered

from .conftest import words

GATE = ml.QualityGate.at_most("a.b", 1)


@pytest.fixture
def scope(stack):
    return Construct(stack, "Some")


@pytest.fixture
def topic(scope):
    return Resource(scope, "News", "AWS::SNS::Topic", {"DisplayName": None, "Tags": [{"Key": "a", "Value": "b"}]})


def test_what_is_none_is_left_out(stack, scope, topic, template):
    include(scope)

    assert template(stack).one("AWS::SNS::Topic") == {"Tags": [{"Key": "a", "Value": "b"}]}


def test_a_whole_text_becomes_a_reference_and_a_part_of_one_a_substitution(stack, topic):
    said = {"name": topic.ref, "arn": topic.arn, "below": f"{topic.arn}:x", "here": "${AWS::Region}", "plain": "a"}

    name = topic.logical_id
    assert rendered(said, stack) == {
        "name": {"Ref": name},
        "arn": {"Fn::GetAtt": [name, "Arn"]},
        "below": {"Fn::Sub": f"${{{name}.Arn}}:x"},
        "here": {"Ref": "AWS::Region"},
        "plain": "a",
    }


def test_tokens_of_cdk_stand_beside_references(stack, scope, topic, template):
    bucket = s3.Bucket(stack, "Bucket")

    Resource(scope, "Two", "AWS::SNS::Topic", {"TopicName": f"{topic.ref}-{bucket.bucket_name}-${{AWS::Region}}"})
    include(scope)

    made = template(stack)
    (mine,) = made.all("AWS::S3::Bucket")
    told = f"${{{topic.logical_id}}}-${{{mine}}}-${{AWS::Region}}"
    assert made.one("AWS::SNS::Topic", "SomeTwo") == {"TopicName": told}


def test_another_stack_imports_what_it_speaks_of(app, stack, scope, topic, template):
    other = Construct(Stack(app, "Other"), "Some")

    Resource(other, "Two", "AWS::SNS::Topic", {"TopicName": f"{topic.ref}-${{AWS::Region}}"})
    include(scope)
    include(other)

    assert "Fn::ImportValue" in json.dumps(template(Stack.of(other)).one("AWS::SNS::Topic"))


@pytest.mark.parametrize(
    "way", [["Some"], ["Default", "Some"], ["Some", "Resource"], ["A-b", "b"], ["a" * 200, "c" * 99]]
)
def test_a_resource_has_the_name_that_cdk_gives_it(stack, way):
    scope = stack
    for each in way:
        scope = Construct(scope, each)

    topic = Resource(scope, "News", "AWS::SNS::Topic", {})

    assert stack.get_logical_id(topic.cfn) == topic.logical_id


def test_a_stack_may_give_names_of_its_own(app, template):
    class OwnNames(Stack):
        @jsii.member(jsii_name="allocateLogicalId")
        def _allocate_logical_id(self, element):
            return "".join(each for each in element.node.path if each.isalnum())

    stack = OwnNames(app, "Own")
    repo = ml.MlArtifactRepo(stack, "Repo", model_name="abalone")
    ml.MlBuildStage(stack, "Build", repo=repo, gate=GATE)

    made = template(stack)
    assert "OwnRepoDefaultBucket" in made.all("AWS::S3::Bucket")
    assert made.allowed("OwnBuildDefaultTrainingRole", "s3:ListBucket") == ["${OwnRepoDefaultBucket.Arn}"]


def test_what_comes_late_is_named_as_if_it_had_come_early(stack, scope, topic):
    include(scope)

    late = Resource(scope, "Late", "AWS::SNS::Topic", {"DisplayName": topic.ref})

    assert stack.get_logical_id(late.cfn) == late.logical_id


def test_a_text_of_another_language_keeps_its_braces(stack):
    assert rendered({"Definition": Verbatim("${Pipeline}")}, stack) == {"Definition": "${Pipeline}"}


def test_a_role_can_be_granted_more_as_a_construct(stack, build, template):
    s3.Bucket(stack, "Mine").grant_read(build.training_role)

    made = template(stack)
    (mine,) = [name for name in made.all("AWS::S3::Bucket") if name.startswith("Mine")]
    assert f"${{{mine}.Arn}}" in made.allowed("BuildTrainingRole", "s3:List*")


def test_whatever_no_argument_covers_can_be_overridden(stack, build, template):
    build.node.find_child("Default").get_resource("Jobs").add_property_override("QueuedTimeoutInMinutes", 30)

    assert template(stack).one("AWS::CodeBuild::Project", "BuildJobs")["QueuedTimeoutInMinutes"] == 30


def test_bucket_and_images_can_be_granted_as_constructs(stack, repo, template):
    user = iam.Role(stack, "User", assumed_by=iam.AccountRootPrincipal())

    repo.bucket.grant_read(user)
    repo.images.grant_pull(user)

    made = template(stack)
    (bucket,) = made.all("AWS::S3::Bucket")
    (images,) = made.all("AWS::ECR::Repository")
    assert made.allowed("User", "s3:GetObject*") == [f"${{{bucket}.Arn}}", f"${{{bucket}.Arn}}/*"]
    assert made.allowed("User", "ecr:BatchGetImage") == [f"${{{images}.Arn}}"]


def _synthesize(outdir: Path) -> dict[str, object]:
    app = App(outdir=str(outdir), builtin_cloud_formation_validation=False, analytics_reporting=False)
    stack = Stack(app, "Test")
    (outdir.parent / "data").mkdir(exist_ok=True)
    repo = ml.MlArtifactRepo(
        stack,
        "Repo",
        model_name="abalone",
        code="code",
        data_folder=str(outdir.parent / "data"),
        schema=ml.Schema(features={"length": "number"}, prediction="age"),
    )
    build = ml.MlBuildStage(stack, "Build", repo=repo, gate=GATE)
    release = ml.SageMakerEndpointRelease(stack, "Production", repo=repo)
    drift = ml.ModelMonitorSchedule(stack, "Drift", endpoint=release, on_drift=ml.Retrain())
    ml.MlPipeline(stack, "Pipeline", source=ml.Source.code_commit(repo), stages=[build, release, drift])
    template: dict[str, object] = json.loads(Path(app.synth().directory, "Test.template.json").read_text())["Resources"]
    return template


def _in_words(resources):
    """The resources without the answers to cdk-nag, and however they speak of each other."""
    return {name: {key: words(each[key]) for key in each if key != "Metadata"} for name, each in resources.items()}


def test_what_cdk_nag_looks_at_is_what_is_deployed(request, tmp_path):
    plain = _synthesize(tmp_path / "plain")

    request.getfixturevalue("nag")

    assert _in_words(_synthesize(tmp_path / "typed")) == _in_words(plain)


def test_a_bucket_takes_statements_into_the_policy_that_it_has(stack, repo, template):
    reader = iam.PolicyStatement(
        actions=["s3:GetObject"],
        principals=[iam.ServicePrincipal("config.amazonaws.com")],
        resources=[f"{repo.bucket.bucket_arn}/a"],
    )

    assert repo.bucket.add_to_resource_policy(reader).statement_added
    repo.bucket.grant_read(iam.AccountPrincipal("222222222222"))

    made = template(stack)
    statements = made.one("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert [each["Action"] for each in statements] == [
        "s3:*",
        "s3:GetObject",
        ["s3:GetObject*", "s3:GetBucket*", "s3:List*"],
    ]
