"""A pipeline as small as one can be, and a few that differ from it in one thing: ``TINY`` names which."""

import os

from aws_cdk import App, Duration, RemovalPolicy, Stack
from aws_cdk import aws_sns as sns

from cdk_ml_release import (
    Approval,
    Asynchronous,
    BatchTransformRelease,
    MlArtifactRepo,
    MlBuildStage,
    MlPipeline,
    ModelMonitorSchedule,
    MonitorEngine,
    QualityGate,
    RealTime,
    SageMakerEndpointRelease,
    Scaling,
    Schema,
    Serverless,
    Shadow,
    Source,
    TrainingJob,
    TransformJob,
)

variant = os.environ.get("TINY", "")
# Without CDK's own validation, which would take most of the time: those of the constructs' tests are validated.
app = App(outdir=os.environ.get("CDK_OUTDIR"), builtin_cloud_formation_validation=False)
stack = Stack(app, "tiny")
repo = MlArtifactRepo(
    stack,
    "Repo",
    model_name="tiny",
    code="tiny-code",
    data_folder=None if variant == "without-data" else "data",
    removal_policy=RemovalPolicy.DESTROY,
    schema=Schema(features={"x": "number"}) if variant == "model-monitor" else None,
)
build = MlBuildStage(
    stack,
    "Build",
    repo=repo,
    gate=[
        QualityGate.at_most("regression_metrics.rmse.value", 1.0),
        *(
            [QualityGate.no_worse_than_current("regression_metrics.rmse.value", better="lower", tolerance=0.05)]
            if variant == "no-worse"
            else []
        ),
    ],
    train=TrainingJob(
        instance_count=2 if variant == "two-hosts" else 1,
        max_runtime=Duration.seconds(2) if variant == "short" else None,
        hyperparameters={"scale": 1.5},
    ),
)
if variant == "batch":
    job = TransformJob(max_concurrent_transforms=2)
    released = BatchTransformRelease(stack, "Scores", repo=repo, job=job, max_failed_records=3)
else:
    options = {
        "asynchronous": {"hosting": Asynchronous(), "scaling": Scaling.on_backlog(maximum=2, per_instance=5)},
        "serverless": {"hosting": Serverless()},
        "careful": {
            "hosting": RealTime(shadow=Shadow()),
            "scaling": Scaling.on_invocations(minimum=2, maximum=4, per_instance_per_minute=600),
        },
    }
    released = SageMakerEndpointRelease(
        stack, "Live", repo=repo, **options.get(variant, {"hosting": RealTime(instance_count=1)})
    )
before: list[SageMakerEndpointRelease] = []
if variant == "staging":
    before = [SageMakerEndpointRelease(stack, "Staging", repo=repo, hosting=RealTime(instance_count=1))]
after: list[ModelMonitorSchedule] = []
if variant == "model-monitor":
    after = [ModelMonitorSchedule(stack, "Drift", endpoint=released, engine=MonitorEngine.model_monitor())]
source = Source.connection("arn:aws:codeconnections:us-east-1:123456789012:connection/1", repository="team/tiny")
MlPipeline(
    stack,
    "Pipeline",
    source=source if variant == "connection" else Source.code_commit("tiny-code", branch="model"),
    stages=[build, *before, Approval("Promote"), released, *after],
    notify=sns.Topic(stack, "Team") if variant == "told" else None,
)
app.synth()
