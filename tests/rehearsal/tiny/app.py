"""A pipeline as small as one can be, and a few that differ from it in one thing: ``TINY`` names which."""

import os

from aws_cdk import App, Duration, RemovalPolicy, Stack

from cdk_ml_release import (
    Approval,
    MlArtifactRepo,
    MlBuildStage,
    MlPipeline,
    QualityGate,
    SageMakerEndpointRelease,
    Source,
    TrainingJob,
)

variant = os.environ.get("TINY", "")
app = App()
stack = Stack(app, "tiny")
repo = MlArtifactRepo(
    stack,
    "Repo",
    model_name="tiny",
    code="tiny-code",
    data_folder=None if variant == "without-data" else "data",
    removal_policy=RemovalPolicy.DESTROY,
)
build = MlBuildStage(
    stack,
    "Build",
    repo=repo,
    gate=QualityGate.at_most("regression_metrics.rmse.value", 1.0),
    train=TrainingJob(
        instance_count=2 if variant == "two-hosts" else 1,
        max_runtime=Duration.seconds(2) if variant == "short" else None,
        hyperparameters={"scale": 1.5},
    ),
)
live = SageMakerEndpointRelease(stack, "Live", repo=repo, instance_count=1)
source = Source.connection("arn:aws:codeconnections:us-east-1:123456789012:connection/1", repository="team/tiny")
MlPipeline(
    stack,
    "Pipeline",
    source=source if variant == "connection" else Source.code_commit("tiny-code", branch="model"),
    stages=[build, Approval("Promote"), live],
)
app.synth()
