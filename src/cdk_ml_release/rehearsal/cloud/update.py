"""An update of an endpoint: the new fleet comes, takes over share by share, and the old one goes; or the way back."""

from __future__ import annotations

import math
from collections.abc import Callable

from botocore.exceptions import ClientError

from .alarm import Window
from .alarms import Alarms
from .clock import Clock, Seen
from .deployment import Deployment
from .endpoint import Endpoint
from .fleet import FleetFailed
from .gateway import ApiError
from .hosted import Hosted
from .hours import moment as moment_now
from .releases import Outcome
from .workplace import ImageMissing


class _TakenBack(Exception):
    """Why an update does not go on, in one line."""


class Update:
    """One creation or update of an endpoint, from its first process to its last."""

    def __init__(
        self,
        endpoint: Endpoint,
        deployment: Deployment,
        *,
        host: Callable[[int], Hosted],
        alarms: Alarms,
        clock: Clock,
        done: Callable[[], None],
    ) -> None:
        """Plan it.

        Args:
            endpoint: Its newest release is this update.
            deployment: The policy.
            host: Brings up so many instances of the new configuration.
            alarms: Those of the account.
            clock: How long a declared wait takes.
            done: Called once the outcome is known, before the endpoint's status tells.
        """
        self._endpoint = endpoint
        self._deployment = deployment
        self._host = host
        self._alarms = alarms
        self._clock = clock
        self._done = done
        self._old = endpoint.serving
        self._capacity = self._old.fleet.size if self._old else 0
        self._passed = 0.0

    def run(self) -> None:
        """Go through with it; in the end the endpoint is ``InService``, or ``Failed`` if it has never been."""
        endpoint, reason = self._endpoint, ""
        try:
            self._check_alarms("was in ALARM before the update began")
            self._take_over()
        except (_TakenBack, ApiError, FleetFailed, ClientError, ImageMissing) as failure:
            reason = str(failure)
        except BaseException as bug:
            reason = f"InternalServerError: {type(bug).__name__}: {bug}"
            raise
        finally:
            if reason:
                self._go_back(reason)
        if reason:
            return
        new = endpoint.arriving
        endpoint.settle(new)
        endpoint.failure_reason = ""
        self._end("Succeeded")
        endpoint.status = "InService"
        if self._old is not None:
            self._old.drain()
            self._old.stop()

    def _take_over(self) -> None:
        endpoint, deployment = self._endpoint, self._deployment
        last = deployment.counts[-1]
        new = self._host(deployment.counts[0] if deployment.rolling else last)
        endpoint.arriving = new
        if self._old is None:
            endpoint.shift(1.0)
            return
        for count in deployment.counts:
            if deployment.rolling:
                new.fleet.scale(count)
            endpoint.shift(deployment.share(count))
            if count < last or deployment.bakes_last:
                self._bake(new, deployment.wait_seconds)
            if deployment.rolling and count < last:
                self._old.fleet.scale(max(1, math.ceil(self._capacity * (1 - deployment.share(count)))))
        self._bake(new, deployment.termination_seconds)

    def _bake(self, new: Hosted, declared: float) -> None:
        """Let a declared wait pass under the eyes of the alarms."""
        began, judged = moment_now(), new.judged
        step = self._endpoint.release.steps[-1]
        for moment in self._clock.wait(declared, lambda: Seen(step.requests.total, new.judged - judged)):
            self._look_at(Window(began, self._passed + moment.passed))
            if moment.telling:
                self._check_alarms(f"went to ALARM with {100 * step.share:.3g} % of the requests on the new fleet")
        self._passed += declared

    def _look_at(self, window: Window) -> None:
        self._alarms.look_at(self._endpoint.name, window, self._deployment.alarms)

    def _check_alarms(self, happened: str) -> None:
        alarm = self._alarms.ringing(self._deployment.alarms)
        if alarm is not None:
            name = alarm.parameters["AlarmName"]
            raise _TakenBack(f"the CloudWatch alarm {name} {happened}: {alarm.reason}")

    def _go_back(self, reason: str) -> None:
        endpoint, new = self._endpoint, self._endpoint.arriving
        if self._old is not None:
            endpoint.status = "RollingBack"
        if endpoint.share:
            endpoint.shift(0.0)
        endpoint.settle(self._old)
        status = "InService" if self._old else "Failed"
        try:
            if self._old is not None:
                self._old.fleet.scale(self._capacity)
        except FleetFailed as failure:
            status, reason = "UpdateRollbackFailed", f"{reason}; on the way back: {failure}"
        if new is not None:
            new.drain()
        endpoint.failure_reason = endpoint.release.reason = reason
        self._end("RolledBack" if status == "InService" else "Failed")
        endpoint.status = status
        if new is not None:
            new.stop()

    def _end(self, outcome: Outcome) -> None:
        # What comes from now on is seen afresh: between two releases there is time for an alarm to calm down.
        self._look_at(Window(moment_now()))
        self._endpoint.release.outcome = outcome
        self._done()
