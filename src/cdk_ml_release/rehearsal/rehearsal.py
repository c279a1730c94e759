"""The rehearsal: create the stacks of an assembly and run their pipelines as declared."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from .assembly import Assembly
from .chronicle import Chronicle
from .cloud import cloudformation_api, model_registry, registry_api
from .cloud.account import Account
from .cloud.automation.alarm_news import AlarmNews
from .cloud.automation.automation_handlers import automation_handlers
from .cloud.automation.event_bus import EventBus
from .cloud.automation.job_news import tell_end
from .cloud.automation.schedules import Schedules
from .cloud.automation.state_machines import StateMachines
from .cloud.gateway import Gateway
from .cloud.hosting import hosting_handlers
from .cloud.hours import begin_at_half_past, now
from .cloud.releases import Release
from .cloud.resources import handlers
from .cloud.sagemaker_endpoints import SageMakerEndpoints
from .cloud.sagemaker_jobs import SageMakerJobs
from .cloud.watching import watching_handlers
from .cloud.workplace import Workplace
from .event import Event
from .happening import Happening
from .loop import Loop
from .pipelines.announcer import Announcer
from .pipelines.api import PipelineApi
from .pipelines.performers import Performers
from .pipelines.plan import plan
from .pipelines.walk import Progress, Walker
from .places import Places, RehearsalError
from .sending import Sent
from .settings import SampleRequest, Settings
from .stacks.stacks import Stacks
from .traffic import Stream, sending, streams
from .windows import Windows


class Audience(Progress, Protocol):
    """Who follows a rehearsal and answers its approvals."""

    def note(self, text: str) -> None:
        """Something that belongs to no action."""

    def heading(self, text: str) -> None:
        """What begins now."""

    def approve(self, name: str, message: str) -> bool:
        """A person's answer to an approval."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A sample request and what the endpoint made of it."""

    endpoint: str
    input: str
    output: str


@dataclass(kw_only=True)
class Rehearsal:
    """One rehearsal of one cloud assembly."""

    assembly: Assembly
    settings: Settings
    out: Path
    cache: Path
    audience: Audience
    data: Mapping[str, Path] = field(default_factory=dict)
    """Key under the data prefix, key in the repo's bucket (with a slash before it) or S3 URI, to the file that is put
    there before the first execution."""
    requests_per_second: float = 0.0
    """At which rate every endpoint is sent the sample requests while the pipelines run; 0 for not at all."""
    streams: list[Stream] = field(default_factory=list)
    walkers: dict[str, Walker] = field(default_factory=dict)
    predictions: list[Prediction] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def windows(self) -> list[dict[str, Any]]:
        """What the monitors have found, window by window; see ``Windows``."""
        return self._windows.all

    @property
    def log(self) -> list[dict[str, Any]]:
        """What happened when; see ``Chronicle``."""
        return self.chronicle.entries

    @contextlib.contextmanager
    def on_stage(self) -> Iterator[None]:
        """The rehearsed AWS is there within this context; at its end every process is stopped."""
        self.gateway = Gateway(self.settings.region)
        self.place = Workplace(
            gateway=self.gateway,
            out=self.out,
            cache=self.cache,
            startup_seconds=self.settings.startup_seconds,
            clock=self.settings.clock,
        )
        self.account = Account()
        self.chronicle = Chronicle(self.audience.note)
        self.places = Places(self.account)
        self.endpoints = SageMakerEndpoints(self.place, self._released)
        self.jobs = SageMakerJobs(self.place, self.endpoints.models, lambda job: tell_end(self.bus, job))
        self._approve: str = self.settings.approve
        try:
            self._furnish()
            yield
        finally:
            with contextlib.suppress(ClientError):
                self.endpoints.close()
            for container in self.place.containers:
                container.stop(2.0)
            self.gateway.close()

    def _released(self, release: Release) -> None:
        self.chronicle.tell("release", str(release))

    def _furnish(self) -> None:
        gateway, tell = self.gateway, self.chronicle.tell
        self.stacks = Stacks(
            handlers(gateway, self.account)
            | hosting_handlers(gateway)
            | watching_handlers(gateway)
            | automation_handlers(gateway),
            account=gateway.account,
            region=gateway.region,
            # The bootstrap version, newer than any that a template asks for.
            ssm_lookup=lambda name: "30",
            now=now,
        )
        deployers: dict[str, Any] = {}
        self.performers = Performers(
            place=self.place,
            account=self.account,
            stacks=self.stacks,
            sources=dict(self.settings.sources),
            approve=self._answer,
            deployers=deployers,
        )
        self.bus = EventBus(gateway, self.account, tell)
        schedules, machines = Schedules(gateway, tell), StateMachines(gateway, self.bus, tell)
        pipelines = PipelineApi(self.walkers, self.account, machines.why)
        self.bus.starters |= {"codepipeline": pipelines.start_for_rule, "states": machines.start}
        self._windows = Windows(lambda: gateway.client("s3"), self.places.run_buckets)
        self.loop = Loop(
            schedules=schedules,
            machines=machines,
            alarms=AlarmNews(gateway, self.endpoints.alarms, self.bus, tell),
            jobs=self.jobs,
            pipelines=pipelines,
            windows=self._windows,
            flush=self.endpoints.flush,
            told=tell,
        )
        self._happening = Happening(
            gateway=gateway,
            account=self.account,
            bus=self.bus,
            walkers=self.walkers,
            places=self.places,
            sources=self.performers.sources,
            serves=self.endpoints.serves,
            loop=self.loop,
            chronicle=self.chronicle,
            sent=self.sent,
            follow=self._follow,
        )
        gateway.services |= self.jobs.services() | self.endpoints.services() | registry_api.services()
        gateway.services |= model_registry.services(gateway) | pipelines.services() | schedules.services()
        gateway.services |= cloudformation_api.services(self.stacks, deployers) | machines.services()

    def run(self) -> bool:
        """Deploy the assembly, run its pipelines through all that the settings say, send the sample requests.

        Returns:
            Whether the last execution of every pipeline succeeded.
        """
        started = time.monotonic()
        if any(event.pass_seconds for event in self.settings.then):
            begin_at_half_past()
        with self.under_traffic():
            self.begin()
            for event in self.settings.then:
                self.happen(event)
        if self.succeeded:
            for request in self.settings.requests:
                self.predictions.append(self._ask(request))
        self.loop.tell_what_waits()
        self.endpoints.flush()
        self.seconds = round(time.monotonic() - started, 2)
        return self.succeeded

    def under_traffic(self) -> AbstractContextManager[None]:
        """Send the sample requests within this context, if that is wanted.

        Where files are sent, it is their lines instead, while a pipeline is at work.
        """
        if self.requests_per_second:
            awaited = {endpoint for event in self.settings.then for endpoint in event.send}

            def asked(endpoint: str) -> bool:
                # What is sent fills an hour by itself; whatever comes in other hours would be told of those.
                return self.endpoints.serves(endpoint) and (endpoint not in awaited or self._in_progress)

            self.streams = streams(self.gateway, self.settings.requests, asked, self.requests_per_second, awaited)
        return sending(self.streams, self.audience.note)

    @property
    def _in_progress(self) -> bool:
        """Whether a pipeline is at work."""
        return any(
            walker.executions[-1].status == "InProgress" for walker in self.walkers.values() if walker.executions
        )

    def _follow(self, endpoint: str, requests: Sequence[SampleRequest]) -> None:
        for stream in self.streams:
            if stream.endpoint == endpoint:
                stream.follow(requests)

    def begin(self) -> None:
        """Deploy the assembly, put the data there and run the first execution of every pipeline."""
        self._deploy()
        self._put_data()
        if not self.walkers:
            raise RehearsalError("the assembly has no pipeline: there is nothing to rehearse")
        for walker in self.walkers.values():
            walker.start("CreatePipeline", self.settings.retry)
        self.loop.settle()

    @property
    def succeeded(self) -> bool:
        """Whether the last execution of every pipeline succeeded; to be put back is no success."""
        return all(walker.last.status == "Succeeded" for walker in self.walkers.values())

    def _deploy(self) -> None:
        gateway = self.gateway
        s3 = gateway.client("s3")
        made: set[str] = set()
        for asset in self.assembly.assets(gateway.account, gateway.region):
            if asset.bucket not in made:
                _create_bucket(s3, asset.bucket, gateway.region)
                made.add(asset.bucket)
            s3.put_object(Bucket=asset.bucket, Key=asset.key, Body=asset.content())
        for stack in self.assembly.stacks():
            done = self.stacks.deploy(stack.name, stack.template, parameters=stack.parameters, caller=None)
            self.audience.note(f"stack {stack.name}: {done.status}, {len(done.resources)} resources")
        performers = self.performers.all()
        announcer = Announcer(self.audience, self.bus, self.chronicle.take_down)
        for name, properties in self.account.pipelines.items():
            declared = plan(name, properties, list(performers))
            self.walkers[name] = Walker(plan=declared, performers=performers, progress=announcer)

    def _put_data(self) -> None:
        for key, path in self.data.items():
            bucket, target = self.places.of_data(key)
            self.gateway.client("s3").put_object(Bucket=bucket, Key=target, Body=path.read_bytes())
            self.audience.note(f"data s3://{bucket}/{target}: {path.name}")

    def run_buckets(self) -> set[str]:
        """The buckets in which builds keep their runs."""
        return self.places.run_buckets()

    def happen(self, event: Event) -> None:
        """Let an event happen, and all that it starts."""
        if event.name:
            self.audience.heading(event.name)
            self.chronicle.take_down("event", event.name)
        if event.approve:
            self._approve = event.approve
        self._happening.happen(event)

    def _answer(self, name: str, message: str) -> bool:
        return self.audience.approve(name, message) if self._approve == "ask" else self._approve == "yes"

    def _ask(self, request: SampleRequest) -> Prediction:
        answer = self.gateway.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=request.endpoint, ContentType=request.content_type, Body=request.body.encode()
        )
        output = answer["Body"].read().decode(errors="replace").strip()
        self.audience.note(f"{request.endpoint}: {request.body} → {output}")
        return Prediction(endpoint=request.endpoint, input=request.body, output=output)


def _create_bucket(s3: Any, bucket: str, region: str) -> None:
    location: dict[str, Any] = {}
    if region != "us-east-1":
        location = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket, **location)
