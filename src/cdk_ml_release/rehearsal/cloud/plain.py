"""Plain values: numbers and truth values as an API wants them, where a template writes them as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NUMBERS = frozenset(
    {
        *("DatapointsToAlarm", "DesiredInstanceCount", "EvaluationPeriods", "InitialInstanceCount"),
        *("InitialSamplingPercentage", "MaxCapacity", "MaxConcurrency", "MaxConcurrentInvocationsPerInstance"),
        *("MaximumExecutionTimeoutInSeconds", "MemorySizeInMB", "MinCapacity", "Period", "ProvisionedConcurrency"),
        *("ScaleInCooldown", "ScaleOutCooldown", "TerminationWaitInSeconds", "WaitIntervalInSeconds"),
        *("ContainerStartupHealthCheckTimeoutInSeconds", "ModelDataDownloadTimeoutInSeconds", "VolumeSizeInGB"),
        *("MaximumEventAgeInSeconds", "MaximumRetryAttempts", "MaximumWindowInMinutes"),
        *("MaxInstanceCount", "MetricPublishFrequencyInSeconds", "MinInstanceCount"),
    }
)
_FRACTIONS = frozenset({"InitialVariantWeight", "TargetValue", "Threshold"})
_TRUTHS = frozenset(
    {
        *("ActionsEnabled", "DisableScaleIn", "EnableCapture", "EnableNetworkIsolation", "ReturnData"),
        *("EnableDetailedObservability", "EnableEnhancedMetrics"),
        *("RetainAllVariantProperties", "RetainDeploymentConfig"),
    }
)
# Sizes of a fleet's part, beside a Type; elsewhere a Value is text.
_SIZES = frozenset({"CanarySize", "LinearStepSize", "MaximumBatchSize", "RollbackMaximumBatchSize"})


def plain(value: Any, name: str = "") -> Any:
    """A property of a resource as the API wants it."""
    if name == "Environment":
        return value  # whose names are the user's
    if isinstance(value, Mapping):
        found = {key: plain(inner, key) for key, inner in value.items()}
        return found | {"Value": int(found["Value"])} if name in _SIZES else found
    if isinstance(value, list):
        return [plain(inner, name) for inner in value]
    if name in _NUMBERS:
        return int(value)
    if name in _FRACTIONS:
        return float(value)
    if name in _TRUTHS:
        return str(value).lower() == "true"
    return value
