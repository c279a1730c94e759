"""How long the abalone app takes to synthesize, against an empty one-stack app, in one run."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "abalone"
EMPTY = "from aws_cdk import App, Stack\napp = App()\nStack(app, 'empty')\napp.synth()\n"
FURTHER = (5, 10)
"""How many pipelines the apps with several have beside the first.

CDK validates every template in WebAssembly, which Node compiles better while it runs: the first few pay for that.
"""
PROFILED = """
import runpy, sys, time
started = time.perf_counter()
import aws_cdk
imported = time.perf_counter()
import jsii._kernel.providers.process as process
calls = 0
send = process._NodeProcess.send
def counted(*arguments, **options):
    global calls
    calls += 1
    return send(*arguments, **options)
process._NodeProcess.send = counted
synth = aws_cdk.App.synth
outer = []
def timed(self, *arguments, **options):
    began = time.perf_counter()
    made = synth(self, *arguments, **options)
    outer.append((began, time.perf_counter()))
    return made
aws_cdk.App.synth = timed
runpy.run_path(sys.argv[1], run_name='__main__')
began, ended = outer[-1]
print(f'import aws_cdk {imported - started:.2f} s, constructs {began - imported:.2f} s, '
      f'synth {ended - began:.2f} s; {calls} jsii calls', file=sys.stderr)
"""


def several(count: int) -> str:
    """The example app with ``count`` pipelines, each a model of its own."""
    lines = (EXAMPLE / "app.py").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("stack ="))
    end = next(number for number, line in enumerate(lines) if line.startswith("app.synth"))
    body = "\n".join(lines[start:end])
    copies = [body.replace("abalone", f"abalone{number}") for number in range(count)]
    return "\n".join([*lines[:start], *copies, *lines[end:]])


def seconds(program: Path) -> tuple[float, float]:
    """Wall and processor seconds of one synthesis."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    _run([str(program)])
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(arguments: list[str]) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory() as out:
        environment = os.environ | {"CDK_OUTDIR": out, "PATH": path}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=EXAMPLE, env=environment, capture_output=True, text=True, check=True
        )
    return done.stderr


def main() -> None:
    """Measure all three in turn, several times over, and print the medians' ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        programs = {"empty": EMPTY, "abalone": several(1)}
        programs |= {f"abalone, {1 + count} pipelines": several(1 + count) for count in FURTHER}
        paths = {}
        for name, text in programs.items():
            paths[name] = Path(folder, f"{len(paths)}.py")
            paths[name].write_text(text, encoding="utf-8")
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
        for _ in range(runs):
            for name, path in paths.items():
                measured[name].append(seconds(path))
        wall = {name: statistics.median(each[0] for each in times) for name, times in measured.items()}
        processor = {name: statistics.median(each[1] for each in times) for name, times in measured.items()}
        for name in paths:
            print(f"{name:24} {wall[name]:6.2f} s wall, {processor[name]:6.2f} s processor")
        empty, one, *many = wall.values()
        print(f"the abalone app takes {one / empty:.2f} times the empty app (limit 1.6)")
        for count, each in zip(FURTHER, many, strict=True):
            took = (each - one) / count / empty
            print(f"each of {count} further pipelines takes {took:.3f} times the empty app (limit 0.08)")
        profiled = Path(folder, "profiled.py")
        profiled.write_text(PROFILED, encoding="utf-8")
        for name, path in paths.items():
            print(f"{name:24} {_run([str(profiled), str(path)]).strip().splitlines()[-1]}")


if __name__ == "__main__":
    main()
