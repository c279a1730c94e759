"""Assemblies to be priced: the example as it is synthesized, and small ones with what a test puts in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdk_ml_release.rehearsal.assembly import read_app, synthesize

ABALONE = Path(__file__).parents[2] / "examples/abalone"


@pytest.fixture(scope="session")
def abalone(tmp_path_factory) -> Path:
    """The assembly of the example."""
    return synthesize(read_app(ABALONE), tmp_path_factory.mktemp("abalone") / "cdk.out").folder


@pytest.fixture
def assembly(tmp_path):
    """Write an assembly of one stack, with JSON documents in the asset ``programs.zip``."""

    def write(resources: dict[str, Any], *, region: str = "us-east-1", beside: dict[str, Any] | None = None) -> Path:
        folder = tmp_path / "cdk.out"
        programs = folder / "programs"
        programs.mkdir(parents=True)
        for name, document in (beside or {}).items():
            (programs / name).write_text(json.dumps(document))
        source = {"path": "programs", "packaging": "zip"}
        file = {"source": source, "destinations": {"here": {"bucketName": "assets", "objectKey": "programs.zip"}}}
        stack = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://111122223333/{region}",
            "properties": {"templateFile": "app.template.json"},
        }
        (folder / "app.assets.json").write_text(json.dumps({"files": {"programs": file}}))
        (folder / "app.template.json").write_text(json.dumps({"Resources": resources}))
        (folder / "manifest.json").write_text(json.dumps({"artifacts": {"app": stack}}))
        return folder

    return write


def a(resource_type: str, **properties: Any) -> dict[str, Any]:
    """A resource of a template."""
    return {"Type": resource_type, "Properties": properties}


def action(name: str, provider: str, *, owner: str = "AWS", **configuration: Any) -> dict[str, Any]:
    """An action of a pipeline."""
    return {"Name": name, "ActionTypeId": {"Provider": provider, "Owner": owner}, "Configuration": configuration}


def pipeline(*actions: dict[str, Any], pipeline_type: str = "V2") -> dict[str, Any]:
    """A pipeline of one stage."""
    stages = [{"Name": "Stage", "Actions": list(actions)}]
    return a("AWS::CodePipeline::Pipeline", PipelineType=pipeline_type, Stages=stages)


def project(compute: str = "BUILD_GENERAL1_SMALL") -> dict[str, Any]:
    """A CodeBuild project that works with ``programs.zip``."""
    variables = [{"Name": "ML_RUNTIME_KEY", "Value": "programs.zip"}]
    environment = {"Type": "LINUX_CONTAINER", "ComputeType": compute, "EnvironmentVariables": variables}
    return a("AWS::CodeBuild::Project", Environment=environment)


def endpoint(variant: dict[str, Any], **config: Any) -> dict[str, Any]:
    """An endpoint of one variant, and its configuration."""
    variants = [{"VariantName": "AllTraffic", **variant}]
    return {
        "Config": a("AWS::SageMaker::EndpointConfig", ProductionVariants=variants, **config),
        "Endpoint": a(
            "AWS::SageMaker::Endpoint",
            EndpointName="live",
            EndpointConfigName={"Fn::GetAtt": ["Config", "EndpointConfigName"]},
        ),
    }


def two_instances(instance_type: str = "ml.m5.large") -> dict[str, Any]:
    """A variant on instances."""
    return {"InstanceType": instance_type, "InitialInstanceCount": 2}
