"""``ml-release rehearse``: from the command line to a rehearsal and its report."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from .assembly import Assembly, AssemblyError, read_app, synthesize
from .cloud.events import PatternError
from .cloud.gateway import ApiError
from .cloud.policy import PolicyError
from .containers.dockerfile import DockerfileError
from .pipelines.plan import PlanError
from .pipelines.walk import StartRefused
from .places import RehearsalError
from .progress import Screen
from .rehearsal import Rehearsal
from .report import report, write_report
from .settings import FILE_NAME, Settings, SettingsError, read_settings
from .stacks.stacks import StackFailed
from .stacks.template import TemplateRefused
from .traffic import DEFAULT_PER_SECOND, MOST_PER_SECOND

_USERS_FAULT = (
    *(ApiError, AssemblyError, DockerfileError, PatternError, PlanError, PolicyError, RehearsalError),
    *(SettingsError, StackFailed, StartRefused, TemplateRefused),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("app", type=Path, help="folder of the CDK app: cdk.json and, if you like, rehearsal.toml")
    parser.add_argument("--assembly", type=Path, metavar="DIR", help="rehearse this cloud assembly, do not synthesize")
    parser.add_argument(
        "--data", action="append", default=[], metavar="KEY=FILE", help="put FILE there before the first execution"
    )
    parser.add_argument("--approve", choices=("yes", "no", "ask"), help="how approvals are answered")
    parser.add_argument(
        "--traffic",
        nargs="?",
        type=float,
        const=DEFAULT_PER_SECOND,
        metavar="REQUESTS_PER_SECOND",
        help=f"send the sample requests all the while, {DEFAULT_PER_SECOND:g} a second to each endpoint by default",
    )
    parser.add_argument("--first-only", action="store_true", help=f"leave out what [[then]] lists in {FILE_NAME}")
    parser.add_argument("--out", type=Path, default=Path("rehearsal.out"), metavar="DIR", help="where results go")
    parser.add_argument("--keep", action="store_true", help="leave the endpoints serving until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """Rehearse; 0 only if the pipeline succeeded."""
    console = Console(soft_wrap=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _rehearse(arguments, console)
    except _USERS_FAULT as refusal:
        console.print(f"[bold red]rehearsal failed:[/] {escape(str(refusal))}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("[bold]interrupted[/]: every process of the rehearsal is stopped")
        return 130


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _rehearse(arguments: argparse.Namespace, console: Console) -> int:
    started = time.monotonic()
    settings = read_settings(arguments.app)
    if arguments.approve:
        settings = replace(settings, approve=arguments.approve)
    if arguments.first_only:
        settings = replace(settings, then=())
    traffic = settings.traffic if arguments.traffic is None else arguments.traffic
    _check_traffic(traffic, settings)
    data = dict(_data(each) for each in arguments.data)
    out: Path = arguments.out.resolve()
    _check_out(out)
    # Whatever can be refused is refused before what an earlier rehearsal has left is deleted.
    source = read_app(arguments.app) if arguments.assembly is None else _assembly(arguments.assembly.resolve(), out)
    _empty(out)
    if isinstance(source, Assembly):
        assembly = source
    else:
        with console.status("synthesizing the app"):
            assembly = synthesize(source, out / "cdk.out")
        console.print(f"synthesized {arguments.app} in {time.monotonic() - started:.1f} s", highlight=False)
    with Screen(console, out / "logs") as screen:
        rehearsal = Rehearsal(
            assembly=assembly,
            settings=settings,
            out=out,
            cache=cache_folder(),
            audience=screen,
            data=data,
            requests_per_second=traffic,
        )
        with rehearsal.on_stage():
            return _perform(rehearsal, console, keep=arguments.keep, started=started)


def _perform(rehearsal: Rehearsal, console: Console, *, keep: bool, started: float) -> int:
    refusal = ""
    try:
        succeeded = rehearsal.run()
    except _USERS_FAULT as problem:
        refusal = str(problem)
        raise
    except KeyboardInterrupt:
        refusal = "interrupted"
        raise
    finally:
        rehearsal.seconds = round(time.monotonic() - started, 2)
        write_report(report(rehearsal, refusal), rehearsal.out)
    where = _shown(rehearsal.out / "report.json")
    console.print(f"{rehearsal.seconds:.1f} s in all; the report is {where}", highlight=False)
    if keep and succeeded:
        _keep_serving(rehearsal, console)
    return 0 if succeeded else 1


def _keep_serving(rehearsal: Rehearsal, console: Console) -> None:
    for endpoint in rehearsal.endpoints.all:
        request = next((each for each in rehearsal.settings.requests if each.endpoint == endpoint.name), None)
        body = request.body if request else "..."
        content_type = request.content_type if request else "text/csv"
        address = f"{rehearsal.gateway.open_door()}/endpoints/{endpoint.name}/invocations"
        console.print(
            f"{endpoint.name} is serving: curl -s {address} -H 'Content-Type: {content_type}' -d '{body}'",
            highlight=False,
        )
    gateway = rehearsal.gateway
    variables = gateway.root.environment(gateway.endpoint, gateway.region)
    console.print("for 'ml-release versions' and 'ml-release roll-back' in another terminal:", highlight=False)
    console.print(f"  export {' '.join(f'{name}={value}' for name, value in variables.items())}", highlight=False)
    console.print(f"  ml-release versions --pipeline {next(iter(rehearsal.walkers))}", highlight=False)
    console.print("Ctrl-C ends it")
    while True:
        time.sleep(1)


def cache_folder() -> Path:
    """What is kept between rehearsals: ``$XDG_CACHE_HOME/cdk-ml-release`` or ``~/.cache/cdk-ml-release``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cdk-ml-release"


def _data(argument: str) -> tuple[str, Path]:
    key, _, path = argument.partition("=")
    if not key or not path or not Path(path).is_file():
        raise RehearsalError(f"'--data' must be KEY=FILE with a file that exists, got '{argument}'")
    return key, Path(path).resolve()


def _check_traffic(per_second: float, settings: Settings) -> None:
    if not 0 <= per_second <= MOST_PER_SECOND:
        raise RehearsalError(f"'--traffic' must be above 0 and at most {MOST_PER_SECOND:g}, got {per_second:g}")
    if per_second and not settings.requests and not any(event.send for event in settings.then):
        raise RehearsalError(f"'--traffic' needs something to send: add [[requests]] to {FILE_NAME}")


def _assembly(folder: Path, out: Path) -> Assembly:
    if folder.is_relative_to(out):
        raise RehearsalError(
            f"'--assembly' must not be within '--out', which is emptied first, got '{_shown(folder)}'; "
            "give another '--out'"
        )
    return Assembly(folder)


def _check_out(out: Path) -> None:
    """Refuse a folder whose contents are not an earlier rehearsal's."""
    if out.exists() and any(out.iterdir()) and not (out / ".rehearsal").is_file():
        raise RehearsalError(f"'--out' must be an empty folder or an earlier rehearsal's, got '{_shown(out)}'")


def _empty(out: Path) -> None:
    """Make room for this rehearsal."""
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / ".rehearsal").touch()


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
