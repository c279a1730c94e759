"""Hosting fleets: from an endpoint configuration to the processes that serve it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from .capture import Capture
from .fleet import Fleet
from .hosted import Hosted, Shadow
from .metrics import Metrics
from .sagemaker_models import SageMakerModels
from .workplace import Workplace


class Hosting:
    """Brings up configurations."""

    def __init__(self, place: Workplace, models: SageMakerModels, metrics: Metrics) -> None:
        """Begin with the first fleet of the rehearsal."""
        self._place = place
        self._models = models
        self._metrics = metrics
        self._numbers = itertools.count(1)

    def bring_up(self, endpoint: str, name: str, count: int, capture: Mapping[str, Any] | None) -> Hosted:
        """Start the fleets of a configuration and wait until they are healthy.

        Args:
            endpoint: The endpoint's name.
            name: The configuration's name.
            count: How many instances the production variant gets.
            capture: What is captured, if not what the configuration says.

        Raises:
            FleetFailed: if a fleet does not get healthy; nothing runs then.
        """
        config = self._models.config(name)
        (variant,) = config["ProductionVariants"]
        hosted = self._start(endpoint, name, variant, count)
        hosted.asynchronous = "AsyncInferenceConfig" in config
        hosted.capture_config = capture or config.get("DataCaptureConfig")
        if hosted.capture_config and hosted.capture_config.get("EnableCapture"):
            s3 = self._place.gateway.client("s3", self._models.model(variant["ModelName"])["ExecutionRoleArn"])
            hosted.capture = Capture(s3, hosted.capture_config, endpoint, hosted.variant_name)
        for shadow in config.get("ShadowProductionVariants", ()):
            try:
                copied = self._start(endpoint, name, shadow, instance_count(shadow))
            except BaseException:
                hosted.stop()
                raise
            share = float(shadow.get("InitialVariantWeight", 1)) / float(variant.get("InitialVariantWeight", 1))
            hosted.shadow = Shadow(copied, min(share, 1.0))
        return hosted

    def _start(self, endpoint: str, config: str, variant: Mapping[str, Any], count: int) -> Hosted:
        model = self._models.resolve(variant["ModelName"])
        fleet = Fleet(self._place, f"{endpoint}/{next(self._numbers)}-{config}", model)
        fleet.scale(count)
        version = self._models.version(variant["ModelName"])
        return Hosted(endpoint, config, variant, fleet, self._metrics, version)


def instance_count(variant: Mapping[str, Any]) -> int:
    """How many processes serve a variant: one an instance, and one in all without instances."""
    return 1 if "ServerlessConfig" in variant else int(variant.get("InitialInstanceCount", 1))
