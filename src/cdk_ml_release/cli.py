"""The command ``ml-release``."""

from __future__ import annotations

import argparse
import sys

from .cost import command as cost
from .monitor import command as monitor
from .versions import command as versions

_LIGHT = ("cost", "monitor", "versions", "roll-back")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        # Before there was anything to stop: what runs is stopped by the command itself.
        return 130


def _run(arguments: list[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="ml-release", description="Continuous release of machine-learning models.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    priced = verbs.add_parser("cost", help="estimate what the declared pipeline costs")
    cost.add_arguments(priced)
    priced.set_defaults(run=cost.run)
    monitor.add_arguments(verbs.add_parser("monitor", help="compare what an endpoint was asked with its baseline"))
    words = sys.argv[1:] if arguments is None else arguments
    versions.add_versions(verbs.add_parser("versions", help="list a model's registered versions"))
    versions.add_roll_back(verbs.add_parser("roll-back", help="release a version that was in service before"))
    # What the rehearsal needs may not be there, and takes time to load.
    if not words or words[0] not in _LIGHT:
        try:
            from .rehearsal import command
        except ModuleNotFoundError as missing:
            print(
                f"ml-release needs the module '{missing.name}': "
                "install it with pip install 'cdk-ml-release[rehearsal]'",
                file=sys.stderr,
            )
            return 1
        rehearse = verbs.add_parser("rehearse", help="run the declared pipeline on this machine")
        command.add_arguments(rehearse)
        rehearse.set_defaults(run=command.run)
    chosen = parser.parse_args(arguments)
    status: int = chosen.run(chosen)
    return status
