"""Windows: what the monitors have found, window by window, and the alarms that this set off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from .cloud import storage
from .cloud.alarm import Change

__all__ = ["Windows"]


class Windows:
    """Reads every ``monitoring/**/window.json`` once."""

    def __init__(self, s3: Callable[[], Any], buckets: Callable[[], Iterable[str]]) -> None:
        """Look into buckets that may not be there yet."""
        self.all: list[dict[str, Any]] = []
        """What each window says, with ``alarms``: those on its endpoint that went off since, before the next one."""
        self._s3 = s3
        self._buckets = buckets
        self._seen: set[tuple[str, str]] = set()
        self._last: list[dict[str, Any]] = []

    def collect(self) -> list[dict[str, Any]]:
        """Read those that are new, in the order of their time."""
        found = []
        for bucket in sorted(self._buckets()):
            for key in self._keys(bucket):
                if key.endswith("/window.json") and (bucket, key) not in self._seen:
                    self._seen.add((bucket, key))
                    content = self._s3().get_object(Bucket=bucket, Key=key)["Body"].read()
                    found.append({**json.loads(content), "alarms": []})
        found.sort(key=lambda window: (str(window.get("start")), str(window.get("model_package_arn"))))
        self.all += found
        endpoints = {window.get("endpoint") for window in found}
        self._last = [window for window in self._last if window.get("endpoint") not in endpoints] + found
        return found

    def note_alarms(self, changes: Iterable[Change]) -> None:
        """Enter the alarms that went off into the newest windows of their endpoints."""
        for change in changes:
            for window in self._last if change.state == "ALARM" else ():
                if (
                    change.endpoint.lower() == str(window.get("endpoint")).lower()
                    and change.name not in window["alarms"]
                ):
                    window["alarms"].append(change.name)

    def _keys(self, bucket: str) -> list[str]:
        try:
            return storage.keys(self._s3(), f"s3://{bucket}/monitoring/")
        except storage.NothingThere:
            return []
