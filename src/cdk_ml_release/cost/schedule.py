"""Jobs that run by the clock: those of a monitor, started by EventBridge Scheduler or by SageMaker itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .assumptions import HOURS_PER_MONTH
from .job import Job
from .line import Line
from .prices import Prices
from .template import Resource, Template

_TARGET = ":scheduler:::aws-sdk:sagemaker:createProcessingJob"
_CRON = re.compile(r"cron\(\d+ (\*|\d+|\d+/\d+|\[?\d+(?:[,-]\d+)*\]?) (?:\*|\?) \* (?:\?|\*) \*\)")
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_PER_HOUR = {"minute": 60.0, "hour": 1.0, "day": 1 / 24}


def runs_per_month(expression: str) -> float | None:
    """How often something runs in a month; None for an expression that is not read here."""
    rate = _RATE.fullmatch(expression)
    if rate is not None:
        return _PER_HOUR[rate[2]] / int(rate[1]) * HOURS_PER_MONTH
    cron = _CRON.fullmatch(expression)
    if cron is None:
        return None
    hours = cron[1]
    if hours == "*":
        return float(HOURS_PER_MONTH)
    if "/" in hours:
        first, _, step = hours.partition("/")
        return len(range(int(first), 24, int(step))) * HOURS_PER_MONTH / 24
    return None if "-" in hours else (hours.count(",") + 1) * HOURS_PER_MONTH / 24


def scheduled_jobs(where: str, properties: Mapping[str, Any], minutes: float, prices: Prices) -> Iterator[Line]:
    """What the jobs of a schedule cost in a month.

    Args:
        where: Whose schedule it is.
        properties: Those of an ``AWS::Scheduler::Schedule``.
        minutes: How long a job's instances run.
        prices: Those of the region.
    """
    target = properties.get("Target", {})
    if _TARGET not in json.dumps(target.get("Arn", "")):
        yield Line(where=where, item="what a schedule starts", unknown="the table does not know this target")
        return
    document = target.get("Input", "{}")
    request = json.loads(document["Fn::Sub"] if isinstance(document, Mapping) else document)
    yield from _by_the_month(where, properties.get("ScheduleExpression", ""), request, minutes, prices)


def monitoring_schedules(template: Template, minutes: float, prices: Prices) -> Iterator[Line]:
    """What the jobs of SageMaker Model Monitor cost in a month.

    Args:
        template: A template with monitoring schedules and the job definitions that they name.
        minutes: How long a job's instances run.
        prices: Those of the region.
    """
    for schedule in template.of_type("AWS::SageMaker::MonitoringSchedule").values():
        config = schedule.get("Properties", {}).get("MonitoringScheduleConfig", {})
        kind = config.get("MonitoringType", "DataQuality")
        resources = _resources(template, config)
        if resources is None:
            item = f"the jobs of a monitoring schedule for {kind}"
            yield Line(where=template.name, item=item, unknown="its job definition is not in the template")
            continue
        expression = config.get("ScheduleConfig", {}).get("ScheduleExpression", "")
        # The labels are joined by a job of their own, which the definition's instances run, too.
        for _ in range(2 if kind == "ModelQuality" else 1):
            yield from _by_the_month(template.name, expression, {"ProcessingResources": resources}, minutes, prices)


def _resources(template: Template, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The instances of a monitoring schedule's jobs; None if they are not in the template."""
    inline = config.get("MonitoringJobDefinition")
    if inline is not None:
        written: Mapping[str, Any] = inline["MonitoringResources"]
        return written
    definitions = template.of_type(f"AWS::SageMaker::{config.get('MonitoringType', 'DataQuality')}JobDefinition")
    named = [each["Properties"] for each in definitions.values() if _names(each, config)]
    return named[0]["JobResources"] if len(named) == 1 else None


def _names(definition: Resource, config: Mapping[str, Any]) -> bool:
    name = definition["Properties"].get("JobDefinitionName")
    return name is not None and name == config.get("MonitoringJobDefinitionName")


def _by_the_month(
    where: str, expression: str, request: Mapping[str, Any], minutes: float, prices: Prices
) -> Iterator[Line]:
    runs = runs_per_month(expression)
    if runs is None:
        yield Line(where=where, item=f"jobs by {expression}", unknown="its times are not read here")
        return
    job = Job(name="monitor", kind="processing", request=request)
    for line in job.lines(where, minutes, prices):
        item = f"{runs:g} x {line.item}"
        yield Line(where=where, item=item, usd=None if line.usd is None else line.usd * runs, unknown=line.unknown)
