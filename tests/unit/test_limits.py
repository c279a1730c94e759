"""What CloudFormation can bear, and how much of it a pipeline takes."""

import json
from pathlib import Path

import pytest
from aws_cdk import Stack

from cdk_ml_release import Approval, MlPipeline, RealTime, SageMakerEndpointRelease, Scaling, Shadow

# Source: CloudFormation's quotas, the body of a template given by its address, and the resources in it.
LARGEST_BODY, MOST_RESOURCES = 1_048_576, 500


@pytest.fixture
def large(app, stack: Stack, repo, build, source):
    """A pipeline with staging and production, every option of an endpoint used."""
    scaling = Scaling.on_invocations(minimum=2, maximum=8, per_instance_per_minute=600)
    staging, production = (
        SageMakerEndpointRelease(stack, name, repo=repo, scaling=scaling, hosting=RealTime(shadow=Shadow()))
        for name in ("Staging", "Production")
    )
    MlPipeline(stack, "Pipeline", source=source, stages=[build, staging, Approval("Promote"), production])
    return Path(app.synth().directory)


def test_a_pipeline_with_staging_and_production_takes_less_than_a_quarter(large):
    templates = [large / "Test.template.json", *large.glob("asset.*/endpoint.template.json")]

    assert len(templates) == 3
    for template in templates:
        text = template.read_text()
        assert len(text) < LARGEST_BODY / 4
        assert len(json.loads(text)["Resources"]) < MOST_RESOURCES / 4
