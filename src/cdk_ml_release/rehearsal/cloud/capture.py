"""Data capture: what an endpoint was asked and answered, in SageMaker's layout and record format."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from . import storage
from .hours import now

_MOST_RECORDS = 500


class Capture:
    """Collects records and writes them as ``<uri>/<endpoint>/<variant>/yyyy/mm/dd/hh/<file>.jsonl``."""

    def __init__(self, s3: Any, config: Mapping[str, Any], endpoint: str, variant: str) -> None:
        """Capture for one variant, as its endpoint configuration asks."""
        self._s3 = s3
        self._config = config
        self._folder = f"{config['DestinationS3Uri'].rstrip('/')}/{endpoint}/{variant}"
        self._modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
        self._lock = threading.Lock()
        self._hour: datetime | None = None
        self._lines: list[str] = []
        self._seen = 0

    def record(self, asked: tuple[str, bytes], answered: tuple[str, bytes], inference_id: str | None) -> None:
        """Keep one request and its answer, each a content type and a body, if it falls into the sample."""
        time = now()
        with self._lock:
            self._seen += 1
            share = int(self._config["InitialSamplingPercentage"])
            if self._seen * share // 100 == (self._seen - 1) * share // 100:
                return
            data = {}
            if "Input" in self._modes:
                data["endpointInput"] = self._part("INPUT", *asked)
            if "Output" in self._modes:
                data["endpointOutput"] = self._part("OUTPUT", *answered)
            metadata = {"eventId": str(uuid.uuid4()), "inferenceTime": time.strftime("%Y-%m-%dT%H:%M:%SZ")}
            if inference_id:
                metadata["inferenceId"] = inference_id
            line = json.dumps({"captureData": data, "eventMetadata": metadata, "eventVersion": "0"})
            hour = time.replace(minute=0, second=0, microsecond=0)
            if self._hour not in (None, hour) or len(self._lines) >= _MOST_RECORDS:
                self._write()
            self._hour = hour
            self._lines.append(line)

    def flush(self) -> None:
        """Write what is waiting."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if not self._lines or self._hour is None:
            return
        name = f"{now().strftime('%M-%S-%f')[:-3]}-{uuid.uuid4()}.jsonl"
        bucket, key = storage.split(f"{self._folder}/{self._hour.strftime('%Y/%m/%d/%H')}/{name}")
        self._s3.put_object(Bucket=bucket, Key=key, Body=("\n".join(self._lines) + "\n").encode())
        self._lines = []

    def _part(self, mode: str, content_type: str, body: bytes) -> dict[str, str]:
        header = self._config.get("CaptureContentTypeHeader", {})
        kind = content_type.partition(";")[0].strip()
        if kind in header.get("CsvContentTypes", ()):
            data, encoding = body.decode(errors="replace"), "CSV"
        elif kind in header.get("JsonContentTypes", ()):
            data, encoding = body.decode(errors="replace"), "JSON"
        else:
            # Without a declared content type SageMaker encodes whatever it is.
            data, encoding = base64.b64encode(body).decode(), "BASE64"
        return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
