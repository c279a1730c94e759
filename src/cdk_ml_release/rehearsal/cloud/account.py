"""What the deployed stacks have declared and moto does not play: pipelines, builds, code, events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Account:
    """The declared resources by name; each value is its CloudFormation properties."""

    projects: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    pipelines: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    repositories: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    rules: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    event_buckets: set[str] = field(default_factory=set)
    """The buckets that tell EventBridge about new objects."""
    skipped: list[str] = field(default_factory=list)
    """Resources that were declared and not played, as ``logical id (type)``."""
