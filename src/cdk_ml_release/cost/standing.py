"""What stands in a month: every resource of a template, by its type."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .assumptions import HOURS_PER_MONTH, Assumptions
from .endpoint import endpoints
from .line import Line
from .prices import Prices, free, paid_by_use
from .schedule import monitoring_schedules, scheduled_jobs
from .template import Resource, Template

_FREE_UNLESS = {
    "AWS::EC2::VPCEndpoint": ("VpcEndpointType", "Gateway"),
    "AWS::SSM::Parameter": ("Tier", "Standard"),
}
"""Types that are free with one value of a property, which is also its default."""

_WITH_OTHERS = ("AWS::SageMaker::Endpoint", "AWS::SageMaker::MonitoringSchedule")
"""Types whose price stands in other resources of the template."""


@dataclass(kw_only=True)
class Inventory:
    """The resources of an app, sorted by how they are paid."""

    lines: list[Line] = field(default_factory=list)
    """What costs the same every month."""
    requests: list[Line] = field(default_factory=list)
    """What the requests of a month cost."""
    by_use: dict[str, str] = field(default_factory=dict)
    """Types that are paid by use that no assumption covers, and what of it."""
    free: dict[str, int] = field(default_factory=dict)
    """Types that cost nothing, and how many resources there are."""

    def add(self, template: Template, prices: Prices, assumptions: Assumptions) -> None:
        """Sort the resources of a template in."""
        for endpoint in endpoints(template, prices, assumptions):
            self.lines.extend(endpoint.standing())
            self.requests.extend(endpoint.by_requests())
        self.lines.extend(monitoring_schedules(template, assumptions.monitor_minutes, prices))
        by_type: dict[str, list[Resource]] = {}
        for resource in template.standing().values():
            by_type.setdefault(resource["Type"], []).append(resource)
        for resource_type, resources in sorted(by_type.items()):
            if resource_type not in _WITH_OTHERS:
                self._sort(resource_type, resources, _Place(template.name, prices, assumptions))

    def _sort(self, resource_type: str, resources: Sequence[Resource], place: _Place) -> None:
        priced = _PRICED.get(resource_type)
        if resource_type in paid_by_use():
            self.by_use[resource_type] = paid_by_use()[resource_type]
        if priced is not None:
            self.lines.extend(priced(place, resource_type, [each.get("Properties", {}) for each in resources]))
        elif resource_type in free() or _is_free(resource_type, resources):
            self.free[resource_type] = self.free.get(resource_type, 0) + len(resources)
        elif resource_type not in paid_by_use():
            why = "the table does not know this resource type"
            self.lines.append(Line(where=place.name, item=f"{len(resources)} x {resource_type}", unknown=why))


@dataclass(frozen=True)
class _Place:
    name: str
    prices: Prices
    assumptions: Assumptions

    def line(self, meter: str, key: str, item: str, quantity: float) -> Line:
        price = self.prices.of(meter, key)
        if price is None:
            return Line(where=self.name, item=item, unknown=self.prices.why_unknown(key))
        return Line(where=self.name, item=item, usd=price.usd * quantity)


_Properties = Sequence[Mapping[str, Any]]
_Pricing = Callable[[_Place, str, _Properties], Iterator[Line]]


def _each(place: _Place, resource_type: str, resources: _Properties) -> Iterator[Line]:
    price = place.prices.of("each", resource_type)
    hours = HOURS_PER_MONTH if price is not None and price.per == "hour" else 1
    yield place.line("each", resource_type, f"{len(resources)} x {resource_type}", len(resources) * hours)


def _keys(place: _Place, resource_type: str, resources: _Properties) -> Iterator[Line]:
    rotated = any(each.get("EnableKeyRotation") for each in resources)
    more = ", and as much again for a rotated version" if rotated else ""
    yield place.line("each", resource_type, f"{len(resources)} x {resource_type}{more}", len(resources))


def _storage(place: _Place, resource_type: str, resources: _Properties) -> Iterator[Line]:
    images = resource_type == "AWS::ECR::Repository"
    size = place.assumptions.images_gb if images else place.assumptions.bucket_gb
    item = f"{len(resources)} x {resource_type} with {size:g} GB"
    yield place.line("storage", resource_type, item, len(resources) * size)


def _alarms(place: _Place, resource_type: str, resources: _Properties) -> Iterator[Line]:
    counted: dict[str, int] = {}
    for each in resources:
        kind, metrics = _alarm(each)
        counted[kind] = counted.get(kind, 0) + metrics
    for kind, count in sorted(counted.items()):
        yield place.line("alarm", kind, f"{count} x alarm metric, {kind}", count)


def _alarm(properties: Mapping[str, Any]) -> tuple[str, int]:
    """What kind of alarm it is, and how many metrics it looks at: each is paid."""
    metrics = properties.get("Metrics", ())
    text = json.dumps(metrics)
    if "ANOMALY_DETECTION_BAND" in text or "SELECT" in text:
        return "anomaly or query", 1
    periods = [each["MetricStat"].get("Period") for each in metrics if "MetricStat" in each]
    fast = any(period in (10, 20, 30) for period in [*periods, properties.get("Period")])
    return "high resolution" if fast else "standard", max(1, len(periods))


def _composite(place: _Place, resource_type: str, resources: _Properties) -> Iterator[Line]:
    yield place.line("alarm", "composite", f"{len(resources)} x composite alarm", len(resources))


def _policies(place: _Place, resource_type: str, resources: _Properties) -> Iterator[Line]:
    # Source: the guide of Application Auto Scaling, which makes an alarm for scaling out and one for scaling in.
    made = 2 * sum(each.get("PolicyType") == "TargetTrackingScaling" for each in resources)
    if made:
        yield place.line("alarm", "standard", f"{made} x alarm that target tracking makes", made)


def _pipelines(place: _Place, resource_type: str, resources: _Properties) -> Iterator[Line]:
    count = sum(each.get("PipelineType", "V1") != "V2" for each in resources)
    if count:
        yield place.line("pipeline", "V1", f"{count} x pipeline of type V1", count)


def _schedules(place: _Place, resource_type: str, resources: _Properties) -> Iterator[Line]:
    for each in resources:
        yield from scheduled_jobs(place.name, each, place.assumptions.monitor_minutes, place.prices)


_PRICED: Mapping[str, _Pricing] = {
    "AWS::ApplicationAutoScaling::ScalingPolicy": _policies,
    "AWS::CloudWatch::Alarm": _alarms,
    "AWS::CloudWatch::CompositeAlarm": _composite,
    "AWS::CloudWatch::Dashboard": _each,
    "AWS::CodePipeline::Pipeline": _pipelines,
    "AWS::EC2::EIP": _each,
    "AWS::EC2::NatGateway": _each,
    "AWS::ECR::Repository": _storage,
    "AWS::KMS::Key": _keys,
    "AWS::S3::Bucket": _storage,
    "AWS::Scheduler::Schedule": _schedules,
    "AWS::SecretsManager::Secret": _each,
}


def _is_free(resource_type: str, resources: Sequence[Resource]) -> bool:
    name, value = _FREE_UNLESS.get(resource_type, (None, None))
    return name is not None and all(each.get("Properties", {}).get(name, value) == value for each in resources)
