"""The table of ``ml-release versions``."""

from __future__ import annotations

from collections.abc import Sequence

import boto3
from rich.console import Console
from rich.table import Table

from .pipeline import VersionsError, find
from .registry import Serving, Version, serving
from .registry import versions as registered

_MOST_METRICS = 3
_STATUS = {"Approved": "[green]approved[/]", "Rejected": "[red]rejected[/]", "PendingManualApproval": "pending"}


def versions(pipeline: str | None, model: str | None, most: int) -> None:
    """Print a model's registered versions, newest first.

    Raises:
        VersionsError: if there are none.
    """
    client = boto3.Session().client
    if pipeline is not None:
        model = find(client, pipeline).model
    found = registered(client, model or "", most)
    if not found:
        raise VersionsError(f"the model '{model}' has no registered version yet")
    buckets = {each.evaluation_uri.split("/")[2] for each in found if each.evaluation_uri.startswith("s3://")}
    now = [each for bucket in sorted(buckets) for each in serving(client, bucket)]
    Console().print(table(found, now))


def table(found: Sequence[Version], now: Sequence[Serving]) -> Table:
    """The versions as rows."""
    shown = Table("version", "status", "in service at", "metrics", "created", "commit", box=None, pad_edge=False)
    for each in found:
        at = [
            f"{one.endpoint} ({one.state})" if one.state else f"[bold]{one.endpoint}[/]"
            for one in now
            if one.record.manifest.model_package_arn == each.arn
        ]
        shown.add_row(
            str(each.number),
            _STATUS.get(each.status, each.status),
            ", ".join(at),
            _metrics(each),
            each.created.strftime("%Y-%m-%d %H:%M"),
            each.commit[:8],
        )
    return shown


def _metrics(version: Version) -> str:
    told = list(version.metrics.items())[:_MOST_METRICS]
    return ", ".join(f"{name.removesuffix('.value').rpartition('.')[2]} {_short(value)}" for name, value in told)


def _short(value: str) -> str:
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value
