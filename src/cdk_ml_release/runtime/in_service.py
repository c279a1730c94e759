"""The record of an endpoint: what it serves, how that was deployed, and what it served before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .contract import Manifest, endpoint_record_key


@dataclass(frozen=True, kw_only=True)
class Record:
    """``in-service/<endpoint>.json``: the manifest of a verified release, with what going back to it takes."""

    manifest: Manifest
    template: str = ""
    """The template of the endpoint's stack; empty in the record of an early version of this library."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    """The ARN of the model version that the endpoint served before; empty for its first."""

    @property
    def release_name(self) -> str:
        """What the endpoint's configuration is called."""
        return self.parameters.get("ReleaseName", "")

    def to_json(self) -> str:
        """The record as it is stored: a manifest with two entries more."""
        stack = {"template": self.template, "parameters": dict(self.parameters)}
        stored = {**asdict(self.manifest), "stack": stack, "before": self.before}
        return json.dumps(stored, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """Read a stored record."""
        stored = json.loads(text)
        stack = stored.get("stack", {})
        return cls(
            manifest=Manifest.from_json(text),
            template=stack.get("template", ""),
            parameters=stack.get("parameters", {}),
            before=stored.get("before", ""),
        )

    def followed_by(self, manifest: Manifest) -> str:
        """What a record of ``manifest``, written over this one, says of the version before it."""
        same = manifest.model_package_arn == self.manifest.model_package_arn
        return self.before if same else self.manifest.model_package_arn


def write(s3: Any, bucket: str, endpoint_name: str, record: Record) -> None:
    """Record what an endpoint serves."""
    key = endpoint_record_key(endpoint_name)
    s3.put_object(Bucket=bucket, Key=key, Body=record.to_json().encode(), ContentType="application/json")
