#!/usr/bin/env python3
"""The age calculator: an abalone's age from its measurements, released whenever its code or its data changes."""

from aws_cdk import App, Stack

import cdk_ml_release as ml

app = App()
stack = Stack(app, "abalone")
repo = ml.MlArtifactRepo(stack, "Repo", model_name="abalone", code="abalone-cicd-pipeline", data_folder="data")
gate = ml.QualityGate.at_most("regression_metrics.rmse.value", 2.5)
build = ml.MlBuildStage(stack, "Build", repo=repo, gate=gate)
production = ml.SageMakerEndpointRelease(stack, "Production", repo=repo)
source = ml.Source.code_commit(repo.code, branch="model")
ml.MlPipeline(stack, "Pipeline", source=source, stages=[build, ml.Approval("Promote"), production])
app.synth()
