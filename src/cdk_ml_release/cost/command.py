"""``ml-release cost``: from the command line to a bill."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from .assembly import CostError
from .assumptions import Assumptions
from .bill import estimate
from .page import page

_OPTIONS = {
    "releases": "releases a month",
    "container_minutes": "how long a container image is built",
    "build_minutes": "how long every other build takes, besides its waiting",
    "deploy_minutes": "how long an endpoint is updated",
    "shadow_minutes": "how long a new version shadows the one in service",
    "monitor_minutes": "how long the job of a monitor's window runs",
    "requests": "requests to every serverless endpoint a month",
    "request_seconds": "how long a serverless endpoint works on one",
    "bucket_gb": "what every bucket stores",
    "images_gb": "what every image repository stores",
    "hosting_volume_gb": "the volume of a hosting instance whose template states none",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("assembly", type=Path, help="the folder that 'cdk synth' wrote, such as cdk.out")
    parser.add_argument(
        "--job-minutes",
        type=_job_minutes,
        action="append",
        default=[],
        metavar="[JOB=]N",
        help=f"how long jobs run, or one of them: 20, train=20; repeatable; {Assumptions.job_minutes:g} by default",
    )
    defaults = {each.name: each.default for each in fields(Assumptions)}
    for name, words in _OPTIONS.items():
        option = f"--{name.replace('_', '-')}"
        text = f"{words}; {defaults[name]:g} by default"
        parser.add_argument(option, type=_amount, default=defaults[name], metavar="N", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Print the bill; 0 if there is one, whatever of it is unknown."""
    try:
        bill = estimate(arguments.assembly, _assumptions(arguments))
    except CostError as refusal:
        print(f"no estimate: {refusal}", file=sys.stderr)
        return 1
    try:
        for line in page(bill):
            print(line.rstrip())
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, as "head" has; nothing may be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _assumptions(arguments: argparse.Namespace) -> Assumptions:
    given: Sequence[tuple[str, float]] = arguments.job_minutes
    general = [minutes for job, minutes in given if not job]
    return Assumptions(
        job_minutes=general[-1] if general else Assumptions.job_minutes,
        minutes_by_job={job: minutes for job, minutes in given if job},
        **{name: getattr(arguments, name) for name in _OPTIONS},
    )


def _job_minutes(text: str) -> tuple[str, float]:
    job, _, minutes = text.rpartition("=")
    return job, _amount(minutes)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of 0 or more, got '{text}'")
    return amount
