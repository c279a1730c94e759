"""A SageMaker job, from the document that a build sends to start it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .assumptions import HOURS_PER_MONTH
from .endpoint import has_own_disk
from .line import Line
from .prices import Prices

_KINDS = {"ProcessingJobName": "processing", "TrainingJobName": "training", "TransformJobName": "transform"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job and the instances that it runs on."""

    name: str
    """The name of its request document, without ``.json``."""
    kind: str
    request: Mapping[str, Any]

    def lines(self, where: str, minutes: float, prices: Prices) -> Iterator[Line]:
        """What it costs if it runs so many minutes."""
        for cluster in self._clusters():
            instance_type, count = cluster.get("InstanceType"), cluster.get("InstanceCount", 1)
            item = f"{self.kind} on {count} x {instance_type}, {minutes:g} min"
            if self.request.get("EnableManagedSpotTraining"):
                item += " at most, it trains on spot capacity"
            price = prices.of(self.kind, str(instance_type))
            if price is None:
                yield Line(where=where, item=item, unknown=prices.why_unknown(f"{self.kind} on {instance_type}"))
            else:
                yield Line(where=where, item=item, usd=price.usd * count * minutes / 60)
            yield from self._volume(where, cluster, minutes, prices)

    def _clusters(self) -> list[Mapping[str, Any]]:
        if self.kind == "training":
            resources = self.request.get("ResourceConfig", {})
            return [
                {"VolumeSizeInGB": resources.get("VolumeSizeInGB"), **group}
                for group in resources.get("InstanceGroups") or [resources]
            ]
        if self.kind == "processing":
            return [self.request.get("ProcessingResources", {}).get("ClusterConfig", {})]
        return [self.request.get("TransformResources", {})]

    def _volume(self, where: str, cluster: Mapping[str, Any], minutes: float, prices: Prices) -> Iterator[Line]:
        size, count = cluster.get("VolumeSizeInGB"), cluster.get("InstanceCount", 1)
        if size is None or has_own_disk(str(cluster.get("InstanceType"))):
            return
        item = f"{count} x volume of {size} GB, {minutes:g} min"
        price = prices.of("volume", self.kind)
        if price is None:
            yield Line(where=where, item=item, unknown=prices.why_unknown("volumes"))
        else:
            yield Line(where=where, item=item, usd=price.usd * size * count * minutes / 60 / HOURS_PER_MONTH)


def jobs_among(documents: Mapping[str, Any]) -> list[Job]:
    """The job requests among some JSON documents."""
    return [
        Job(name=name.removesuffix(".json"), kind=kind, request=document)
        for name, document in sorted(documents.items())
        for field_name, kind in _KINDS.items()
        if isinstance(document, dict) and field_name in document
    ]
