#!/usr/bin/env python3
"""The age calculator: an abalone's age from its measurements, released when its code or its sea changes."""

from aws_cdk import App, Stack

import cdk_ml_release as ml

MEASUREMENTS = ["length", "diameter", "height", "whole_weight", "shucked_weight", "viscera_weight", "shell_weight"]
RMSE = "regression_metrics.rmse.value"

app = App()
stack = Stack(app, "abalone")
schema = ml.Schema(features={"sex": "category", **dict.fromkeys(MEASUREMENTS, "number")}, prediction="age")
repo = ml.MlArtifactRepo(
    stack, "Repo", model_name="abalone", code="abalone-cicd-pipeline", data_folder="data", schema=schema
)
gates = [ml.QualityGate.at_most(RMSE, 2.5), ml.QualityGate.no_worse_than_current(RMSE, better="lower", tolerance=0.3)]
build = ml.MlBuildStage(stack, "Build", repo=repo, gate=gates)
production = ml.SageMakerEndpointRelease(stack, "Production", repo=repo)
drift = ml.ModelMonitorSchedule(stack, "Drift", endpoint=production, on_drift=ml.Retrain())
source = ml.Source.code_commit(repo, branch="model")
ml.MlPipeline(
    stack,
    "Pipeline",
    source=source,
    stages=[build, ml.Approval("Promote"), production, drift],
    # Labelled rows arrive every day. When they are worth a release, drift says.
    starts_on_data=False,
)
app.synth()
