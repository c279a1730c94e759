"""What both sides of a batch share: the construct writes it at synth, the program reads it in CodeBuild."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """What the batch program knows from synth: the environment of its CodeBuild project."""

    batch_name: str
    bucket: str
    input_uri: str
    """What is scored: every object under this S3 prefix."""
    max_failed_records: int
    max_runtime_seconds: int
    values: Mapping[str, str]
    """What the placeholders of the request document stand for, as far as the deployed stack knows it."""

    def to_environment(self) -> dict[str, str]:
        """The settings as environment variables."""
        return {
            "ML_BATCH_NAME": self.batch_name,
            "ML_BUCKET": self.bucket,
            "ML_INPUT_URI": self.input_uri,
            "ML_MAX_FAILED_RECORDS": str(self.max_failed_records),
            "ML_MAX_RUNTIME_SECONDS": str(self.max_runtime_seconds),
            "ML_VALUES": json.dumps(dict(self.values)),
        }

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> BatchSettings:
        """Read back what :meth:`to_environment` wrote."""
        return cls(
            batch_name=env["ML_BATCH_NAME"],
            bucket=env["ML_BUCKET"],
            input_uri=env["ML_INPUT_URI"],
            max_failed_records=int(env["ML_MAX_FAILED_RECORDS"]),
            max_runtime_seconds=int(env["ML_MAX_RUNTIME_SECONDS"]),
            values=json.loads(env["ML_VALUES"]),
        )


def batch_prefix(batch_name: str, execution_id: str) -> str:
    """The key prefix of what an execution's batch makes, with a slash at its end."""
    return f"batch/{batch_name}/{execution_id}/"
