"""The warm process: it has loaded what builds load, and forks once for every program. See ``warm_python``.

It is a program, not a module of the rehearsal's: its process must be nothing but a Python that has loaded boto3.
"""

import contextlib
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
import types

import boto3

_SERVICES = ("cloudformation", "ecr", "logs", "s3", "sagemaker", "sagemaker-runtime")
_STOP_GRACE_SECONDS = 3.0


def main(listener: socket.socket) -> None:
    """Run programs until the rehearsal ends, which closes this process's input."""
    _load()
    # What is loaded stays loaded: no copy of this process looks through it for what it could throw away.
    gc.freeze()
    # Nobody waits for those who look after a program.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            shutil.rmtree(os.environ["HOME"], ignore_errors=True)
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            return _look_after(connection)
        connection.close()


def _load() -> None:
    """Have the default session read what it knows of the services: that takes as long again as to load boto3."""
    for service in _SERVICES:
        boto3.client(service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")


def _look_after(connection: socket.socket) -> None:
    """Run the program that a client asks for, and tell it the exit status."""
    length, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        code, arguments, folder, variables = json.loads(stream.read(int.from_bytes(length, "big")))
    program = os.fork()
    if program == 0:
        connection.close()
        return _become(code, arguments, folder, variables, descriptors)
    for each in descriptors:
        os.close(each)
    gone = threading.Event()
    threading.Thread(target=_end_with, args=(connection, gone, program), daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    if gone.is_set():
        # What it has started may not have heeded the first signal.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program, signal.SIGKILL)
    with contextlib.suppress(OSError):
        connection.send(bytes([status if status >= 0 else 128 - status]))
    os._exit(0)


def _end_with(connection: socket.socket, gone: threading.Event, program: int) -> None:
    """End the program, and what it has started, with its client."""
    connection.recv(1)
    gone.set()
    for each in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program, each)
        time.sleep(_STOP_GRACE_SECONDS)


def _become(code: str, arguments: list[str], folder: str, variables: dict[str, str], descriptors: list[int]) -> None:
    """Be the program, as if Python had been started for it."""
    os.setsid()
    for number, each in enumerate(descriptors):
        os.dup2(each, number)
        os.close(each)
    # The streams that Python made at its start belong to the descriptors of then.
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["-c", *arguments]
    program = types.ModuleType("__main__")
    sys.modules["__main__"] = program
    try:
        exec(compile(code, "<string>", "exec"), program.__dict__)
    except Exception as error:
        # Without this function's own frame.
        traceback.print_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
        sys.exit(1)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
