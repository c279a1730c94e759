"""How many requests 20 consecutive updates of an endpoint lose: ``python benchmarks/updates.py [UPDATES]``.

Every update is a canary of one of two instances under steady traffic, as CloudFormation would ask for it. Prints the
requests that were sent, those that failed, and what each update took.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cdk_ml_release.rehearsal.command import cache_folder
from tests.rehearsal.hall import alarm, open_hall

_PER_SECOND = 100.0


def main(updates: int) -> int:
    """Update so many times under traffic; 0 only if no request was lost."""
    watching = {"Errors": alarm("Invocation5XXErrors", 0.01), "Slow": alarm("ModelLatency", 5_000_000, statistic="p99")}
    seconds = []
    with (
        tempfile.TemporaryDirectory() as folder,
        open_hall(Path(folder), cache_folder(), requests_per_second=_PER_SECOND) as hall,
    ):
        hall.release(hall.version("v0"), resources=watching)
        for number in range(1, updates + 1):
            version = hall.version(f"v{number}")
            started = time.monotonic()
            hall.release(version, resources=watching)
            seconds.append(time.monotonic() - started)
        (stream,) = hall.rehearsal.streams
        stream.stop()
        releases = [each.to_json() for each in hall.rehearsal.endpoints.releases]
    outcomes = [each["outcome"] for each in releases[1:]]
    answered = sum(each["requests"]["total"] for each in releases)
    print(f"updates       {outcomes.count('Succeeded')} of {updates} succeeded, {sum(seconds) / updates:.1f} s each")
    print(f"requests      {stream.total} sent at up to {_PER_SECOND:g} a second, {answered} answered")
    print(f"lost          {stream.failed} {dict(stream.reasons) or ''}")
    return 0 if stream.failed == 0 and outcomes.count("Succeeded") == updates else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
