"""What one release costs: the actions of a pipeline, their builds, and the jobs that the builds wait for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .assembly import Assembly
from .assumptions import Assumptions
from .endpoint import Endpoint, endpoints
from .job import Job, jobs_among
from .line import Line, Total, total
from .prices import DEFAULT_REGION, Prices, prices
from .template import Resource, Template

_NOTHING_BUT_MINUTES = {"CloudFormation", "CodeCommit", "CodeStarSourceConnection", "ECR", "GitHub", "S3"}
"""Providers that cost nothing besides the action's minutes."""


@dataclass(kw_only=True)
class Release:
    """One execution of a pipeline from its source to its end."""

    pipeline: str
    lines: list[Line] = field(default_factory=list)
    waiting: list[Line] = field(default_factory=list)
    """What of ``lines`` is paid for builds that only wait for a job."""
    waiting_minutes: float = 0
    jobs: list[str] = field(default_factory=list)
    """The names of the jobs' request documents."""
    deployed: list[Template] = field(default_factory=list)
    """The templates that the pipeline brings along and deploys."""

    @property
    def total(self) -> Total:
        """What it comes to."""
        return total(self.lines)


def releases(assembly: Assembly, assumptions: Assumptions) -> list[Release]:
    """One release of every pipeline."""
    return [
        _Walk(assembly, template, resource["Properties"], assumptions).release(f"{template.name} / {logical_id}")
        for template in assembly.templates
        for logical_id, resource in template.of_type("AWS::CodePipeline::Pipeline").items()
    ]


class _Walk:
    """From action to action."""

    def __init__(
        self, assembly: Assembly, template: Template, pipeline: Mapping[str, Any], assumptions: Assumptions
    ) -> None:
        self._assembly = assembly
        self._template = template
        self._pipeline = pipeline
        self._assumptions = assumptions
        self._prices: Prices = prices(template.region or DEFAULT_REGION)
        self._claimed: dict[str, set[str]] = {}
        for stage in pipeline["Stages"]:
            for action in stage["Actions"]:
                for asset, names in self._named(action).items():
                    self._claimed.setdefault(asset, set()).update(names)

    def release(self, name: str) -> Release:
        made = Release(pipeline=name)
        for stage in self._pipeline["Stages"]:
            endpoints_here = list(self._deployed(stage, made))
            # The last build of the stage: a shadow is waited for when it has been deployed.
            builds = [each["Name"] for each in stage["Actions"] if each["ActionTypeId"]["Provider"] == "CodeBuild"]
            shadowed = any(endpoint.passing_shadows for endpoint in endpoints_here)
            for action in stage["Actions"]:
                last = shadowed and action["Name"] == builds[-1]
                waiting = self._assumptions.shadow_minutes if last else 0.0
                self._action(f"{stage['Name']} / {action['Name']}", action, made, waiting)
            for endpoint in endpoints_here:
                made.lines.extend(endpoint.update())
        return made

    def _action(self, where: str, action: Mapping[str, Any], made: Release, waiting: float) -> None:
        kind = action["ActionTypeId"]
        if kind["Provider"] == "Manual" or kind["Owner"] == "Custom":
            return
        minutes = 1.0
        if kind["Provider"] == "CodeBuild":
            minutes = self._build(where, action, made, waiting)
        elif kind["Provider"] == "CloudFormation":
            minutes = self._assumptions.deploy_minutes
        elif kind["Provider"] not in _NOTHING_BUT_MINUTES:
            why = "the table does not know this provider"
            made.lines.append(Line(where=where, item=f"what {kind['Provider']} does", unknown=why))
        if self._pipeline.get("PipelineType") == "V2":
            made.lines.append(self._per_minute(where, "pipeline", "V2", "CodePipeline", math.ceil(minutes)))

    def _build(self, where: str, action: Mapping[str, Any], made: Release, waiting: float) -> float:
        """Add a build that waits some minutes, and those of its jobs besides; returns its minutes."""
        project = self._project(action)
        if project is None:
            made.lines.append(Line(where=where, item="CodeBuild", unknown="its project is not in the assembly"))
            return self._assumptions.build_minutes
        for job in self._jobs(action, project):
            minutes = self._assumptions.minutes_of(job.name)
            made.jobs.append(job.name)
            made.lines.extend(job.lines(where, minutes, self._prices))
            waiting += minutes
        environment = project["Properties"]["Environment"]
        compute = f"{environment['Type']} {environment['ComputeType']}"
        privileged = environment.get("PrivilegedMode") is True
        own = self._assumptions.container_minutes if privileged else self._assumptions.build_minutes
        minutes = math.ceil(own + waiting)
        size = environment["ComputeType"].removeprefix("BUILD_").lower().replace("_", ".")
        item = f"CodeBuild {size} on {environment['Type']}"
        made.lines.append(self._per_minute(where, "build", compute, item, minutes, waiting))
        if waiting:
            made.waiting_minutes += waiting
            made.waiting.append(self._per_minute(where, "build", compute, item, waiting))
            if self._pipeline.get("PipelineType") == "V2":
                made.waiting.append(self._per_minute(where, "pipeline", "V2", "CodePipeline", waiting))
        return minutes

    def _per_minute(self, where: str, meter: str, key: str, item: str, minutes: float, waiting: float = 0) -> Line:
        price = self._prices.of(meter, key)
        item = f"{item}, {minutes:g} min" + (f", {waiting:g} of them waiting" if waiting else "")
        if price is None:
            return Line(where=where, item=item, unknown=self._prices.why_unknown(key))
        return Line(where=where, item=item, usd=price.usd * minutes)

    def _deployed(self, stage: Mapping[str, Any], made: Release) -> Iterator[Endpoint]:
        """The endpoints of the templates that a stage's builds bring along."""
        found: dict[str, Template] = {}
        deploys = [action for action in stage["Actions"] if action["ActionTypeId"]["Provider"] == "CloudFormation"]
        stacks = [str(self._template.known(each["Configuration"].get("StackName"))) for each in deploys]
        region = next((action["Region"] for action in deploys if "Region" in action), self._template.region)
        for action in stage["Actions"]:
            for asset, documents in self._documents(action).items():
                for name, document in documents.items():
                    if name.endswith("template.json") and isinstance(document, dict) and "Resources" in document:
                        label = stacks[0] if len(set(stacks)) == 1 else f"{stage['Name']} / {name}"
                        found[f"{asset}/{name}"] = Template.read(document, name=label, region=region)
        known_stacks = {template.name for template in self._assembly.templates}
        for action, stack_name in zip(deploys, stacks, strict=True):
            if not found and stack_name not in known_stacks:
                where = f"{stage['Name']} / {action['Name']}"
                why = "its template is not in the assembly"
                made.lines.append(Line(where=where, item=f"what stack {stack_name} holds", unknown=why))
        for template in found.values():
            made.deployed.append(template)
            yield from endpoints(template, prices(template.region or DEFAULT_REGION), self._assumptions)

    def _jobs(self, action: Mapping[str, Any], project: Resource) -> Iterator[Job]:
        """The jobs that an action starts: the one that it names, else those of its programs that no action names."""
        named = self._named(action)
        for asset, documents in self._assembly.documents(project).items():
            claimed = self._claimed.setdefault(asset, set())
            for job in jobs_among(documents):
                if named:
                    if job.name in named.get(asset, ()):
                        yield job
                elif job.name not in claimed:
                    claimed.add(job.name)
                    yield job

    def _named(self, action: Mapping[str, Any]) -> dict[str, set[str]]:
        """The job documents whose names stand in an action's environment, by asset."""
        variables = action.get("Configuration", {}).get("EnvironmentVariables", "[]")
        # Text that CDK has joined of parts has JSON in its strings.
        text = variables if isinstance(variables, str) else json.dumps(variables).replace('\\"', '"')
        values = set(re.findall(r'"value": ?"([^"]*)"', text))
        found = {
            asset: {job.name for job in jobs_among(documents)} & values
            for asset, documents in self._documents(action).items()
        }
        return {asset: names for asset, names in found.items() if names}

    def _documents(self, action: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        project = self._project(action)
        return {} if project is None else self._assembly.documents(project)

    def _project(self, action: Mapping[str, Any]) -> Resource | None:
        if action["ActionTypeId"]["Provider"] != "CodeBuild":
            return None
        named = action["Configuration"]["ProjectName"]
        projects = self._template.of_type("AWS::CodeBuild::Project")
        if isinstance(named, Mapping):
            return projects.get(named.get("Ref", ""))
        return next((each for each in projects.values() if each["Properties"].get("Name") == named), None)
