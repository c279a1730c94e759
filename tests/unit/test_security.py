"""What the templates allow, and what AWS's own checkers find in them."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Acknowledgment, App, Duration, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from cfnlint.api import lint_file

from cdk_ml_release import (
    Approval,
    Asynchronous,
    DriftLimits,
    MlArtifactRepo,
    MlBuildStage,
    MlPipeline,
    ModelMonitorSchedule,
    MonitorEngine,
    QualityGate,
    RealTime,
    Retrain,
    SageMakerEndpointRelease,
    Scaling,
    Schema,
    Serverless,
    Shadow,
    Source,
    TrafficShift,
    TrainingJob,
)
from cdk_ml_release.monitor_engine import DriftJob, ModelMonitor

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "abalone"
GATE = QualityGate.at_most("a.b", 1)

EVERYTHING = {
    # Registry tokens are for an account; metrics have no resource, and the condition names SageMaker's namespaces.
    "BuildProcessingRole": {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"},
    "BuildTrainingRole": {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"},
    "ProductionRole": {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"},
    "DriftRole": {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"},
    # The same token, to push the image; the sign of life of a monitor that is just deployed.
    "BuildContainerRole": {"ecr:GetAuthorizationToken"},
    "DriftPrepareRole": {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"},
}
"""Every role that may do something on every resource, what, and why: this list is the review."""

CHOSEN = {
    "AwsSolutions-S1": "where access logs go is a decision of the account, which has a trail or a bucket for them",
    "AwsSolutions-CB4": "the example gives no key of its own: artifacts and volumes have those that AWS manages",
}
"""What cdk-nag finds in the example because of what its author chose."""


@pytest.fixture(scope="module")
def resources(example):
    return json.loads((example / "abalone.template.json").read_text())["Resources"]


@pytest.fixture(scope="module")
def statements(resources):
    """Every statement that allows something, with the role (by the start of its logical id) that it is for."""
    found = []
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
        owner = name[:-8]
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            documents, owner = [properties["PolicyDocument"]], properties["Roles"][0]["Ref"][:-8]
        found += [(owner, each) for document in documents for each in document["Statement"]]
    return found


def listed(value):
    return value if isinstance(value, list) else [value]


def test_there_are_statements_to_look_at(statements):
    assert len({owner for owner, _ in statements}) == 17


def test_no_statement_allows_every_action_of_anything_or_of_a_service(statements):
    actions = {(owner, action) for owner, each in statements for action in listed(each["Action"])}

    assert {each for each in actions if each[1] == "*" or each[1].endswith(":*")} == set()


def test_only_cdks_own_statements_have_wildcards_in_actions(statements):
    actions = {action for _, each in statements for action in listed(each["Action"]) if "*" in action}

    assert {action.partition(":")[0] for action in actions} <= {"s3", "cloudformation"}
    assert {action for action in actions if "Get" not in action and "List" not in action} <= {
        "s3:DeleteObject*",
        "s3:Abort*",
        "cloudformation:DescribeStack*",
    }


def test_every_statement_on_every_resource_is_reviewed(statements):
    found: dict[str, set[str]] = {}
    for owner, each in statements:
        if "*" in listed(each["Resource"]):
            found.setdefault(owner, set()).update(listed(each["Action"]))

    assert found == EVERYTHING


def test_metrics_go_to_sagemakers_namespaces_and_the_monitors_own_only(statements):
    conditions = [each["Condition"] for _, each in statements if "cloudwatch:PutMetricData" in listed(each["Action"])]

    sagemakers = {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}}
    own = {"StringEquals": {"cloudwatch:namespace": "CdkMlRelease/Monitor"}}
    assert [conditions.count(each) for each in (sagemakers, own)] == [4, 2]
    assert len(conditions) == 6


def test_statements_allow_and_never_by_exception(statements):
    assert {each["Effect"] for _, each in statements} == {"Allow"}
    assert [each for _, each in statements if "NotAction" in each or "NotResource" in each] == []


def test_nothing_has_full_access_by_a_policy_of_aws(resources):
    managed = [json.dumps(each.get("Properties", {}).get("ManagedPolicyArns", [])) for each in resources.values()]

    assert [each for each in managed if "FullAccess" in each or "Administrator" in each] == []


def test_every_role_is_for_one_service(resources):
    principals = [
        statement["Principal"]
        for resource in resources.values()
        if resource["Type"] == "AWS::IAM::Role"
        for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    ]

    assert all(set(each) == {"Service"} and isinstance(each["Service"], str) for each in principals)


@pytest.mark.parametrize(
    ("deployed", "services"),
    [("endpoint", {"SageMaker", "CloudWatch"}), ("monitor", {"Scheduler", "CloudWatch"})],
)
def test_what_a_pipeline_deploys_makes_no_role(example, deployed, services):
    (template,) = example.glob(f"asset.*/{deployed}.template.json")

    kinds = {resource["Type"].split("::")[1] for resource in json.loads(template.read_text())["Resources"].values()}

    assert kinds == services


def test_cdks_own_validation_finds_nothing_in_the_example(example):
    report = json.loads((example / "validation-report.json").read_text())

    assert [each for each in report["pluginReports"] if each.get("violations")] == []


def plain(stack: Stack) -> None:
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone")
    _pipeline(stack, MlBuildStage(stack, "Build", repo=repo, gate=GATE))


def everything(stack: Stack) -> None:
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, restrict_default_security_group=False)
    vpc.add_flow_log("Flow")
    train = TrainingJob(instance_count=2, spot_max_wait=Duration.hours(2))
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", code="code", encryption_key=key)
    build = MlBuildStage(stack, "Build", repo=repo, gate=GATE, train=train, vpc=vpc)
    _pipeline(stack, build, encryption_key=key)


def _pipeline(stack: Stack, build: MlBuildStage, encryption_key: kms.IKey | None = None) -> None:
    captured = SageMakerEndpointRelease(stack, "Captured", repo=build.repo)
    silent = SageMakerEndpointRelease(stack, "Silent", repo=build.repo, capture_percentage=0)
    stages = [build, Approval("Promote"), captured, silent]
    source = Source.connection("arn:aws:codeconnections:us-east-1:111122223333:connection/1", repository="team/model")
    MlPipeline(stack, "Pipeline", source=source, stages=stages, encryption_key=encryption_key)


def hosted(stack: Stack) -> None:
    """Every way to host, one after the other: what they share is looked at once."""
    key = kms.Key(stack, "TopicKey", enable_key_rotation=True)
    topics = {name: sns.Topic(stack, name, master_key=key) for name in ("success_topic", "error_topic")}
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, restrict_default_security_group=False)
    vpc.add_flow_log("Flow")
    scaling = Scaling.on_invocations(minimum=2, maximum=8, per_instance_per_minute=600)
    ways: dict[str, dict[str, Any]] = {
        "Scaled": {
            "scaling": scaling.at("cron(0 6 * * ? *)", minimum=4, maximum=8),
            "traffic": TrafficShift.linear(percent=50),
            "hosting": RealTime(shadow=Shadow(percent=20)),
        },
        "Serverless": {"hosting": Serverless(provisioned_concurrency=2)},
        "Asynchronous": {
            "hosting": Asynchronous(**topics),
            "scaling": Scaling.on_backlog(maximum=3, per_instance=5),
        },
        "Isolated": {"vpc": vpc, "network_isolation": True, "traffic": TrafficShift.rolling(batch_percent=50)},
    }
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone")
    build = MlBuildStage(stack, "Build", repo=repo, gate=GATE)
    releases = [SageMakerEndpointRelease(stack, name, repo=repo, **options) for name, options in ways.items()]
    MlPipeline(stack, "Pipeline", source=Source.code_commit("code"), stages=[build, *releases])


def watched(stack: Stack, engine: DriftJob | ModelMonitor | None = None) -> None:
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, restrict_default_security_group=False)
    vpc.add_flow_log("Flow")
    schema = Schema(features={"length": "number"})
    repo = MlArtifactRepo(stack, "Repo", model_name="abalone", schema=schema, encryption_key=key)
    build = MlBuildStage(stack, "Build", repo=repo, gate=GATE)
    release = SageMakerEndpointRelease(stack, "Production", repo=repo)
    monitor = ModelMonitorSchedule(
        stack,
        "Drift",
        endpoint=release,
        limits=DriftLimits(quality=[QualityGate.at_most("regression_metrics.rmse.value", 3)]),
        on_drift=Retrain(),
        notify=sns.Topic(stack, "Team", master_key=key),
        vpc=vpc,
        engine=engine,
    )
    stages = [build, release, monitor]
    MlPipeline(stack, "Pipeline", source=Source.code_commit("code"), stages=stages, encryption_key=key)


def watched_by_sagemaker(stack: Stack) -> None:
    watched(stack, MonitorEngine.model_monitor())


VARIANTS = [plain, everything, hosted, watched, watched_by_sagemaker]


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant.__name__)
def variant(request, app: App) -> Path:
    """The assembly of a pipeline with or without all options."""
    define: Callable[[Stack], None] = request.param
    define(Stack(app, "Test"))
    return Path(app.synth().directory)


def findings(assembly: Path) -> list[str]:
    templates = [*assembly.glob("*.template.json"), *assembly.glob("asset.*/*.template.json")]
    assert len(templates) > 1, "the endpoint's template is looked at, too"
    return [str(each) for template in templates for each in lint_file(template)]


def test_cfn_lint_finds_nothing_in_the_example(example):
    assert findings(example) == []


def test_cfn_lint_finds_nothing_whatever_is_chosen(variant):
    assert findings(variant) == []


@pytest.fixture
def checked(nag, monkeypatch) -> App:
    """The example app, in which cdk-nag looks at everything."""
    monkeypatch.chdir(EXAMPLE)
    app: App = runpy.run_path("app.py")["app"]
    Validations.of(app).add_plugins(nag.AwsSolutionsChecks(verbose=True))
    return app


def test_cdk_nag_finds_what_the_author_of_the_example_chose_and_nothing_else(checked):
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        checked.synth(force=True)

    report = json.loads(Path(checked.outdir, "validation-report.json").read_text())
    found = {finding["ruleName"] for plugin in report["pluginReports"] for finding in plugin["violations"]}
    assert found == set(CHOSEN)


def test_cdk_nag_passes_the_example_once_its_author_has_said_why(checked):
    rules = [Acknowledgment(id=finding, reason=reason) for finding, reason in CHOSEN.items()]

    Validations.of(checked).acknowledge(*rules)

    checked.synth(force=True)


@pytest.mark.parametrize("define", VARIANTS, ids=lambda variant: variant.__name__)
def test_cdk_nag_finds_nothing_else_whatever_the_hosting(nag, define):
    app = App()
    define(Stack(app, "Test"))
    Validations.of(app).add_plugins(nag.AwsSolutionsChecks(verbose=True))
    rules = [Acknowledgment(id=finding, reason=reason) for finding, reason in CHOSEN.items()]

    Validations.of(app).acknowledge(*rules)

    app.synth(force=True)


def test_an_app_without_cdk_nag_answers_no_questions(app, stack, build):
    written = [file.read_text() for file in Path(app.synth().directory).glob("*.json")]

    assert [text for text in written if "acknowledged-rules" in text] == []
