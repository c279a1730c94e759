"""What the program that prepares SageMaker Model Monitor knows from synth, and where its baseline is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .contract import Settings

FOLDER = "baseline/model-monitor"
"""The folder in a run that holds Model Monitor's baseline of its model."""


@dataclass(frozen=True, kw_only=True)
class ModelMonitorStage(Settings):
    """What the program knows from synth: the environment of its CodeBuild project."""

    endpoint_name: str
    stack_name: str
    model_name: str
    bucket: str
    distance: float
    """From which distance on Model Monitor calls a feature drifted."""
    values: Mapping[str, str]
    """What the deployed stack knows of the parameters of the template and the placeholders of the job."""
