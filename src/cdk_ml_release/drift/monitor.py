"""One run of the monitor: a window is read, judged, stored, published and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..runtime import baseline
from ..runtime.contract import Manifest, RunFolder, StageFailed, endpoint_record_key
from ..runtime.in_service import Record
from ..runtime.monitor_settings import MonitorSettings
from . import capture, findings, ground_truth, labelled, metrics, model_quality, results
from .drift_test import Judge
from .files import Bucket, Files
from .ground_truth import GroundTruth
from .outcome import LabelCount, Outcome
from .reference import Reference
from .version import Analysis
from .window import Window, hour_of

_LONGEST_SUBJECT = 100


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A version with what came of it."""

    outcome: Outcome
    reference: Reference | None = None


def run(
    settings: MonitorSettings, window: Window, thresholds: Mapping[str, float], client: Callable[[str], Any]
) -> list[Outcome]:
    """Watch one window of one endpoint.

    Nothing is written before everything is known, so that a run which fails leaves nothing behind, and one that is
    repeated overwrites its own results with the same ones.

    Args:
        settings: What to watch, and the limits.
        window: The window.
        thresholds: The distances at which single features count as drifted, by their names.
        client: Gives the client of an AWS service.

    Returns:
        What came of each version that has answered in the window.

    Raises:
        StageFailed: if a baseline or a record is missing or damaged.
    """
    s3 = client("s3")
    judge = Judge(settings=settings, thresholds=thresholds)
    analysis = Analysis(files=Bucket(s3, settings.bucket), window=window, settings=settings, judge=judge)
    watched = _watch(analysis)

    def put(name: str, text: str, content_type: str) -> str:
        s3.put_object(Bucket=settings.bucket, Key=name, Body=text.encode(), ContentType=content_type)
        return f"s3://{settings.bucket}/{name}"

    places = [_store(put, each, settings.endpoint_name, window) for each in watched]
    outcomes = [each.outcome for each in watched]
    metrics.publish(client("cloudwatch"), settings.endpoint_name, window, outcomes)
    about = metrics.judged(outcomes) or next((each for each in outcomes if each.in_service), None)
    if about is not None and settings.topic_arn:
        _tell(client("sns"), about, settings, window, places[outcomes.index(about)])
    return outcomes


def _watch(analysis: Analysis) -> list[Watched]:
    settings, files = analysis.settings, analysis.files
    stored = files.read(endpoint_record_key(settings.endpoint_name))
    if stored is None:
        return [Watched(outcome=Outcome(status="NoEndpoint"))]
    serving = _manifest(stored, files.uri(endpoint_record_key(settings.endpoint_name)), of=Record.from_json).manifest
    truth = ground_truth.read(files, settings.endpoint_name, analysis.window, settings.label_days)
    watched = list(_versions(analysis, serving, truth))
    unfit = sum(each.outcome.labels.unknown for each, _ in watched)
    unknown = len(truth.labels) - sum(len(known) for _, known in watched) + truth.unreadable + unfit
    found = []
    for each, known in watched:
        joined = each.outcome.labels.joined
        if each.outcome.records or known:
            labels = LabelCount(joined=joined, duplicates=truth.duplicates, unknown=unknown)
            found.append(replace(each, outcome=replace(each.outcome, labels=labels)))
    if not any(each.outcome.records for each in found):
        labels = LabelCount(duplicates=truth.duplicates, unknown=unknown)
        found.append(Watched(outcome=Outcome(status="NoData", labels=labels)))
    return found


def _versions(analysis: Analysis, serving: Manifest, truth: GroundTruth) -> Iterator[tuple[Watched, set[str]]]:
    """Each version that has answered in the window, or that labels may belong to, with the ids of its labels."""
    settings, files = analysis.settings, analysis.files
    since, hours = analysis.window.reaching_back(settings.label_days), set(analysis.window.hours)
    for execution_id in capture.versions(files):
        looked = since if truth.labels else analysis.window
        captured = list(capture.names(files, execution_id, settings.endpoint_name, looked))
        names = [name for name in captured if hour_of(name) in hours]
        # Whatever has captured nothing for long may have lost its run, too.
        if not captured:
            continue
        about = _about(files, settings, execution_id, serving)
        schema = files.read(baseline.key(execution_id, "schema.json"))
        if schema is None and not about.in_service:
            # It was built before a schema was declared, and is on its way out.
            lines = sum(1 for name in names for line in files.lines(name) if line.strip())
            yield Watched(outcome=replace(about, status="NoBaseline", records=lines)), set()
            continue
        reference = Reference.of_run(files, execution_id)
        known: set[str] = set()
        pairs = labelled.join(files, captured, schema=reference.schema, truth=truth, known=known)
        about = replace(
            about,
            quality=model_quality.metrics(reference.schema.prediction_type, pairs),
            labels=LabelCount(joined=len(pairs), unknown=pairs.unfit),
        )
        heading = f"{settings.endpoint_name}, version {about.version}, {analysis.window}"
        outcome = analysis.judged(analysis.observe(names, reference), reference, about)
        yield Watched(outcome=analysis.reported(outcome, reference, heading), reference=reference), known


def _about(files: Files, settings: MonitorSettings, execution_id: str, serving: Manifest) -> Outcome:
    name = RunFolder(bucket=settings.bucket, execution_id=execution_id).manifest_key
    stored = files.read(name)
    if stored is None:
        raise StageFailed(f"what was captured under capture/{execution_id} has no {files.uri(name)}: move it elsewhere")
    manifest = _manifest(stored, files.uri(name), of=Manifest.from_json)
    return Outcome(
        status="NoData",
        execution_id=execution_id,
        model_package_arn=manifest.model_package_arn,
        version=str(manifest.version),
        in_service=execution_id == serving.execution_id,
    )


def _manifest(stored: bytes, uri: str, of: Callable[[bytes], Any]) -> Any:
    try:
        return of(stored)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageFailed(f"{uri} is damaged: {error!r}; release the model again") from None


def _store(put: results.Put, watched: Watched, endpoint: str, window: Window) -> str:
    """Store what came of a version; returns where a person should look."""
    reference, outcome = watched.reference, watched.outcome
    prefix = results.folder(endpoint, window, outcome.version)
    report = results.write(
        put,
        prefix,
        endpoint,
        window,
        outcome,
        schema=reference.schema if reference is not None else None,
        constraints=reference.constraints.document if reference is not None else {},
    )
    return report if report is not None else prefix


def _tell(sns: Any, outcome: Outcome, settings: MonitorSettings, window: Window, place: str) -> None:
    if not findings.findings(outcome, settings):
        return
    heading = f"Endpoint {settings.endpoint_name}, version {outcome.version}, {window}"
    text = findings.message(outcome, settings, heading, f"Report: {place}")
    subject = f"Findings at {settings.endpoint_name}"[:_LONGEST_SUBJECT]
    sns.publish(TopicArn=settings.topic_arn, Subject=subject, Message=text)
