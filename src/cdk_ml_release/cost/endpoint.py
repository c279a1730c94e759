"""What an endpoint costs: while it stands, by its requests, and while it is updated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .assumptions import HOURS_PER_MONTH, Assumptions
from .line import Line
from .prices import Prices
from .template import Template

# Instances with disks of their own have no volume. Source: the SageMaker guide, "Host instance storage volumes".
_OWN_DISKS = re.compile(r"ml\.([a-z]+\d[a-z]*d[a-z]*|g[4-9][a-z]*|gr\d|p[4-9][a-z]*|trn\d[a-z]*|dl\d|i\d[a-z]*)\..+")
_UNTIL_DEPLOYED = "only the deployment knows it"


def has_own_disk(instance_type: str) -> bool:
    """Whether an instance's storage is in its price."""
    return _OWN_DISKS.fullmatch(instance_type) is not None


@dataclass(frozen=True)
class _Range:
    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint of a template, with the prices of its region."""

    name: str
    config: Mapping[str, Any] | None
    """The properties of its configuration; None if that is elsewhere."""
    template: Template
    prices: Prices
    assumptions: Assumptions

    def standing(self) -> Iterator[Line]:
        """What it costs in a month without a request."""
        if self.config is None:
            yield Line(where=self.name, item="endpoint", unknown="its configuration is not in the template")
            return
        for variant in self._variants():
            name = f"{self.name} / {variant.get('VariantName', 'variant')}"
            if "ServerlessConfig" in variant:
                yield from self._concurrency(name, variant["ServerlessConfig"])
            else:
                yield from self._instances(name, variant)

    def by_requests(self) -> Iterator[Line]:
        """What its requests cost in a month."""
        for variant in self._variants():
            serverless = variant.get("ServerlessConfig")
            if serverless is None:
                continue
            asked = self.assumptions
            memory = self.template.number(serverless.get("MemorySizeInMB"))
            price = self.prices.of("serverless", "memory")
            item = f"{asked.requests:g} requests of {asked.request_seconds:g} s"
            if memory is None or price is None:
                why = _UNTIL_DEPLOYED if memory is None else self.prices.why_unknown("serverless memory")
                yield Line(where=self.name, item=item, unknown=why)
            else:
                usd = price.usd * memory / 1024 * asked.request_seconds * asked.requests
                yield Line(where=self.name, item=f"{item}, {memory / 1024:g} GB of memory", usd=usd)

    def update(self) -> Iterator[Line]:
        """What the second fleet costs while a release replaces the first."""
        hours = self.assumptions.deploy_minutes / 60
        for variant in self._variants():
            if "ServerlessConfig" not in variant:
                yield self._fleet(f"{self.name} / new fleet", variant, hours, "while it replaces the old one")
        for shadow in self.passing_shadows:
            yield self._fleet(f"{self.name} / shadow", shadow, self.assumptions.shadow_minutes / 60, "while it shadows")

    def _variants(self) -> list[dict[str, Any]]:
        """What stands: a shadow that lasts as long as a release is none of it."""
        config = self.config or {}
        lists = (config.get("ProductionVariants"), config.get("ShadowProductionVariants"))
        return [variant for each in lists for variant in self.template.known(each) or ()]

    @property
    def passing_shadows(self) -> list[dict[str, Any]]:
        """The variants that are there only while a release tries them."""
        shadows = (self.config or {}).get("ShadowProductionVariants")
        return shadows["Fn::If"][1] if isinstance(shadows, Mapping) and not self.template.known(shadows) else []

    @property
    def _meter(self) -> str:
        return "asynchronous" if "AsyncInferenceConfig" in (self.config or {}) else "hosting"

    def _instances(self, name: str, variant: Mapping[str, Any]) -> Iterator[Line]:
        yield self._fleet(name, variant, HOURS_PER_MONTH, f"{HOURS_PER_MONTH} hours")
        instance_type = self.template.known(variant.get("InstanceType"))
        count = self._count(variant)
        if count is None or not isinstance(instance_type, str) or has_own_disk(instance_type):
            return
        stated = self.template.number(variant.get("VolumeSizeInGB"))
        size = self.assumptions.hosting_volume_gb if stated is None else stated
        price = self.prices.of("volume", self._meter)
        item = f"{_times(count)} volume of {size:g} GB"
        if price is None:
            yield Line(where=name, item=item, unknown=self.prices.why_unknown("volumes"))
        else:
            yield _line(name, item, price.usd * size, count)

    def _fleet(self, name: str, variant: Mapping[str, Any], hours: float, when: str) -> Line:
        instance_type = self.template.known(variant.get("InstanceType"))
        count = self._count(variant)
        if count is None or not isinstance(instance_type, str):
            return Line(where=name, item="instances", unknown=_UNTIL_DEPLOYED)
        price = self.prices.of(self._meter, instance_type)
        item = f"{_times(count)} {instance_type}, {when}"
        if price is None:
            kind = "real-time" if self._meter == "hosting" else self._meter
            why = self.prices.why_unknown(f"{kind} inference on {instance_type}")
            return Line(where=name, item=item, unknown=why)
        return _line(name, item, price.usd * hours, count)

    def _concurrency(self, name: str, serverless: Mapping[str, Any]) -> Iterator[Line]:
        held = serverless.get("ProvisionedConcurrency")
        if held is None:
            yield Line(where=name, item="serverless, nothing while idle", usd=0)
        else:
            why = self.prices.why_unknown("provisioned concurrency")
            yield Line(where=name, item=f"provisioned concurrency {self.template.known(held)}", unknown=why)

    def _count(self, variant: Mapping[str, Any]) -> _Range | None:
        scaled = [each for each in self._targets() if _scales(each, variant, self._variants())]
        limits = [limit for target in scaled for limit in _limits(target)]
        if not limits:
            count = self.template.number(variant.get("InitialInstanceCount", 1))
            return None if count is None else _Range(count, count)
        least = [self.template.number(limit.get("MinCapacity")) for limit in limits]
        most = [self.template.number(limit.get("MaxCapacity")) for limit in limits]
        if None in least or None in most:
            return None
        return _Range(min(x for x in least if x is not None), max(x for x in most if x is not None))

    def _targets(self) -> list[Mapping[str, Any]]:
        targets = self.template.of_type("AWS::ApplicationAutoScaling::ScalableTarget").values()
        return [target["Properties"] for target in targets]


def endpoints(template: Template, prices: Prices, assumptions: Assumptions) -> list[Endpoint]:
    """The endpoints of a template."""
    configs = template.of_type("AWS::SageMaker::EndpointConfig")
    found = []
    for logical_id, resource in template.of_type("AWS::SageMaker::Endpoint").items():
        properties = resource.get("Properties", {})
        named = properties.get("EndpointConfigName")
        config = next((each["Properties"] for key, each in configs.items() if _names(named, key, each)), None)
        name = template.known(properties.get("EndpointName"))
        label = name if isinstance(name, str) else f"{template.name} / {logical_id}"
        found.append(Endpoint(name=label, config=config, template=template, prices=prices, assumptions=assumptions))
    return found


def _names(value: Any, logical_id: str, config: Mapping[str, Any]) -> bool:
    if isinstance(value, Mapping):
        return value.get("Ref") == logical_id or list(value.get("Fn::GetAtt", ()))[:1] == [logical_id]
    return value is not None and value == config["Properties"].get("EndpointConfigName")


def _scales(target: Mapping[str, Any], variant: Mapping[str, Any], variants: list[dict[str, Any]]) -> bool:
    if target.get("ScalableDimension") != "sagemaker:variant:DesiredInstanceCount":
        return False
    named = re.search(r"variant/([\w-]+)", json.dumps(target.get("ResourceId")))
    return named[1] == variant.get("VariantName") if named else variants == [variant]


def _limits(target: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The limits that hold at one time or another."""
    scheduled = [action.get("ScalableTargetAction", {}) for action in target.get("ScheduledActions", ())]
    return [target, *({**target, **each} for each in scheduled)]


def _times(count: _Range) -> str:
    return f"{count.least:g} x" if count.least == count.most else f"{count.least:g} to {count.most:g} x"


def _line(where: str, item: str, usd_each: float, count: _Range) -> Line:
    most = None if count.least == count.most else usd_each * count.most
    return Line(where=where, item=item, usd=usd_each * count.least, most_usd=most)
