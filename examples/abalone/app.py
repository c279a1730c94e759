#!/usr/bin/env python3
"""The age calculator: an abalone's age from its measurements, released whenever its code or its data changes."""

from aws_cdk import App, Stack
from constructs import Construct

from cdk_ml_release import (
    Approval,
    MlArtifactRepo,
    MlBuildStage,
    MlPipeline,
    QualityGate,
    SageMakerEndpointRelease,
    Source,
)


class AbaloneRelease(Stack):
    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        repo = MlArtifactRepo(
            self, "Repo", model_name="abalone", code="abalone-cicd-pipeline", data_folder="data"
        )
        gate = QualityGate.at_most("regression_metrics.rmse.value", 2.5)
        build = MlBuildStage(self, "Build", repo=repo, gate=gate)
        production = SageMakerEndpointRelease(self, "Production", repo=repo)
        MlPipeline(
            self,
            "Pipeline",
            source=Source.code_commit(repo.code, branch="model"),
            stages=[build, Approval("Promote"), production],
        )


app = App()
AbaloneRelease(app, "abalone")
app.synth()
