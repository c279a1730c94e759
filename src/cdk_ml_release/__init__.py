"""Continuous release of machine-learning models: CDK constructs, and a rehearsal of what they deploy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .approval import Approval
    from .artifact_repo import MlArtifactRepo
    from .auto_rollback import AutoRollback
    from .batch_release import BatchTransformRelease
    from .build_stage import MlBuildStage
    from .drift_limits import DriftLimits
    from .endpoint_release import SageMakerEndpointRelease
    from .hosting import Asynchronous, RealTime, Serverless, Shadow
    from .jobs import ProcessingJob, TrainingJob, TransformJob
    from .monitor_engine import MonitorEngine
    from .monitor_schedule import ModelMonitorSchedule
    from .pipeline import MlPipeline
    from .quality_gate import QualityGate
    from .retrain import Retrain
    from .runtime.schema import Schema
    from .scaling import Scaling
    from .source import Source
    from .stage import ReleaseStage, StageInput
    from .traffic import TrafficShift

__all__ = [
    "Approval",
    "Asynchronous",
    "AutoRollback",
    "BatchTransformRelease",
    "DriftLimits",
    "MlArtifactRepo",
    "MlBuildStage",
    "MlPipeline",
    "ModelMonitorSchedule",
    "MonitorEngine",
    "ProcessingJob",
    "QualityGate",
    "RealTime",
    "ReleaseStage",
    "Retrain",
    "SageMakerEndpointRelease",
    "Scaling",
    "Schema",
    "Serverless",
    "Shadow",
    "Source",
    "StageInput",
    "TrafficShift",
    "TrainingJob",
    "TransformJob",
]

_HOME = {
    "Approval": "approval",
    "Asynchronous": "hosting",
    "AutoRollback": "auto_rollback",
    "BatchTransformRelease": "batch_release",
    "DriftLimits": "drift_limits",
    "MlArtifactRepo": "artifact_repo",
    "MlBuildStage": "build_stage",
    "MlPipeline": "pipeline",
    "ModelMonitorSchedule": "monitor_schedule",
    "MonitorEngine": "monitor_engine",
    "ProcessingJob": "jobs",
    "QualityGate": "quality_gate",
    "RealTime": "hosting",
    "ReleaseStage": "stage",
    "Retrain": "retrain",
    "SageMakerEndpointRelease": "endpoint_release",
    "Scaling": "scaling",
    "Schema": "runtime.schema",
    "Serverless": "hosting",
    "Shadow": "hosting",
    "Source": "source",
    "StageInput": "stage",
    "TrafficShift": "traffic",
    "TrainingJob": "jobs",
    "TransformJob": "jobs",
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
