"""An endpoint: what serves it, what is about to, and which of the two gets a request."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .fleet import Retired, Served
from .hosted import Asked, Hosted
from .hours import now, timestamp
from .releases import Release, Step

IN_PROGRESS = ("Creating", "Updating", "RollingBack", "Deleting")


@dataclass
class Endpoint:
    """An endpoint by its name.

    Attributes:
        config: The name of the configuration in service, or of the one that is being tried first.
        status: As SageMaker calls it.
        serving: What is in service.
        arriving: What is about to take over.
        share: The share of requests that what is about to take over gets.
        releases: Its creation and its updates, the newest last.
        deployment: How it was last updated.
    """

    name: str
    arn: str
    config: str
    status: str
    failure_reason: str = ""
    serving: Hosted | None = None
    arriving: Hosted | None = None
    share: float = 0.0
    releases: list[Release] = field(default_factory=list)
    deployment: Mapping[str, Any] | None = None
    created: float = field(default_factory=lambda: timestamp(now()))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def release(self) -> Release:
        """The newest release."""
        return self.releases[-1]

    def shift(self, share: float) -> None:
        """Give what is about to take over a share of the requests."""
        with self._lock:
            self.share = share
            self.release.step(share)

    def settle(self, hosted: Hosted | None) -> None:
        """Let one configuration have all the requests from now on."""
        with self._lock:
            self.serving, self.arriving, self.share = hosted, None, 0.0
            if hosted is not None:
                self.config = hosted.config

    def answer(self, asked: Asked) -> tuple[Hosted, Served]:
        """Answer a request; one that meets a change of fleets goes to the one that takes over.

        Raises:
            OSError: if nothing answers.
        """
        while True:
            hosted, release, step = self._pick()
            failed = True
            try:
                served = hosted.answer(asked)
                failed = not 200 <= served.status < 300
            except Retired:
                continue
            except OSError:
                release.count(step, hosted.version, failed=True)
                raise
            release.count(step, hosted.version, failed=failed)
            return hosted, served

    def _pick(self) -> tuple[Hosted, Release, Step]:
        with self._lock:
            chosen = self.arriving if self.arriving and random.random() < self.share else self.serving
            if chosen is None:
                raise OSError("the endpoint has no instances")
            return chosen, self.release, self.release.steps[-1]

    def describe(self) -> dict[str, Any]:
        """As DescribeEndpoint has it."""
        described: dict[str, Any] = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.config,
            "EndpointStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": timestamp(now()),
        }
        if self.failure_reason:
            described["FailureReason"] = self.failure_reason
        if self.serving is not None:
            described["ProductionVariants"] = [_summary(self.serving)]
            if self.serving.shadow:
                described["ShadowProductionVariants"] = [_summary(self.serving.shadow.hosted)]
        if self.arriving is not None:
            described["PendingDeploymentSummary"] = {"EndpointConfigName": self.arriving.config}
        if self.deployment:
            described["LastDeploymentConfig"] = self.deployment
        return described


def _summary(hosted: Hosted) -> dict[str, Any]:
    weight, count = float(hosted.variant.get("InitialVariantWeight", 1.0)), hosted.fleet.size
    summary: dict[str, Any] = {"VariantName": hosted.variant_name, "CurrentWeight": weight, "DesiredWeight": weight}
    if "ServerlessConfig" in hosted.variant:
        return summary | {"CurrentServerlessConfig": hosted.variant["ServerlessConfig"]}
    return summary | {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
