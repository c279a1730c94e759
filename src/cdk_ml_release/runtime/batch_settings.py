"""What both sides of a batch share: the construct writes it at synth, the program reads it in CodeBuild."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .contract import Settings


@dataclass(frozen=True, kw_only=True)
class BatchSettings(Settings):
    """What the batch program knows from synth: the environment of its CodeBuild project."""

    batch_name: str
    bucket: str
    input_uri: str
    """What is scored: every object under this S3 prefix."""
    max_failed_records: int
    max_runtime_seconds: int
    values: Mapping[str, str]
    """What the placeholders of the request document stand for, as far as the deployed stack knows it."""


def batch_prefix(batch_name: str, execution_id: str) -> str:
    """The key prefix of what an execution's batch makes, with a slash at its end."""
    return f"batch/{batch_name}/{execution_id}/"
