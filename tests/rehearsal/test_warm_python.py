"""A program in the builds' warm Python cannot tell that it was not started on its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdk_ml_release.rehearsal.pipelines import warm_python

LOADED = "import sys; print('botocore.session' in sys.modules)"


@pytest.fixture
def python3(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the builds' python3 in a build's environment."""
    warm_python.install(tmp_path)

    def started(*arguments: str, cwd: Path = tmp_path, **variables: str) -> subprocess.Popen[str]:
        environment = {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}", **variables}
        return subprocess.Popen(
            ["python3", *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return started


@pytest.fixture
def run(python3: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    """Runs a program to its end: exit status, output and errors."""

    def ran(code: str, *arguments: str, given: str = "", **options: Any) -> tuple[int, str, str]:
        process = python3("-P", "-c", code, *arguments, **options)
        out, err = process.communicate(given, timeout=30)
        return process.returncode, out, err

    return ran


def test_it_has_loaded_boto3_before_it_is_asked(run):
    assert run(LOADED) == (0, "True\n", "")


def test_a_program_has_arguments_variables_folder_and_input_of_its_own(run, tmp_path):
    (tmp_path / "here").mkdir()
    code = "import json, os, sys; print(json.dumps([sys.argv, dict(os.environ), os.getcwd(), sys.stdin.read()]))"

    _, out, _ = run(code, "one", "two words", given="asked", cwd=tmp_path / "here", COLOUR="grün")

    argv, environ, folder, given = json.loads(out)
    assert (argv, folder, given) == (["-c", "one", "two words"], str(tmp_path / "here"), "asked")
    assert environ["COLOUR"] == "grün"
    assert "HOME" not in environ, "the warm process's own variables are not the program's"


def test_a_clients_credentials_are_those_of_its_build(run):
    code = "import boto3; print(boto3.client('s3').meta.region_name, boto3.Session().get_credentials().access_key)"
    builds = [
        {"AWS_DEFAULT_REGION": f"eu-west-{number}", "AWS_ACCESS_KEY_ID": f"KEY{number}", "AWS_SECRET_ACCESS_KEY": "x"}
        for number in (1, 2)
    ]

    assert [run(code, **each)[1] for each in builds] == ["eu-west-1 KEY1\n", "eu-west-2 KEY2\n"]


@pytest.mark.parametrize(
    ("code", "status", "last"),
    [
        ("pass", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("import sys; sys.exit('no data')", 1, "no data"),
        ("import runpy; runpy.run_module('missing')", 1, "ImportError: No module named missing"),
        ("1/0", 1, "ZeroDivisionError: division by zero"),
        ("1 +", 1, "SyntaxError: invalid syntax"),
    ],
)
def test_it_ends_as_python_ends(run, code, status, last):
    ended, _, err = run(code)

    assert (ended, err.splitlines()[-1:]) == (status, [last] if last else [])


def test_a_traceback_begins_with_the_program(run):
    _, _, err = run("def f():\n    raise ValueError('here')\nf()")

    lines = err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "<string>", line 3, in <module>'


def test_what_a_program_was_to_do_at_its_end_is_done(run):
    assert run("import atexit; atexit.register(print, 'done'); print('begun')")[1] == "begun\ndone\n"


def test_a_program_that_a_signal_ends_has_the_status_that_a_shell_gives(run):
    assert run("import os; os.kill(os.getpid(), 9)")[0] == 128 + 9


@pytest.mark.parametrize("started", ["exec sleep 60", "trap '' TERM; sleep 60; sleep 60"])
def test_a_program_ends_with_its_caller_and_takes_what_it_has_started_along(python3, started):
    code = f"import subprocess; p = subprocess.Popen(['sh', '-c', {started!r}]); print(p.pid, flush=True); p.wait()"
    process = python3("-P", "-c", code)
    assert process.stdout
    sleeping = int(process.stdout.readline())

    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    assert _gone(sleeping)


def _gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["-c", LOADED], {}),
        (["-S", "-c", LOADED], {}),
        (["-P", "-c", LOADED], {"PYTHONUTF8": "1"}),
        (["-P", "-c", LOADED], {"TZ": "Europe/Berlin"}),
    ],
)
def test_what_python_reads_at_its_start_gets_a_python_of_its_own(python3, arguments, variables):
    out, err = python3(*arguments, **variables).communicate(timeout=30)

    assert (out, err) == ("False\n", "")


def test_a_program_whose_warm_process_is_gone_says_so(tmp_path):
    *client, _, _ = warm_python.command()
    with socket.socket(socket.AF_UNIX) as dying:
        dying.bind(str(tmp_path / "socket"))
        dying.listen()
        command = [*client, str(tmp_path / "socket"), sys.executable, "-P", "-c", "pass"]
        process = subprocess.Popen(command, env={}, stderr=subprocess.PIPE, text=True)
        dying.accept()[0].close()
        _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert err == "python3: the process that runs the programs of builds has ended: rehearse again\n"


def test_it_ends_with_whoever_has_started_it(tmp_path):
    code = (
        "import sys, pathlib; from cdk_ml_release.rehearsal.pipelines import warm_python; "
        "print(warm_python.command()[-2])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)

    assert not Path(done.stdout.strip()).exists(), "its last act is to remove its socket"
