"""``ml-release versions`` and ``ml-release roll-back``: from the command line to an account, or to a rehearsal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

_MOST_VERSIONS = 20


def add_versions(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of ``versions``."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--pipeline", metavar="NAME", help="the pipeline that releases the model")
    which.add_argument("--model", metavar="NAME", help="the model")
    parser.add_argument("--most", type=int, default=_MOST_VERSIONS, metavar="N", help="how many, newest first")
    parser.set_defaults(run=_versions)


def add_roll_back(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of ``roll-back``."""
    parser.add_argument("--pipeline", required=True, metavar="NAME", help="the pipeline that releases the model")
    parser.add_argument("--model", metavar="NAME", help="which model, if the pipeline releases several")
    parser.add_argument("--to", type=int, metavar="VERSION", help="default: what was in service before")
    parser.set_defaults(run=_roll_back)


def _versions(arguments: argparse.Namespace) -> int:
    def show() -> None:
        from . import show

        show.versions(arguments.pipeline, arguments.model, arguments.most)

    return _said(show)


def _roll_back(arguments: argparse.Namespace) -> int:
    def start() -> None:
        from . import roll_back

        roll_back.roll_back(arguments.pipeline, arguments.model, arguments.to)

    return _said(start)


def _said(work: Callable[[], None]) -> int:
    """Do the work; what a person can mend is one line and exit status 1."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError

        from .pipeline import VersionsError
    except ModuleNotFoundError as missing:
        return _refused(f"this needs the module '{_package(missing)}': pip install 'cdk-ml-release[rehearsal]'")
    try:
        work()
    except ModuleNotFoundError as missing:
        return _refused(f"this needs the module '{_package(missing)}': pip install 'cdk-ml-release[rehearsal]'")
    # AWS's own words tell what is missing: credentials, a region, a right.
    except (VersionsError, BotoCoreError, ClientError) as refusal:
        return _refused(" ".join(str(refusal).split()))
    return 0


def _refused(reason: str) -> int:
    print(f"ml-release: {reason}", file=sys.stderr)
    return 1


def _package(missing: ModuleNotFoundError) -> str:
    return (missing.name or "").partition(".")[0]
