"""Job: what is known of a SageMaker job of any kind, from its request to its end."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from ..containers.container import ContainerError
from . import storage
from .instance import FleetFailed
from .workplace import ImageMissing, Workplace

LONGEST_REASON = 1024


class JobFailed(Exception):
    """Why a job failed, in SageMaker's words."""


@dataclass(kw_only=True)
class Job(ABC):
    """A job that works in the background."""

    noun: str
    """``Training``, ``Processing`` or ``Transform``."""
    request: Mapping[str, Any]
    arn: str
    place: Workplace
    status: str = "InProgress"
    failure_reason: str = ""
    exit_message: str = ""
    created: datetime = field(default_factory=lambda: _now())
    ended: datetime | None = None
    process_seconds: float = 0.0
    """How long its containers ran."""
    stopping: threading.Event = field(default_factory=threading.Event)
    told: Callable[[Job], None] = lambda job: None
    """Is told of its end."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set once it has ended and that was told."""

    @property
    def name(self) -> str:
        """The job's name."""
        name: str = self.request[f"{self.noun}JobName"]
        return name

    def start(self) -> None:
        """Run in the background."""
        threading.Thread(target=self._run, daemon=True, name=self.name).start()

    def _run(self) -> None:
        try:
            status, reason = self._work()
        except JobFailed as failure:
            status, reason = "Failed", str(failure)
        except (ClientError, storage.NothingThere, ImageMissing) as error:
            status, reason = "Failed", f"ClientError: {error}"
        except (ContainerError, FleetFailed) as error:
            status, reason = "Failed", f"AlgorithmError: {error}"
        except BaseException as bug:
            # The thread dies with its traceback; whoever waits for the job must not wait for ever.
            self._end("Failed", f"InternalServerError: {type(bug).__name__}: {bug}")
            raise
        self._end(status, reason)

    def _end(self, status: str, reason: str) -> None:
        self.failure_reason = reason[:LONGEST_REASON]
        self.ended = _now()
        self.status = status
        try:
            self.told(self)
        finally:
            self.over.set()

    @abstractmethod
    def _work(self) -> tuple[str, str]:
        """Do the job; returns its status and the reason for it."""


def _now() -> datetime:
    # The machine's time, as its logs and its objects have it: who looks for what a job has written compares them.
    return datetime.now(UTC)
