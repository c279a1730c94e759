"""``python -m cdk_ml_release.drift``: the program of the monitor's container."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..runtime import aws
from ..runtime.contract import StageFailed
from ..runtime.monitor_settings import MonitorSettings
from . import monitor
from .findings import told
from .thresholds import threshold
from .window import Window

# What SageMaker calls the ExitMessage of a job; it reads no more of it.
_LONGEST_MESSAGE = 1000


def main(arguments: Sequence[str], env: Mapping[str, str], client: Callable[[str], Any] = aws.client) -> int:
    """Watch the window that the command line names.

    Args:
        arguments: The arguments of the job.
        env: Its environment.
        client: Gives the client of an AWS service.

    Returns:
        0 if the window was watched, whatever was found; 1 if a person must mend something first.
    """
    chosen = _parser().parse_args(arguments)
    try:
        settings = _settings(env)
        window = _window(chosen, settings)
        outcomes = monitor.run(settings, window, dict(map(threshold, chosen.threshold)), client)
    except StageFailed as refusal:
        return _failed(" ".join(str(refusal).split()), env)
    for outcome in outcomes:
        print(f"{settings.endpoint_name}, version {outcome.version}, {window}: {outcome.status}")
        for line in told(outcome, settings):
            print(f"  {line}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="drift", description="Compare a window of captured records.")
    parser.add_argument("--scheduled", metavar="TIME", help="the window ended with the last full hour before this time")
    parser.add_argument("--start", metavar="TIME", help="or it starts here")
    parser.add_argument("--end", metavar="TIME", help="and ends here")
    parser.add_argument("--threshold", metavar="FEATURE=VALUE", action="append", default=[])
    return parser


def _settings(env: Mapping[str, str]) -> MonitorSettings:
    try:
        return MonitorSettings.from_environment(env)
    except KeyError as missing:
        raise StageFailed(f"the environment has no {missing}: deploy the monitor again") from None
    except ValueError as error:
        raise StageFailed(f"the monitor's settings are wrong: {error}") from None


def _window(chosen: argparse.Namespace, settings: MonitorSettings) -> Window:
    if chosen.scheduled and not chosen.start and not chosen.end:
        return Window.scheduled(chosen.scheduled, settings.every_hours)
    if chosen.start and chosen.end and not chosen.scheduled:
        return Window.between(chosen.start, chosen.end)
    raise StageFailed("which window is not said: give --scheduled TIME, or --start TIME and --end TIME")


def _failed(reason: str, env: Mapping[str, str]) -> int:
    print(f"monitoring failed: {reason}", file=sys.stderr)
    output = Path(env.get("SAGEMAKER_BASE_DIR", "/opt/ml"), "output")
    if output.is_dir():
        Path(output, "message").write_text(reason[:_LONGEST_MESSAGE], encoding="utf-8")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
