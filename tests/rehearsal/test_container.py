"""Containers: a rehearsed image's entry point runs as Docker would run it, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cdk_ml_release.rehearsal.containers.container import Container, ContainerError
from cdk_ml_release.rehearsal.containers.container_paths import namespaces_work, plan_paths
from cdk_ml_release.rehearsal.containers.image import build_image

MAIN = """#!/usr/bin/env python3
import json, os, pathlib, sys
base = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
print(json.dumps({
    "arguments": sys.argv[1:], "base": str(base), "environment": dict(os.environ), "file": __file__,
    "folder": os.getcwd(), "prefix": sys.prefix, "opt": sorted(os.listdir("/opt")),
    "read": (base / "input.txt").read_text() if (base / "input.txt").exists() else None,
    "code": (base / "code" / "a.py").exists(),
}))
(base / "model").mkdir(exist_ok=True)
(base / "model" / "weights").write_text("trained")
pathlib.Path("scratch").write_text("mine")
"""

# elsewhere a process that leaves its group is beyond our reach
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a program's descendants")


@pytest.fixture(params=["namespaces", "translated paths"])
def mode(request, monkeypatch):
    """Both ways to play /opt/ml; the first only where this machine allows it."""
    if request.param == "translated paths":
        monkeypatch.setenv("ML_REHEARSAL_NAMESPACES", "off")
    elif not namespaces_work():
        pytest.skip("this machine has no namespaces for this user")
    return request.param


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def opt_ml(tmp_path):
    folder = tmp_path / "opt-ml"
    folder.mkdir()
    return folder


@pytest.fixture
def image(tmp_path, cache):
    """Builds an image from the lines of a Dockerfile and files for /opt/program, all of them executable."""

    def image(lines, **files):
        context = tmp_path / "context"
        context.mkdir(exist_ok=True)
        for name, text in files.items():
            (context / name).write_text(text)
            (context / name).chmod(0o755)
        head = "FROM python:3.11\nENV PATH=/opt/program:$PATH\nCOPY . /opt/program/\nWORKDIR /opt/program\n"
        (context / "Dockerfile").write_text(head + lines)
        return build_image(context, store=tmp_path / "store", cache=cache)

    return image


@pytest.fixture
def start(opt_ml):
    """Starts containers, collects their lines in ``start.lines``, and stops those that still run."""
    started = []

    def start(image, *arguments, environment=None, entrypoint=None):
        container = Container.start(
            image, arguments, opt_ml=opt_ml, environment=environment or {},
            log=start.lines.append, entrypoint=entrypoint,
        )  # fmt: skip
        started.append(container)
        return container

    start.lines = []
    yield start
    for container in started:
        container.stop(0)


def told(start):
    return json.loads(start.lines[0])


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def is_alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state) and not state.startswith("Z")


# --- what the program sees ------------------------------------------------------------------------


def test_a_program_meets_the_container_contract(mode, image, start, opt_ml):
    (opt_ml / "input.txt").write_text("data")
    built = image("ENV WHERE=/opt/program/main\nENTRYPOINT ['x']", main=MAIN)

    status = start(built, "train", environment={"JOB": "one"}, entrypoint=["main"]).wait(20)

    seen = told(start)
    assert status == 0
    assert (seen["arguments"], seen["read"]) == (["train"], "data")
    assert Path(seen["prefix"]) == built.python
    assert seen["environment"]["JOB"] == "one"
    assert Path(seen["environment"]["WHERE"]).name == "main"
    assert (opt_ml / "model" / "weights").read_text() == "trained"


@pytest.mark.skipif(not namespaces_work(), reason="this machine has no namespaces for this user")
def test_paths_are_real_where_the_machine_allows_it(image, start, opt_ml):
    before = sorted(entry.name for entry in Path("/opt").iterdir())
    mounts = Path("/proc/self/mountinfo").read_text()
    built = image("COPY main /app/main\nCOPY main /usr/src/app/\nCOPY main /etc/made/\nWORKDIR /app", main=MAIN)

    start(built, "/usr/src/app/main", "/etc/made/main").wait(20)

    seen = told(start)
    assert (seen["base"], seen["folder"], seen["file"]) == ("/opt/ml", "/app", "/usr/src/app/main")
    assert seen["arguments"] == ["/etc/made/main"]
    assert set(seen["opt"]) == {*before, "ml", "program"}
    assert "SAGEMAKER_BASE_DIR" not in seen["environment"]
    # and this machine knows nothing of it
    assert sorted(entry.name for entry in Path("/opt").iterdir()) == before
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not Path("/app").exists()


def test_paths_are_translated_where_it_does_not(monkeypatch, image, start, opt_ml):
    monkeypatch.setenv("ML_REHEARSAL_NAMESPACES", "off")
    built = image("ENV LIBRARIES=/opt/program:/usr/lib URL=http://host/opt/program", main=MAIN)

    start(built, "main", "--model=/opt/ml/model/", "/opt/program/main", "/opt/absent").wait(20)

    seen = told(start)
    program = seen["folder"]
    assert seen["environment"]["SAGEMAKER_BASE_DIR"] == str(opt_ml)
    assert seen["arguments"] == [f"--model={opt_ml}/model/", f"{program}/main", "/opt/absent"]
    assert seen["environment"]["LIBRARIES"] == f"{program}:/usr/lib"
    assert seen["environment"]["URL"] == "http://host/opt/program"
    assert program.endswith("/root/opt/program")


@pytest.mark.skipif(not namespaces_work(), reason="this machine has no namespaces for this user")
@pytest.mark.parametrize("place", ["/opt/program/venv", "/opt/ml/data", "/srv-of-image/x"])
def test_an_image_that_would_hide_what_the_program_needs_gets_translated_paths(tmp_path, place):
    (tmp_path / "srv-of-image").mkdir()
    (tmp_path / "opt" / "program").mkdir(parents=True)

    assert plan_paths(tmp_path, tmp_path / "ml", [Path(place)]).layout is None
    assert plan_paths(tmp_path, tmp_path / "ml", [Path("/opt/other"), tmp_path]).layout


def test_nothing_of_this_machine_s_environment_comes_in(mode, image, start, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")

    start(image("ENV A=image B=image", main=MAIN), "main", environment={"B": "given"}).wait(20)

    environment = told(start)["environment"]
    essentials = {"HOME", "LANG", "PATH", "TMPDIR"}
    assert (environment["A"], environment["B"]) == ("image", "given")
    assert set(environment) - essentials - {"LC_CTYPE"} <= {
        *("A", "B", "SAGEMAKER_BASE_DIR", "SSL_CERT_DIR", "SSL_CERT_FILE")
    }
    assert environment["HOME"] != os.environ.get("HOME")


def test_what_a_program_writes_beside_its_code_does_not_outlive_it(mode, image, start):
    built = image("", main=MAIN)

    start(built, "main").wait(20)

    assert not (built.root / "opt" / "program" / "scratch").exists()
    assert list((built.root.parent / "containers").iterdir()) == []
    assert not Path(told(start)["environment"]["TMPDIR"]).exists()


def test_code_that_the_image_has_in_opt_ml_is_there_for_the_program_only(mode, image, start, opt_ml):
    start(image("COPY a.py /opt/ml/code/", main=MAIN, **{"a.py": ""}), "main").wait(20)

    assert told(start)["code"] is True
    assert [entry.name for entry in opt_ml.iterdir()] == ["model"]


# --- what is run ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "arguments", "options", "expected"),
    [
        ('ENTRYPOINT ["echo", "a"]', ["b"], {}, "a b"),
        ('ENTRYPOINT ["echo", "a"]\nCMD ["c"]', [], {}, "a c"),
        ('ENTRYPOINT ["echo", "a"]\nCMD ["c"]', ["b"], {}, "a b"),
        ('CMD ["echo", "c"]', [], {}, "c"),
        ("ENTRYPOINT echo $HOSTILE shell", ["ignored"], {"environment": {"HOSTILE": "to"}}, "to shell"),
        ('ENTRYPOINT ["false"]\nCMD ["c"]', ["b"], {"entrypoint": ["echo", "e"]}, "e b"),
        ("", ["say", "x"], {}, "said x"),
        ("", ["./say", "x"], {}, "said x"),
        ("", ["/opt/program/say", "x"], {}, "said x"),
        ("", ["/usr/local/bin/python3.12", "-c", "print(1 + 1)"], {}, "2"),
    ],
)
def test_entry_point_and_arguments_follow_docker_run(mode, image, start, lines, arguments, options, expected):
    built = image(lines, say='#!/bin/sh\necho said "$@"\n')

    assert start(built, *arguments, **options).wait(20) == 0
    assert start.lines == [expected]


@pytest.mark.parametrize("first", ["/usr/local/bin/python3", "/opt/venv/bin/python", "/usr/bin/env python3.9"])
def test_a_script_for_any_python_of_the_container_gets_its_environment(mode, image, start, first):
    built = image("", main=f"#!{first}\nimport sys; print(sys.prefix)\n")

    start(built, "main").wait(20)

    assert start.lines == [str(built.python)]


@pytest.mark.parametrize(
    ("lines", "arguments", "problem"),
    [
        ("", ["train"], r'^"train" is not an executable on the image\'s PATH \(/opt/program:/usr/local/'),
        ("", ["/opt/program/absent"], '"/opt/program/absent" is not an executable'),
        ("", [sys.executable + "-config"], "is not an executable"),
        ("RUN chmod 644 main", ["main"], '"main" is not executable: .* RUN chmod \\+x /opt/program/main'),
        ("", ["noformat"], "'noformat' cannot be started: Exec format error; a script needs a first line"),
        ("", ["nointerpreter"], "'nointerpreter' cannot be started: No such file or directory"),
        ("", [], "no ENTRYPOINT and no CMD"),
    ],
)
def test_fails_when_the_program_cannot_be_run(mode, image, start, opt_ml, lines, arguments, problem):
    built = image(lines, main=MAIN, noformat="text", nointerpreter="#!/absent/interpreter\n")

    with pytest.raises(ContainerError, match=problem):
        start(built, *arguments)
    assert list((built.root.parent / "containers").iterdir()) == []


# --- lines and ends -------------------------------------------------------------------------------


def test_every_line_is_there_when_the_program_has_ended(mode, image, start):
    script = "for i in $(seq 2000); do echo out $i; echo err $i >&2; done; printf 'bad \\377 partial'; exit 3"

    status = start(image(""), "sh", "-c", script).wait(20)

    assert status == 3
    assert len(start.lines) == 4001
    assert start.lines[:2] == ["out 1", "err 1"]
    assert start.lines[-1] == "bad \ufffd partial"


def test_a_container_that_runs_has_no_status_yet(mode, image, start):
    container = start(image(""), "sleep", "30")

    assert container.poll() is None
    assert is_alive(container.pid)
    with pytest.raises(TimeoutError, match=r"still runs after 0\.1 seconds"):
        container.wait(0.1)


STOPPABLE = """#!/usr/bin/env python3
import signal, sys, time
def stop(number, frame):
    print("stopping", flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""


def test_stopping_reaches_the_program_itself(mode, image, start):
    container = start(image('ENTRYPOINT ["python", "serve"]', serve=STOPPABLE))
    until(lambda: start.lines)

    started = time.monotonic()
    container.stop(20)
    container.stop(20)

    assert time.monotonic() - started < 5
    assert container.poll() == 5
    assert start.lines == ["ready", "stopping"]


@on_linux
def test_a_program_that_does_not_stop_is_killed_with_all_that_it_started(mode, image, start):
    script = "trap '' TERM; setsid sleep 61 & sleep 62 & echo ready; while true; do sleep 63; done"
    container = start(image(""), "sh", "-c", script)
    until(lambda: start.lines)
    family = descendants(container.pid)

    container.stop(0.2)

    assert container.poll() == 128 + signal.SIGKILL
    assert len(family) >= 2
    assert not any(is_alive(pid) for pid in [container.pid, *family])


@on_linux
def test_what_a_program_leaves_behind_ends_with_it(mode, image, start):
    script = "setsid sh -c 'echo $$; exec sleep 61' & sleep 0.3; ls /proc | grep -c ."
    container = start(image(""), "sh", "-c", script)
    until(lambda: start.lines)
    orphans = descendants(container.pid)

    assert container.wait(20) == 0
    assert orphans
    assert not any(is_alive(pid) for pid in orphans)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_rehearsal_that_dies_takes_its_containers_along(mode, image, tmp_path, opt_ml, number):
    built = image("")
    code = f"""
import time
from pathlib import Path
from cdk_ml_release.rehearsal.containers.container import Container
from cdk_ml_release.rehearsal.containers.image import load_image
image = load_image(Path({str(tmp_path / "store")!r}), {built.digest!r})
container = Container.start(
    image, ["sleep", "60"], opt_ml=Path({str(opt_ml)!r}), environment={{}}, log=print)
print(container.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as rehearsal:  # fmt: skip
        pid = int(rehearsal.stdout.readline())
        assert is_alive(pid)
        rehearsal.send_signal(number)

    until(lambda: not is_alive(pid))
    until(lambda: not any((built.root.parent / "containers").iterdir()))


def descendants(pid):
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [grandchild for child in found for grandchild in descendants(child)]
