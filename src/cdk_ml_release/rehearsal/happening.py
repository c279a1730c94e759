"""Happening: an event of ``[[then]]`` happens, and what it starts runs to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..runtime.contract import VERSION_VARIABLE
from .chronicle import Chronicle
from .cloud import events
from .cloud.account import Account
from .cloud.automation.event_bus import EventBus
from .cloud.gateway import Gateway
from .event import CONTENT_TYPES, Event, Retry, lines_of
from .loop import Loop
from .pipelines.walk import Walker
from .places import Places, RehearsalError
from .sending import Sent, put_labels, send
from .settings import SampleRequest

__all__ = ["Happening"]


@dataclass(kw_only=True)
class Happening:
    """Makes events happen in the rehearsed account."""

    gateway: Gateway
    account: Account
    bus: EventBus
    walkers: Mapping[str, Walker]
    places: Places
    sources: dict[str, Path]
    """Which folder plays which source."""
    serves: Callable[[str], bool]
    """Whether an endpoint answers at once."""
    loop: Loop
    chronicle: Chronicle
    follow: Callable[[str, Sequence[SampleRequest]], None]
    """Makes the traffic to an endpoint, if there is any, go on with other requests."""
    sent: list[Sent] = field(default_factory=list)

    def happen(self, event: Event) -> None:
        """Push code, upload data, ask for a version; run what that starts; then send, label, and let time pass."""
        if event.release is not None:
            self._release(event.release, event.retry)
        started = [*self._push(event.push), *self._upload(event.upload)]
        for trigger, pipeline in started:
            self.walkers[pipeline].start(trigger, event.retry, started_by=("CloudWatchEvent", trigger))
        if (event.push or event.upload) and not started:
            self.chronicle.tell("note", "the event started no pipeline")
        self.loop.settle()
        for endpoint, path in event.send.items():
            self._send(endpoint, path)
        for endpoint, path in event.labels.items():
            self._label(endpoint, path)
        if event.pass_seconds:
            self.loop.let_pass(event.pass_seconds)

    def _release(self, version: str, retry: Mapping[str, Retry]) -> None:
        walkers = [walker for walker in self.walkers.values() if VERSION_VARIABLE in walker.plan.variables]
        if not walkers:
            raise RehearsalError(
                f"no pipeline can release version {version}: none has the variable '{VERSION_VARIABLE}'"
            )
        for walker in walkers:
            walker.start("StartPipelineExecution", retry, {VERSION_VARIABLE: version})

    def _push(self, pushed: Mapping[str, Path]) -> list[tuple[str, str]]:
        started: list[tuple[str, str]] = []
        for source, folder in pushed.items():
            self.sources[source] = folder
            started += [(f"push to {source}", pipeline) for pipeline in self._fed_by(source)]
        return started

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
                    self._deliver(pushed, f"push to {source}")
                elif source in (configuration.get("FullRepositoryId"), configuration.get("S3ObjectKey")):
                    found.append(name)
        return found

    def _upload(self, uploaded: Mapping[str, Path]) -> list[tuple[str, str]]:
        started: list[tuple[str, str]] = []
        for key, path in uploaded.items():
            bucket, target = self.places.of_data(key)
            content = path.read_bytes()
            self.gateway.client("s3").put_object(Bucket=bucket, Key=target, Body=content)
            happened = events.object_created(bucket, target, len(content))
            if bucket in self.account.event_buckets:
                rules = events.started_pipelines(self.account.rules, happened)
                started += [(f"rule {rule}: new object {target}", pipeline) for rule, pipeline in rules]
                self._deliver(happened, f"new object {target}")
        return started

    def _deliver(self, event: Mapping[str, object], cause: str) -> None:
        # The pipelines that it starts are run one after the other, as their retries are told.
        self.bus.deliver(event, cause=cause, leaves_out={"codepipeline"})

    def _send(self, endpoint: str, path: Path) -> None:
        if not self.serves(endpoint):
            raise RehearsalError(f"'then.send' names the endpoint '{endpoint}', which does not serve at this time")
        kind = CONTENT_TYPES[path.suffix]
        self.follow(endpoint, [SampleRequest(endpoint=endpoint, body=x, content_type=kind) for x in lines_of(path)])
        sent = send(self.gateway, endpoint, path)
        self.sent.append(sent)
        self.chronicle.tell("failure" if sent.failed else "sent", str(sent))

    def _label(self, endpoint: str, path: Path) -> None:
        bucket = self.places.run_bucket(f"ground-truth/{endpoint}")
        count = put_labels(self.gateway.client("s3"), bucket, endpoint, path)
        self.chronicle.tell("labels", f"{count} labels for {endpoint} from {path.name}")
