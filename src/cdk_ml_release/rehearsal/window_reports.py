"""The drift reports of a rehearsal, brought from its S3 to where a person finds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .cloud import storage


def bring_report(s3: Any, window: Mapping[str, Any], out: Path) -> str | None:
    """Copy the report of a window under ``windows/`` of a folder.

    Args:
        s3: Where the report is.
        window: A ``window.json``.
        out: The folder.

    Returns:
        The path of the copy in the folder; None if the window has no report.
    """
    if not window.get("report"):
        return None
    bucket, key = storage.split(window["report"])
    version = window["model_package_arn"].rpartition("/")[2] or "none"
    start = window["start"][:16].replace(":", "-")
    place = f"windows/{window['endpoint']}/{start}Z-version-{version}.html"
    (out / place).parent.mkdir(parents=True, exist_ok=True)
    (out / place).write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return place
