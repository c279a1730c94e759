"""How each of the programs begins and ends."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from .contract import StageFailed


def run(work: Callable[[Mapping[str, str]], Mapping[str, str]]) -> int:
    """Do the work; export what it returns to later actions.

    Args:
        work: Takes the environment, returns the variables to export, and raises ``StageFailed`` if the release
            cannot go on. Any other exception is a bug and keeps its traceback.

    Returns:
        The program's exit status. The reason of a failure is the last line that is printed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Both end in one log: line by line they stay in order. A container may print what cannot be encoded.
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        exports = work(os.environ)
    except StageFailed as refusal:
        # In one line, for a container's own reason may have several.
        print(f"stage failed: {' '.join(str(refusal).split())}", file=sys.stderr, flush=True)
        return 1
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in exports.items()]
    Path(os.environ["ML_HOME"], "exports").write_text("".join(lines), encoding="utf-8")
    return 0
