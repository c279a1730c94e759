"""The Python of the builds: a process that has loaded boto3 already, of which every program is a copy.

To load boto3 and what it knows of AWS's services takes more than half of the processor time of a build, and a release
has seven of them. A build's ``python3 -P -c`` therefore runs in a fork of one process, with arguments, variables,
folder, input and output of its own. Every other way to call Python starts it as usual.
"""

from __future__ import annotations

import atexit
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_CLIENT, _SERVER = _FOLDER / "warm_python_client.py", _FOLDER / "warm_python_server.py"


def install(bin_dir: Path) -> None:
    """Write an executable ``python3`` into a folder that a build has on its PATH."""
    script = bin_dir / "python3"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n')
    script.chmod(0o755)


def command() -> list[str]:
    """What to call instead of Python; the process behind it ends with this one."""
    # The client needs no packages, and neither the time that it takes to look for them.
    return [sys.executable, "-I", "-S", str(_CLIENT), str(_warm_process()), sys.executable]


@cache
def _warm_process() -> Path:
    """Start the process: one for all rehearsals of this process.

    Returns:
        The socket that it answers at.
    """
    # Short, as the paths of sockets must be. It is the server's to remove.
    folder = Path(tempfile.mkdtemp(prefix="python-"))
    address = folder / "socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(64)
    # It must read no settings of the user's, and its session is its own: Ctrl-C is for the rehearsal, which ends it.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8"}
    server = subprocess.Popen(
        [sys.executable, "-P", str(_SERVER), str(listener.fileno())],
        cwd=folder,
        env=environment,
        pass_fds=[listener.fileno()],
        stdin=subprocess.PIPE,  # closed by the end of this process, however it comes
        stdout=subprocess.DEVNULL,  # but its errors are the rehearsal's: they tell why it did not start
        start_new_session=True,
    )
    listener.close()
    atexit.register(server.communicate)
    return address
