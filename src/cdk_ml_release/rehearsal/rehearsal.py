"""The rehearsal: create the stacks of an assembly and run their pipelines as declared."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from ..runtime.contract import VERSION_VARIABLE
from .assembly import Assembly
from .cloud import cloudformation_api, events, model_registry, registry_api
from .cloud.account import Account
from .cloud.gateway import Gateway
from .cloud.hosting import hosting_handlers
from .cloud.hours import now
from .cloud.resources import handlers
from .cloud.sagemaker_endpoints import SageMakerEndpoints
from .cloud.sagemaker_jobs import SageMakerJobs
from .cloud.watching import watching_handlers
from .cloud.workplace import Workplace
from .pipelines.announcer import Announcer
from .pipelines.api import PipelineApi
from .pipelines.performers import Performers
from .pipelines.plan import plan
from .pipelines.walk import Progress, Walker
from .settings import Event, Retry, SampleRequest, Settings
from .stacks.stacks import Stacks
from .traffic import Stream, sending, streams


class RehearsalError(Exception):
    """Why the rehearsal cannot go on, in one line."""


class Audience(Progress, Protocol):
    """Who follows a rehearsal and answers its approvals."""

    def note(self, text: str) -> None:
        """Something that belongs to no action."""

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
    seconds: float = 0.0

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
        self.endpoints = SageMakerEndpoints(self.place, lambda release: self.audience.note(str(release)))
        self.jobs = SageMakerJobs(self.place, self.endpoints.models)
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

    def _furnish(self) -> None:
        gateway = self.gateway
        self.stacks = Stacks(
            handlers(gateway, self.account) | hosting_handlers(gateway) | watching_handlers(gateway),
            account=gateway.account,
            region=gateway.region,
            # The bootstrap version, newer than any that a template asks for.
            ssm_lookup=lambda name: "30",
            now=now,
        )
        deployers: dict[str, Any] = {}
        pipelines = PipelineApi(self.walkers, self.account)
        self.performers = Performers(
            place=self.place,
            account=self.account,
            stacks=self.stacks,
            sources=dict(self.settings.sources),
            approve=self._answer,
            deployers=deployers,
        )
        gateway.services |= self.jobs.services() | self.endpoints.services() | registry_api.services()
        gateway.services |= model_registry.services(gateway) | pipelines.services()
        gateway.services |= cloudformation_api.services(self.stacks, deployers)

    def run(self) -> bool:
        """Deploy the assembly, run its pipelines through all that the settings say, send the sample requests.

        Returns:
            Whether the last execution of every pipeline succeeded.
        """
        started = time.monotonic()
        with self.under_traffic():
            self.begin()
            for event in self.settings.then:
                self.happen(event)
        if self.succeeded:
            for request in self.settings.requests:
                self.predictions.append(self._ask(request))
        self.endpoints.flush()
        self.seconds = round(time.monotonic() - started, 2)
        return self.succeeded

    def under_traffic(self) -> AbstractContextManager[None]:
        """Send the sample requests within this context, if that is wanted."""
        requests = self.settings.requests if self.requests_per_second else ()
        self.streams = streams(self.gateway, requests, self.endpoints.serves, self.requests_per_second)
        return sending(self.streams, self.audience.note)

    def begin(self) -> None:
        """Deploy the assembly, put the data there and run the first execution of every pipeline."""
        self._deploy()
        self._put_data()
        if not self.walkers:
            raise RehearsalError("the assembly has no pipeline: there is nothing to rehearse")
        for walker in self.walkers.values():
            walker.start("CreatePipeline", self.settings.retry)

    @property
    def succeeded(self) -> bool:
        """Whether the last execution of every pipeline succeeded."""
        return all(walker.executions[-1].status == "Succeeded" for walker in self.walkers.values())

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
        announcer = Announcer(self.audience, gateway, self.account, self.audience.note)
        for name, properties in self.account.pipelines.items():
            declared = plan(name, properties, list(performers))
            self.walkers[name] = Walker(plan=declared, performers=performers, progress=announcer)

    def _put_data(self) -> None:
        for key, path in self.data.items():
            bucket, target = self._data_location(key)
            self.gateway.client("s3").put_object(Bucket=bucket, Key=target, Body=path.read_bytes())
            self.audience.note(f"data s3://{bucket}/{target}: {path.name}")

    def _data_location(self, key: str) -> tuple[str, str]:
        if key.startswith("/"):
            uri = f"s3://{self._run_bucket(key)}{key}"
        else:
            uri = key if key.startswith("s3://") else f"{self._data_uri(key)}{key}"
        bucket, _, target = uri.removeprefix("s3://").partition("/")
        return bucket, target

    def _data_uri(self, key: str) -> str:
        found = self._declared("ML_DATA_URI")
        if len(found) != 1:
            raise RehearsalError(
                f"the data '{key}' has no place: the app has {len(found)} data prefixes; name it by its S3 URI"
            )
        return found.pop()

    def _run_bucket(self, key: str) -> str:
        found = self.run_buckets()
        if len(found) != 1:
            raise RehearsalError(f"'{key}' has no place: the app has {len(found)} repos; name it by its S3 URI")
        return found.pop()

    def run_buckets(self) -> set[str]:
        """The buckets in which builds keep their runs."""
        return self._declared("ML_BUCKET")

    def _declared(self, variable: str) -> set[str]:
        """The values of a variable in the environments of all CodeBuild projects."""
        return {
            str(each["Value"])
            for project in self.account.projects.values()
            for each in project["Environment"].get("EnvironmentVariables", ())
            if each["Name"] == variable
        }

    def happen(self, event: Event) -> None:
        """Push code, upload data, ask for a version; run what that starts."""
        if event.approve:
            self._approve = event.approve
        if event.release is not None:
            self._release(event.release, event.retry)
            return
        started: list[tuple[str, str]] = []
        for source, folder in event.push.items():
            self.performers.sources[source] = folder
            started += [(f"push to {source}", pipeline) for pipeline in self._fed_by(source)]
        for key, path in event.upload.items():
            bucket, target = self._data_location(key)
            content = path.read_bytes()
            self.gateway.client("s3").put_object(Bucket=bucket, Key=target, Body=content)
            happened = events.object_created(bucket, target, len(content))
            if bucket in self.account.event_buckets:
                rules = events.started_pipelines(self.account.rules, happened)
                started += [(f"rule {rule}: new object {target}", pipeline) for rule, pipeline in rules]
        if not started:
            self.audience.note("the event started no pipeline")
        for trigger, pipeline in started:
            self.walkers[pipeline].start(trigger, event.retry)

    def _release(self, version: str, retry: Mapping[str, Retry]) -> None:
        walkers = [walker for walker in self.walkers.values() if VERSION_VARIABLE in walker.plan.variables]
        if not walkers:
            raise RehearsalError(
                f"no pipeline can release version {version}: none has the variable '{VERSION_VARIABLE}'"
            )
        for walker in walkers:
            walker.start("StartPipelineExecution", retry, {VERSION_VARIABLE: version})

    def _fed_by(self, source: str) -> list[str]:
        """The pipelines that a push to a source starts."""
        found = []
        for name, walker in self.walkers.items():
            for action in (action for stage in walker.plan.stages for action in stage.actions):
                configuration = action.configuration
                if configuration.get("RepositoryName") == source:
                    arn = f"arn:aws:codecommit:{self.gateway.region}:{self.gateway.account}:{source}"
                    pushed = events.code_pushed(source, arn, configuration["BranchName"])
                    found += [pipeline for _, pipeline in events.started_pipelines(self.account.rules, pushed)]
                elif source in (configuration.get("FullRepositoryId"), configuration.get("S3ObjectKey")):
                    found.append(name)
        return found

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
