"""The loop: hours pass, and what is due in them happens in its order, with all that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .cloud import hours
from .cloud.automation.alarm_news import AlarmNews
from .cloud.automation.schedules import Schedule, Schedules
from .cloud.automation.state_machines import StateMachines
from .cloud.sagemaker_jobs import SageMakerJobs
from .pipelines.api import PipelineApi
from .windows import Windows

__all__ = ["Loop"]

# Alarms are looked at this often, at least.
_LOOK = timedelta(hours=1)


@dataclass(kw_only=True)
class Loop:
    """What happens by itself in the rehearsed account."""

    schedules: Schedules
    machines: StateMachines
    alarms: AlarmNews
    jobs: SageMakerJobs
    pipelines: PipelineApi
    windows: Windows
    flush: Callable[[], None]
    """Writes what was captured."""
    told: Callable[[str, str], None]

    def let_pass(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due in it."""
        end = hours.now() + timedelta(seconds=seconds)
        while self._step(end):
            self.settle()
        self._look()
        self.settle()

    def settle(self) -> None:
        """Wait until everything that was started has ended, or waits for a time that has not come."""
        busy = True
        while busy:
            busy = self.pipelines.wait()
            busy = self.jobs.wait() or busy
            busy = self.machines.wake(hours.now()) or busy

    def tell_what_waits(self) -> None:
        """Tell of executions that wait for a time that did not come."""
        for run in self.machines.waiting():
            self.told("machine", f"state machine {run.machine_name} still waits until {run.wakes:%Y-%m-%dT%H:%M:%SZ}")

    def _step(self, end: datetime) -> bool:
        """Go on to what is due next; whether there was anything before the end."""
        scheduled, wakes, at = self.schedules.next_due(), self.machines.next_due(), hours.now()
        if scheduled and scheduled[0] <= min(end, wakes or end):
            self._fire(*scheduled)
        elif wakes is not None and wakes <= end:
            hours.pass_until(wakes)
            self.machines.wake(wakes)
        elif at < end:
            hours.pass_until(min(end, at + _LOOK))
            self._look()
        else:
            return False
        return True

    def _fire(self, due: datetime, schedule: Schedule) -> None:
        """Fire a schedule at its time, and see what its jobs have found."""
        hours.pass_until(due)
        self.flush()
        earlier = len(self.jobs.all)
        self.schedules.fire(schedule, due)
        self.jobs.wait()
        for job in self.jobs.all[earlier:]:
            if job.status != "Completed":
                why = "; ".join(filter(None, (job.exit_message, job.failure_reason)))
                self.told("job", f"job {job.name} is {job.status}: {why or 'no reason given'}")
        self._collect()
        self._look()

    def _collect(self) -> None:
        for window in self.windows.collect():
            drifted = ", ".join(window.get("drifted", ())) or "nothing"
            version = (window.get("model_package_arn") or "/none").rpartition("/")[2]
            of_records = f"{window.get('records', 0)} records of {window.get('endpoint')}, version {version}"
            self.told(
                "window", f"window {window.get('start')}: {window.get('status')}, {of_records}, drifted: {drifted}"
            )

    def _look(self) -> None:
        self.windows.note_alarms(self.alarms.look())
