"""The comparison of the monitor on captured files, without an endpoint or an account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..drift import findings, results
from ..drift.drift_test import Judge
from ..drift.files import Bucket, Files, Folder
from ..drift.outcome import Outcome
from ..drift.reference import Reference
from ..drift.thresholds import threshold
from ..drift.version import Analysis
from ..drift.window import Window, hour_of
from ..runtime import aws, storage
from ..runtime.contract import StageFailed
from ..runtime.monitor_settings import MonitorSettings

# Whatever was captured, whenever that was.
_ALWAYS = Window(start=datetime.min.replace(tzinfo=UTC), end=datetime.max.replace(tzinfo=UTC))
# Times of records are full seconds; a window ends after its last one.
_SECOND = timedelta(seconds=1)


def compare(
    capture: str, baseline: str, *, out: str | None, between: tuple[str, str] | None, thresholds: Sequence[str]
) -> Outcome:
    """Compare captured files with a baseline, and print what is found.

    Args:
        capture: A file, a folder or an S3 prefix of what one model version has captured.
        baseline: The folder or S3 prefix of the run that built it, or of its baseline.
        out: The folder that report and results are written to. Default: nothing is written.
        between: Start and end of what is compared. Default: everything.
        thresholds: Distances at which single features have drifted, as ``FEATURE=VALUE``.

    Raises:
        StageFailed: if there is nothing to compare, or a file is missing or damaged.
    """
    window = Window.between(*between) if between is not None else _ALWAYS
    settings = MonitorSettings(endpoint_name="captured", bucket="none")
    files, reference = _files(capture), _reference(baseline)
    distances = dict(map(threshold, thresholds))
    unknown = sorted(distances.keys() - reference.schema.columns.keys())
    if unknown:
        raise StageFailed(f"--threshold names '{unknown[0]}': the columns are {', '.join(reference.schema.columns)}")
    judge = Judge(settings=settings, thresholds=distances)
    analysis = Analysis(files=files, window=window, settings=settings, judge=judge)
    observation = analysis.observe(_names(files, capture, window), reference)
    outcome = analysis.judged(observation, reference, Outcome(status="NoData"))
    if between is None and observation.oldest is not None and observation.newest is not None:
        window = Window(start=observation.oldest, end=observation.newest + _SECOND)
    heading = f"{capture}, {window}" if window is not _ALWAYS else capture
    print(f"{heading}: {outcome.status}")
    for line in findings.told(outcome, settings):
        print(f"  {line}")
    if out is not None:
        outcome = analysis.reported(outcome, reference, heading)
        print(f"results: {_write(Path(out), window, outcome, reference)}")
    return outcome


def _files(place: str) -> Files:
    if place.startswith("s3://"):
        bucket, prefix = storage.split(place)
        return Bucket(aws.client("s3"), bucket, prefix)
    if not Path(place).exists():
        raise StageFailed(f"there is no file or folder {place}: give a path, or an S3 prefix as s3://bucket/prefix")
    return Folder(Path(place))


def _names(files: Files, capture: str, window: Window) -> list[str]:
    hours = set(window.hours) if window is not _ALWAYS else None
    names = [name for name in files.names("") if name.endswith(".jsonl") or name == Path(capture).name]
    if not names:
        raise StageFailed(f"there is no captured file under {capture}: SageMaker calls them <time>-<id>.jsonl")
    return [name for name in names if hours is None or hour_of(name) is None or hour_of(name) in hours]


def _reference(place: str) -> Reference:
    """The baseline in a folder: that of a run, its ``baseline`` alone, or one with all files beside each other."""
    run = place.rstrip("/")
    if run.endswith("/baseline"):
        run = run.removesuffix("/baseline")
    files = _files(f"{run}/" if run.startswith("s3://") else run)
    beside = files.read("baseline/schema.json") is None and files.read("schema.json") is not None
    if beside:
        return Reference.read(files, "", "predictions.jsonl")
    return Reference.read(files, "baseline/", "evaluation/predictions.jsonl")


def _write(folder: Path, window: Window, outcome: Outcome, reference: Reference) -> Any:
    folder.mkdir(parents=True, exist_ok=True)

    def put(name: str, text: str, _content_type: str) -> str:
        path = folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    report = results.write(
        put, "", "captured", window, outcome, schema=reference.schema, constraints=reference.constraints.document
    )
    return report if report is not None else folder / "window.json"
