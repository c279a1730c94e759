"""A build's ``python3``: hands the program to the warm process, or runs Python itself. See ``warm_python``.

It is a program, not a module: it loads nothing that it can do without.
"""

import json
import os
import socket
import sys


def main(address: str, python: str, arguments: list[str]) -> int:
    """Run a program.

    Args:
        address: The socket of the warm process.
        python: What runs everything that the warm process does not.
        arguments: What Python was called with.

    Returns:
        The program's exit status.
    """
    # Python reads these before it begins: it is too late for them in a process that has begun.
    early = [name for name in os.environ if name.startswith("PYTHON") or name == "TZ"]
    if arguments[:2] != ["-P", "-c"] or early:
        os.execv(python, [python, *arguments])
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        os.execv(python, [python, *arguments])
    order = json.dumps([arguments[2], arguments[3:], os.getcwd(), dict(os.environ)]).encode()  # noqa: PTH109
    try:
        socket.send_fds(connection, [len(order).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(order)
        status = connection.recv(1)
    except OSError:
        status = b""
    if not status:
        print("python3: the process that runs the programs of builds has ended: rehearse again", file=sys.stderr)
        return 1
    return status[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
