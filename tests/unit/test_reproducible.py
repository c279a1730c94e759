"""The same app gives the same assembly, byte by byte, whoever synthesizes it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms

import cdk_ml_release as ml
from cdk_ml_release import runtime

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "abalone"
SNAPSHOT = Path(__file__).parent / "abalone.template.json"
"""Written anew by ``UPDATE_SNAPSHOT=1 pytest tests/unit/test_reproducible.py``; its diff is for the reviewer."""


def contents(assembly: Path) -> dict[str, bytes]:
    return {str(file.relative_to(assembly)): file.read_bytes() for file in assembly.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Path:
    """The example's assembly from another process, with another order of hashes and no way to AWS."""
    outdir = tmp_path_factory.mktemp("again")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    environment |= {"CDK_OUTDIR": str(outdir), "PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "app.py"], cwd=EXAMPLE, env=environment, check=True)
    return outdir


def test_two_syntheses_are_the_same_byte_by_byte(example, again):
    first, second = contents(example), contents(again)

    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []


def test_an_assembly_names_no_place_of_the_machine(again):
    places = [str(Path(place).resolve()).encode() for place in (EXAMPLE, Path.home(), sys.prefix)]

    assert [name for name, content in contents(again).items() for place in places if place in content] == []


def test_what_python_compiles_does_not_change_an_asset(stack, repo, template):
    folder = Path(runtime.__file__).parent / "__pycache__"
    folder.mkdir(exist_ok=True)
    compiled = folder / "contract.test.pyc"

    ml.SageMakerEndpointRelease(stack, "Before", repo=repo, endpoint_name="same")
    try:
        compiled.write_bytes(b"compiled")
        ml.SageMakerEndpointRelease(stack, "After", repo=repo, endpoint_name="same")
    finally:
        compiled.unlink()

    made = template(stack)
    before, after = (made.environment(f"{each}Prepare")["ML_RUNTIME_KEY"] for each in ("Before", "After"))
    assert before == after


def test_an_asset_holds_the_programs_and_their_documents_and_nothing_else(stack, build, template):
    made = template(stack)

    key = made.environment("BuildJobs")["ML_RUNTIME_KEY"]
    files = contents(made.assembly / f"asset.{key.removesuffix('.zip')}")
    documents = {"preprocess.json", "train.json", "evaluate.json"}
    assert documents <= set(files)
    assert {Path(name).parent.name + Path(name).suffix for name in set(files) - documents} == {"runtime.py"}


def test_the_example_is_as_it_was_reviewed(example):
    template = (example / "abalone.template.json").read_text()
    blanked = re.sub(r"\b[0-9a-f]{64}\b|(?<=\bmonitor-)[0-9a-f]{16}\b", "<asset>", template) + "\n"
    if os.environ.get("UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(blanked)

    assert json.loads(blanked) == json.loads(SNAPSHOT.read_text())


def everything(stack: Stack, data: Path) -> None:
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:us-east-1:111122223333:key/1")
    vpc = ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["us-east-1a"], private_subnet_ids=["subnet-1"]
    )
    repo = ml.MlArtifactRepo(
        stack, "Repo", model_name="abalone", code="code", data_folder=str(data), encryption_key=key
    )
    gate = ml.QualityGate.at_most("a.b", 1)
    build = ml.MlBuildStage(stack, "Build", repo=repo, gate=gate, vpc=vpc)
    release = ml.SageMakerEndpointRelease(stack, "Production", repo=repo)
    stages = [build, ml.Approval("Promote"), release]
    ml.MlPipeline(stack, "Pipeline", source=ml.Source.code_commit(repo), stages=stages, encryption_key=key)


def permissions(resource):
    """What a policy or role allows, action by action and resource by resource, however it is grouped."""
    properties = resource["Properties"]
    documents = [
        each["PolicyDocument"] for each in properties.get("Policies", [properties]) if "PolicyDocument" in each
    ]
    return {
        json.dumps([action, on, statement.get("Condition"), statement["Effect"]], sort_keys=True)
        for document in documents
        for statement in document["Statement"]
        for action in listed(statement["Action"])
        for on in listed(statement["Resource"])
    }


def listed(value):
    return value if isinstance(value, list) else [value]


def test_no_feature_flag_changes_what_is_deployed(recommended, tmp_path):
    templates = []
    for number, context in enumerate(({}, recommended)):
        (tmp_path / "data").mkdir(exist_ok=True)
        app = App(outdir=str(tmp_path / str(number)), context=context, builtin_cloud_formation_validation=False)
        everything(Stack(app, "Test"), tmp_path / "data")
        templates.append(json.loads((Path(app.synth().directory) / "Test.template.json").read_text())["Resources"])
    without, with_flags = templates

    assert without.keys() == with_flags.keys()
    for name, resource in without.items():
        if resource["Type"].startswith("AWS::IAM::"):
            # CDK merges statements, or does not.
            assert permissions(resource) == permissions(with_flags[name]), name
        else:
            assert resource == with_flags[name], name
