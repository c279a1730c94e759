"""What a person sees while a rehearsal runs: a line for each action, a log file for each, and a live last line."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from .pipelines.execution import ActionRun, Execution, StageRun
from .pipelines.plan import Action

_MARKS = {"Succeeded": "[green]✓[/]", "Failed": "[red]✗[/]"}


class Screen:
    """Prints progress; on a terminal it also shows what is running and its last line."""

    def __init__(self, console: Console, logs: Path) -> None:
        """Print to ``console``, keep every action's log under ``logs``."""
        self._console = console
        self._logs = logs
        self._running: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=8, transient=True)

    def __enter__(self) -> Screen:
        """Begin to show what is running, if this is a terminal."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *problem: object) -> None:
        """Leave only the printed lines on the terminal."""
        self._live.stop()

    def note(self, text: str) -> None:
        """Print something that belongs to no action."""
        self._console.print(f"  {escape(text)}", highlight=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        """Print what begins now."""
        self._console.print(f"[bold cyan]{escape(text)}[/]", highlight=False, soft_wrap=True)

    def approve(self, name: str, message: str) -> bool:
        """Ask the person at the terminal."""
        self._live.stop()
        self._console.print(f"[bold]{escape(name)}[/]: {escape(message)}", highlight=False)
        answer = self._console.input("approve? \\[y/N] ").strip().lower()
        if self._console.is_terminal:
            self._live.start()
        return answer in ("y", "yes")

    def execution_started(self, execution: Execution) -> None:
        """Print which execution begins."""
        self._console.print(
            f"[bold]{execution.plan.name}[/] execution {execution.id[:8]}, started by {escape(execution.trigger)}",
            highlight=False,
            soft_wrap=True,
        )

    def action_started(self, execution: Execution, stage: str, action: Action) -> Callable[[str], None]:
        """Open the action's log."""
        label = _label(stage, action.name)
        with self._lock:
            self._count += 1
            path = self._logs / f"{self._count:02}-{re.sub('[^A-Za-z0-9]+', '-', label)}.log"
            self._running[label] = (time.monotonic(), "")
        if not self._console.is_terminal:
            self._console.print(f"  … {label}", highlight=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = threading.Lock()

        def log(line: str) -> None:
            with lock, path.open("a", encoding="utf-8") as out:
                out.write(f"{line}\n")
            if line.strip():
                with self._lock:
                    self._running[label] = (self._running.get(label, (time.monotonic(), ""))[0], line.strip())

        return log

    def action_ended(self, execution: Execution, stage: str, run: ActionRun) -> None:
        """Print how the action ended."""
        label = _label(stage, run.name)
        with self._lock:
            self._running.pop(label, None)
        line = f"  {_MARKS.get(run.status, '?')} {label:32} {run.seconds:6.1f} s"
        style = "red" if run.status == "Failed" else "dim"
        if run.message:
            line += f"  [{style}]{escape(run.message)}[/]"
        self._console.print(line, highlight=False, soft_wrap=True)

    def stage_closed(self, execution: Execution, run: StageRun) -> None:
        """Print why a stage was not entered, or not left."""
        mark = "[dim]-[/]" if run.status == "Skipped" else _MARKS["Failed"]
        self._console.print(
            f"  {mark} {run.name:32} {run.status.lower():>8}  [dim]{escape(run.message)}[/]",
            highlight=False,
            soft_wrap=True,
        )

    def execution_ended(self, execution: Execution) -> None:
        """Print how the execution ended."""
        style = "green" if execution.status == "Succeeded" else "red"
        self._console.print(f"[bold {style}]{execution.status}[/] after {execution.seconds:.1f} s", highlight=False)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        with self._lock:
            running = dict(self._running)
        for label, (started, line) in running.items():
            seconds = time.monotonic() - started
            width = max(10, self._console.width - 50)
            table.add_row(Spinner("dots"), f"{label:32} {seconds:6.1f} s", f"[dim]{escape(line[:width])}[/]")
        return table


def _label(stage: str, action: str) -> str:
    return stage if stage == action else f"{stage} · {action}"
