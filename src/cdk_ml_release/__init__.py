"""Continuous release of machine-learning models: CDK constructs, and a rehearsal of what they deploy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .approval import Approval
    from .artifact_repo import MlArtifactRepo
    from .build_stage import MlBuildStage
    from .endpoint_release import SageMakerEndpointRelease
    from .jobs import ProcessingJob, TrainingJob
    from .pipeline import MlPipeline
    from .quality_gate import QualityGate
    from .source import Source
    from .stage import ReleaseStage, StageInput

__all__ = [
    "Approval",
    "MlArtifactRepo",
    "MlBuildStage",
    "MlPipeline",
    "ProcessingJob",
    "QualityGate",
    "ReleaseStage",
    "SageMakerEndpointRelease",
    "Source",
    "StageInput",
    "TrainingJob",
]

_HOME = {
    "Approval": "approval",
    "MlArtifactRepo": "artifact_repo",
    "MlBuildStage": "build_stage",
    "MlPipeline": "pipeline",
    "ProcessingJob": "jobs",
    "QualityGate": "quality_gate",
    "ReleaseStage": "stage",
    "SageMakerEndpointRelease": "endpoint_release",
    "Source": "source",
    "StageInput": "stage",
    "TrainingJob": "jobs",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    The runtime and the rehearsal live in this package too, and neither may start the CDK kernel by being imported.
    """
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value
