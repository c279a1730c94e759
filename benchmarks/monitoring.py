"""What one window of the monitor takes: ``python benchmarks/monitoring.py [--rows 100000] [--growth 1000000]``.

The program of the monitor's container is run as it would be there, in a process of its own, against moto's S3 in this
one. Prints the seconds and the peak memory of a window of rows with ten features, held against their limits, and how
both grow with the rows.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from cdk_ml_release.runtime import baseline, in_service
from cdk_ml_release.runtime.contract import Manifest, RunFolder
from cdk_ml_release.runtime.in_service import Record
from cdk_ml_release.runtime.monitor_settings import MonitorSettings
from cdk_ml_release.runtime.schema import Schema

SECONDS, MEMORY_MIB = 60.0, 2048.0
"""The limits for a window of 100,000 rows, on two cores."""
BUCKET, ENDPOINT, EXECUTION = "benchmark", "benchmark-endpoint", "4c0f6c1e-9a57-4e6e-8a3b-5f1d2c3b4a59"
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SCHEMA = Schema(features={"sex": "category", "rings": "integer", **{f"size_{number}": "number" for number in range(8)}})
BASELINE_ROWS = 10_000
RECORDS_OF_A_FILE = 500


@dataclass(frozen=True)
class Run:
    """What a run of the program took."""

    rows: int
    seconds: float
    processor: float
    memory_mib: float


def body(chance: random.Random) -> str:
    """A row as a request."""
    sizes = ",".join(f"{chance.gauss(5, 1):.5f}" for _ in range(8))
    return f"{chance.choice('MFI')},{chance.randint(1, 20)},{sizes}"


def prepare(s3: Any) -> None:
    """A model version with its baseline, in service."""
    folder, chance = RunFolder(bucket=BUCKET, execution_id=EXECUTION), random.Random("baseline")
    lines = [json.dumps({"input": body(chance), "prediction": chance.gauss(10, 3)}) for _ in range(BASELINE_ROWS)]
    rows = "\n".join(lines).encode()
    s3.put_object(Bucket=BUCKET, Key=f"{folder.prefix}/evaluation/predictions.jsonl", Body=rows)
    texts = dict.fromkeys(("image_uri", "model_data", "commit", "data_version", "evaluation_uri"), "")
    manifest = Manifest(
        execution_id=EXECUTION,
        model_name="benchmark",
        model_package_arn="arn:aws:sagemaker:us-east-1:111122223333:model-package/benchmark/1",
        predictions_uri=folder.uri("evaluation/predictions.jsonl"),
        metrics={},
        **texts,
    )
    s3.put_object(Bucket=BUCKET, Key=folder.manifest_key, Body=manifest.to_json().encode())
    baseline.write(s3, folder, SCHEMA)
    in_service.write(s3, BUCKET, ENDPOINT, Record(manifest=manifest))


def capture(s3: Any, start: datetime, rows: int) -> None:
    """An hour in which so many rows were captured, each a request of its own."""
    chance = random.Random(rows)
    folder = f"capture/{EXECUTION}/{ENDPOINT}/AllTraffic/{start:%Y/%m/%d/%H}"
    for number, lines in enumerate(_files(chance, start, rows)):
        s3.put_object(Bucket=BUCKET, Key=f"{folder}/{number:06}.jsonl", Body="".join(lines).encode())


def _files(chance: random.Random, start: datetime, rows: int) -> Iterator[list[str]]:
    lines: list[str] = []
    for number in range(rows):
        parts = {"endpointInput": body(chance), "endpointOutput": f"{chance.gauss(10, 3):.6f}"}
        data = {
            part: {"observedContentType": "text/csv", "mode": part[8:].upper(), "data": text, "encoding": "CSV"}
            for part, text in parts.items()
        }
        about = {
            "eventId": f"{number:032x}",
            "inferenceTime": f"{start + timedelta(seconds=3600 * number // rows):%Y-%m-%dT%H:%M:%SZ}",
        }
        lines.append(json.dumps({"captureData": data, "eventMetadata": about, "eventVersion": "0"}) + "\n")
        if len(lines) == RECORDS_OF_A_FILE:
            yield lines
            lines = []
    if lines:
        yield lines


def run(url: str, start: datetime, rows: int) -> Run:
    """Run the program on an hour."""
    settings = MonitorSettings(endpoint_name=ENDPOINT, bucket=BUCKET)
    keys = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = os.environ | settings.to_environment() | keys | {"AWS_ENDPOINT_URL": url}
    command = [sys.executable, "-m", "cdk_ml_release.drift", "--scheduled", (start + timedelta(hours=1)).isoformat()]
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    # Popen knows nothing of what a child has used.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    if process.returncode:
        sys.exit(f"the monitor has failed with {process.returncode}")
    # The kernel counts in KiB, except that of macOS.
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return Run(rows, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def measure(sizes: list[int]) -> list[Run]:
    """Run the program on an hour of each size."""
    # Its server tells every request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        s3 = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="nobody",
            aws_secret_access_key="nothing",
        )
        s3.create_bucket(Bucket=BUCKET)
        prepare(s3)
        runs = []
        for number, rows in enumerate(sizes):
            start = START + timedelta(hours=number)
            capture(s3, start, rows)
            runs.append(run(url, start, rows))
        return runs
    finally:
        server.stop()


def main() -> int:
    """Measure both windows; 0 only if the first one keeps its limits."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--growth", type=int, default=1_000_000, help="rows of a second window; 0 for none")
    chosen = parser.parse_args()
    runs = measure([chosen.rows, *([chosen.growth] if chosen.growth else [])])
    for each in runs:
        print(
            f"{each.rows:>9,} rows of {len(SCHEMA.features)} features: {each.seconds:6.1f} s wall, "
            f"{each.processor:6.1f} s processor, {each.memory_mib:6.0f} MiB"
        )
    first, last = runs[0], runs[-1]
    print(f"limits    {SECONDS:g} s and {MEMORY_MIB:g} MiB for {first.rows:,} rows")
    if last is not first:
        print(
            f"growth    {last.rows / first.rows:.1f} times the rows take {last.processor / first.processor:.1f} times "
            f"the processor time and {last.memory_mib / first.memory_mib:.1f} times the memory"
        )
    return 0 if first.seconds <= SECONDS and first.memory_mib <= MEMORY_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
