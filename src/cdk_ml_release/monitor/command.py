"""``ml-release monitor``: from the command line to captured files, or to an account."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of ``monitor``."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--capture", metavar="PATH", help="compare these: a file, a folder or an S3 prefix")
    which.add_argument("--endpoint", metavar="NAME", help="or run the monitor of this endpoint on the account now")
    parser.add_argument("--baseline", metavar="PATH", help="with --capture: folder or S3 prefix of a run's baseline")
    parser.add_argument("--out", metavar="FOLDER", help="with --capture: where report and results are written")
    parser.add_argument("--start", metavar="TIME", help="only what was asked from here on, such as 2026-01-31T13:00")
    parser.add_argument("--end", metavar="TIME", help="and before then")
    parser.add_argument(
        "--threshold",
        metavar="FEATURE=VALUE",
        action="append",
        default=[],
        help="with --capture: from which distance on this feature has drifted",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare captured files, or start the monitor; returns the exit status, which is 0 whatever is found."""
    if (arguments.start is None) != (arguments.end is None):
        return _refused("a window has a start and an end: give both --start and --end, or neither")
    if arguments.endpoint is not None:
        given = [name for name in ("baseline", "out", "threshold") if getattr(arguments, name)]
        if given:
            return _refused(f"the monitor of an endpoint knows its own settings: leave out --{given[0]}")
        return _said(lambda: _start(arguments))
    if arguments.baseline is None:
        return _refused("there is nothing to compare with: give --baseline, such as the folder runs/<execution id>")
    return _said(lambda: _compare(arguments))


def _start(arguments: argparse.Namespace) -> None:
    from . import start

    start.start(arguments.endpoint, arguments.start, arguments.end)


def _compare(arguments: argparse.Namespace) -> None:
    from . import compare

    compare.compare(
        arguments.capture,
        arguments.baseline,
        out=arguments.out,
        between=(arguments.start, arguments.end) if arguments.start is not None else None,
        thresholds=arguments.threshold,
    )


def _said(work: Callable[[], None]) -> int:
    """Do the work; what a person can mend is one line and exit status 1."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError

        from ..runtime.contract import StageFailed

        try:
            work()
        # AWS's own words tell what is missing: credentials, a region, a right.
        except (StageFailed, BotoCoreError, ClientError) as refusal:
            return _refused(" ".join(str(refusal).split()))
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        return _refused(f"this needs the module '{package}': pip install 'cdk-ml-release[drift]'")
    return 0


def _refused(reason: str) -> int:
    print(f"ml-release: {reason}", file=sys.stderr)
    return 1
