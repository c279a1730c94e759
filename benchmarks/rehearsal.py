"""What a rehearsal of the abalone pipeline costs: time in the jobs, time in the rest, memory at its peak (Linux)."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "abalone"
BIN = Path(sys.executable).parent


def descendants(root: int) -> set[int]:
    """A process and all that it has started, however deep."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found = {root}
    while grown := {child for child, parent in parents.items() if parent in found} - found:
        found |= grown
    return found


def memory(root: int) -> int:
    """Bytes of a process tree: shared pages are counted once (PSS)."""
    total = 0
    for process in descendants(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def rehearse(arguments: list[str], out: Path) -> tuple[float, float, dict[str, object]]:
    """Run a rehearsal; wall seconds, peak bytes and its report."""
    started = time.perf_counter()
    command = [str(BIN / "ml-release"), "rehearse", str(EXAMPLE), "--out", str(out), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    done = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, memory(process.pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    code = process.wait()
    done.set()
    sampler.join()
    if code != 0:
        raise SystemExit(f"the rehearsal ended with status {code}")
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return time.perf_counter() - started, peak, report


def main() -> None:
    """Rehearse with and without synthesis, several times over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        rehearse([], Path(folder, "first"))  # makes the model's Python environment, if it is not there
        assembly = Path(folder, "first", "cdk.out")
        for _ in range(runs):
            whole, peak, report = rehearse([], Path(folder, "whole"))
            without, _, _ = rehearse(["--assembly", str(assembly)], Path(folder, "assembled"))
            jobs = float(str(report["job_seconds"]))
            print(
                f"{whole:5.1f} s in all (limit 60): synthesis {whole - without:4.1f}, jobs {jobs:4.1f}, "
                f"the rest {without - jobs:4.1f} (limit 15); {peak / 2**20:5.0f} MiB at its peak (limit 1536)",
                flush=True,
            )


if __name__ == "__main__":
    if not Path("/proc/self/smaps_rollup").exists():
        raise SystemExit("this needs Linux's /proc")
    main()
