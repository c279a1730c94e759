"""What tests of constructs need: a stack, its template in words, and the example app."""

from __future__ import annotations

import json
import runpy
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import aws_cdk
import pytest
from aws_cdk import App, Stack, assertions

import cdk_ml_release as ml

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "abalone"
GATE = ml.QualityGate.at_most("regression_metrics.rmse.value", 2.5)


@pytest.fixture
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    """An app without CDK's own validation, which would take most of a test's time."""
    outdir = tmp_path_factory.mktemp("cdk.out")
    return App(outdir=str(outdir), builtin_cloud_formation_validation=False, analytics_reporting=False)


@pytest.fixture
def nag() -> Iterator[ModuleType]:
    """Cdk-nag, which makes the constructs answer it; it leaves with the test, so that others do not pay for it."""
    import cdk_nag

    sys.modules["cdk_nag"] = cdk_nag
    yield cdk_nag
    del sys.modules["cdk_nag"]


@pytest.fixture
def stack(app: App) -> Stack:
    return Stack(app, "Test")


@pytest.fixture
def repo(stack: Stack) -> ml.MlArtifactRepo:
    return ml.MlArtifactRepo(stack, "Repo", model_name="abalone")


@pytest.fixture
def build(stack: Stack, repo: ml.MlArtifactRepo) -> ml.MlBuildStage:
    return ml.MlBuildStage(stack, "Build", repo=repo, gate=GATE)


@pytest.fixture
def source() -> ml.Source:
    return ml.Source.code_commit("code")


@pytest.fixture
def template() -> Callable[[Stack], Template]:
    """Synthesizes a stack and tells its template in words."""
    return Template.of


@dataclass(frozen=True)
class Template:
    """A template whose references are texts such as ``${Bucket.Arn}``."""

    resources: Mapping[str, Mapping[str, Any]]
    assembly: Path

    @classmethod
    def of(cls, stack: Stack) -> Template:
        """Synthesize the app of ``stack``."""
        body = assertions.Template.from_stack(stack).to_json()
        return cls(words(body["Resources"]), Path(stack.node.root.synth().directory))  # type: ignore[attr-defined]

    def all(self, kind: str) -> dict[str, Any]:
        """The properties of every resource of a type, by logical id."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def one(self, kind: str, named: str = "") -> Any:
        """The properties of the only resource of a type whose logical id begins like that."""
        (found,) = [properties for name, properties in self.all(kind).items() if name.startswith(named)]
        return found

    def statements(self, named: str) -> list[dict[str, Any]]:
        """What the only role whose logical id begins like that may do."""
        (role,) = [name for name in self.all("AWS::IAM::Role") if name.startswith(named)]
        documents = [each["PolicyDocument"] for each in self.resources[role]["Properties"].get("Policies", ())]
        own = self.resources[role]["Properties"].get("ManagedPolicyArns", ())
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for name, policy in self.all(kind).items():
                if f"${{{role}}}" in policy.get("Roles", ()) or f"${{{name}}}" in own:
                    documents.append(policy["PolicyDocument"])
        return [statement for document in documents for statement in document["Statement"]]

    def allowed(self, named: str, action: str) -> list[str]:
        """The resources on which a role may do ``action``."""
        return [
            resource
            for statement in self.statements(named)
            if action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        ]

    def environment(self, project: str) -> dict[str, str]:
        """The variables of a CodeBuild project."""
        variables = self.one("AWS::CodeBuild::Project", project)["Environment"]["EnvironmentVariables"]
        return {each["Name"]: each["Value"] for each in variables}

    def document(self, project: str, name: str) -> Any:
        """A document that travels to a CodeBuild project beside the runtime."""
        key = self.environment(project)["ML_RUNTIME_KEY"]
        return json.loads((self.assembly / f"asset.{key.removesuffix('.zip')}" / name).read_text())

    def stages(self) -> dict[str, dict[str, Any]]:
        """The actions of the only pipeline: stage to action to declaration."""
        pipeline = self.one("AWS::CodePipeline::Pipeline")
        return {stage["Name"]: {each["Name"]: each for each in stage["Actions"]} for stage in pipeline["Stages"]}

    def action_environment(self, stage: str, action: str) -> dict[str, str]:
        """The variables that an action gives its CodeBuild project."""
        variables = json.loads(self.stages()[stage][action]["Configuration"]["EnvironmentVariables"])
        return {each["name"]: each["value"] for each in variables}


def words(value: Any) -> Any:
    """A value of a template, with every reference and join as a text."""
    match value:
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Sub": str(text)}:
            return text
        case {"Fn::Sub": [text, values]}:
            for name, each in values.items():
                text = text.replace(f"${{{name}}}", str(words(each)))
            return text
        case {"Fn::Join": [delimiter, parts]}:
            return delimiter.join(str(words(part)) for part in parts)
        case dict():
            return {key: words(each) for key, each in value.items()}
        case list():
            return [words(each) for each in value]
    return value


def listed(value: Any) -> list[Any]:
    """What IAM and CDK write as one value or as a list."""
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="session")
def example() -> Iterator[Path]:
    """The assembly of the example app, exactly as a user synthesizes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(EXAMPLE)
        app = runpy.run_path("app.py")["app"]
    yield Path(app.synth().directory)


@pytest.fixture(scope="session")
def recommended() -> dict[str, Any]:
    """The feature flags that the installed CDK recommends to a new app."""
    (archive,) = (Path(aws_cdk.__file__).parent / "_jsii").glob("aws-cdk-lib@*.tgz")
    with tarfile.open(archive) as package:
        member = package.extractfile("package/recommended-feature-flags.json")
        assert member is not None
        flags: dict[str, Any] = json.load(member)
    return flags
