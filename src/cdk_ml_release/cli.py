"""The command ``ml-release``."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        # Before there was anything to stop: what runs is stopped by the command itself.
        return 130


def _run(arguments: list[str] | None) -> int:
    try:
        from .rehearsal import command
    except ModuleNotFoundError as missing:
        print(
            f"ml-release needs the module '{missing.name}': install it with pip install 'cdk-ml-release[rehearsal]'",
            file=sys.stderr,
        )
        return 1
    parser = argparse.ArgumentParser(prog="ml-release", description="Continuous release of machine-learning models.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    rehearse = verbs.add_parser("rehearse", help="run the declared pipeline on this machine")
    command.add_arguments(rehearse)
    return command.run(parser.parse_args(arguments))
