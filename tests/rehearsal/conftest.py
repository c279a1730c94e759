"""A theatre for rehearsals: the tiny pipeline, with whatever a test breaks in it."""

from __future__ import annotations

import contextlib
import json
import runpy
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cdk_ml_release.rehearsal.assembly import Assembly
from cdk_ml_release.rehearsal.command import cache_folder
from cdk_ml_release.rehearsal.event import Event
from cdk_ml_release.rehearsal.pipelines.execution import ActionRun, Execution, StageRun
from cdk_ml_release.rehearsal.pipelines.plan import Action
from cdk_ml_release.rehearsal.rehearsal import Rehearsal
from cdk_ml_release.rehearsal.report import report
from cdk_ml_release.rehearsal.settings import Settings

TINY = Path(__file__).parent / "tiny"
ENDPOINT = "tiny-live"


@dataclass
class Spectator:
    """Remembers what was shown; may step in when an execution starts."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    steps_in: Callable[[Execution], None] = lambda execution: None
    answers: Callable[[str], bool] | None = None
    """Answers approvals that are asked: takes the message."""

    def note(self, text: str) -> None:
        self.notes.append(text)

    def heading(self, text: str) -> None:
        self.notes.append(f"# {text}")

    def approve(self, name: str, message: str) -> bool:
        assert self.answers is not None, "nobody is here to be asked"
        return self.answers(message)

    def execution_started(self, execution: Execution) -> None:
        self.steps_in(execution)

    def action_started(self, execution: Execution, stage: str, action: Action) -> Callable[[str], None]:
        return self.lines.setdefault(action.name, []).append

    def action_ended(self, execution: Execution, stage: str, run: ActionRun) -> None:
        pass

    def stage_closed(self, execution: Execution, run: StageRun) -> None:
        self.notes.append(f"{run.name} is {run.status}: {run.message}")

    def execution_ended(self, execution: Execution) -> None:
        pass


@dataclass
class Show:
    """A rehearsal that a test walks through step by step."""

    rehearsal: Rehearsal
    spectator: Spectator
    model: Callable[[Mapping[str, str | None]], Path]

    @property
    def executions(self) -> list[Execution]:
        """Every execution so far, roll-backs included."""
        return [each for walker in self.rehearsal.walkers.values() for each in walker.executions]

    @property
    def releases(self) -> list[Execution]:
        """Every execution so far that was not a roll-back."""
        return [each for each in self.executions if not each.trigger.startswith("AutomatedRollback")]

    def begin(self) -> Execution:
        """Deploy the stack and run the first execution."""
        self.rehearsal.begin()
        return self.releases[-1]

    def push(self, changed: Mapping[str, str | None], **event: Any) -> Execution:
        """Push the model with some files changed; run what that starts."""
        self.rehearsal.happen(Event(push={"tiny-code": self.model(changed)}, **event))
        return self.releases[-1]

    def release(self, version: int | str, **event: Any) -> Execution:
        """Release a registered version; run what that starts."""
        self.rehearsal.happen(Event(release=str(version), **event))
        return self.releases[-1]

    def invoke(self, body: str) -> str:
        """Ask the endpoint."""
        runtime = self.rehearsal.gateway.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType="text/csv", Body=body.encode())
        return answer["Body"].read().decode()

    def report(self) -> dict[str, Any]:
        """What the rehearsal would write into report.json."""
        return report(self.rehearsal)

    def log(self, action: str) -> str:
        """Everything that an action has printed."""
        return "\n".join(self.spectator.lines.get(action, []))


def actions(execution: Execution) -> list[tuple[str, str]]:
    """Name and status of every action that was run, in order."""
    return [(run.name, run.status) for stage in execution.stages for run in stage.actions]


def failure(execution: Execution) -> tuple[str, str]:
    """The action that failed last, and its message."""
    failed = [run for stage in execution.stages for run in stage.actions if run.status == "Failed"]
    return failed[-1].name, failed[-1].message


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The tiny app's assembly, or that of one of its variants; each is synthesized once.

    All in this process: to start CDK takes longer than to synthesize them.
    """

    @cache
    def synthesized(variant: str = "") -> Path:
        out = tmp_path_factory.mktemp("assembly")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TINY", variant)
            patch.setenv("CDK_OUTDIR", str(out))
            patch.chdir(TINY)
            runpy.run_path("app.py")
        return out

    return synthesized


@pytest.fixture
def model(tmp_path: Path) -> Callable[[Mapping[str, str | None]], Path]:
    """Makes a copy of the tiny model with some files changed; None leaves a file out."""

    def changed(files: Mapping[str, str | None]) -> Path:
        folder = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(TINY / "model", folder)
        for name, content in files.items():
            path = folder / name
            mode = path.stat().st_mode if path.exists() else 0o755
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_text(content)
                path.chmod(mode)
        return folder

    return changed


@pytest.fixture
def stage(
    tmp_path: Path, assembly: Callable[[str], Path], model: Callable[[Mapping[str, str | None]], Path]
) -> Callable[..., Any]:
    """Opens the tiny pipeline's rehearsal, changed as a test wants it."""

    @contextlib.contextmanager
    def opened(
        changed: Mapping[str, str | None] | None = None,
        *,
        variant: str = "",
        template: Callable[[dict[str, Any]], None] | None = None,
        steps_in: Callable[[Execution], None] | None = None,
        **settings: Any,
    ) -> Iterator[Show]:
        folder = assembly(variant)
        if template is not None:
            folder = _with_template(folder, tmp_path / "assembly", template)
        spectator = Spectator()
        sources = {"tiny-code": model(changed or {}), "team/tiny": model(changed or {})}
        rehearsal = Rehearsal(
            assembly=Assembly(folder),
            settings=Settings(sources=sources, **{"startup_seconds": 5.0, **settings}),
            out=tmp_path / "out",
            cache=cache_folder(),
            audience=spectator,
        )
        show = Show(rehearsal, spectator, model)
        if steps_in is not None:
            spectator.steps_in = steps_in
        with rehearsal.on_stage():
            yield show

    return opened


def _with_template(folder: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of an assembly whose stack has another template."""
    shutil.copytree(folder, target)
    path = target / "tiny.template.json"
    template = json.loads(path.read_text())
    change(template)
    path.write_text(json.dumps(template))
    return target
