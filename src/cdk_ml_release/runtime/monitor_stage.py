"""What the program that prepares a monitor knows from synth, and where monitors publish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .contract import Settings

NAMESPACE = "CdkMlRelease/Monitor"
"""The CloudWatch namespace of what monitors publish."""


@dataclass(frozen=True, kw_only=True)
class MonitorStage(Settings):
    """What the program knows from synth: the environment of its CodeBuild project."""

    endpoint_name: str
    stack_name: str
    repository_uri: str
    image_tag: str
    """Says what is in the image: it is built once, and again when something in it has changed."""
    parameters: Mapping[str, str]
    """The parameters of the monitor's template that the deployed stack knows."""
