"""What a monitor is made of, whichever engine compares: what it is told, and what it hands to its stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._codebuild import RuntimeProject
from ._job_requests import Placement
from ._network import Network
from ._notifications import Notice
from ._permissions import Allow
from ._role import OwnRole
from .drift_limits import DriftLimits
from .runtime.schema import Schema

if TYPE_CHECKING:
    from .artifact_repo import MlArtifactRepo


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is watched and how."""

    repo: MlArtifactRepo
    schema: Schema
    stage_name: str
    """The stage of the monitor."""
    endpoint_name: str
    stack_name: str
    """The stack of schedule and alarms."""
    hours: int
    """How long a window is."""
    limits: DriftLimits
    network: Network | None
    topic_arn: str | None

    @property
    def placement(self) -> Placement:
        """Where the jobs run."""
        return Placement(
            subnets=self.network.subnets if self.network is not None else 0,
            security_groups=1 if self.network is not None else 0,
            encrypted=self.repo.encryption_key is not None,
        )

    @property
    def values(self) -> Mapping[str, str]:
        """What the placeholders of templates and requests stand for, as far as every engine knows it."""
        return {
            "Bucket": self.repo.permissions.bucket_name,
            "KmsKeyArn": self.repo.permissions.key_arn or "",
            **(self.network.values if self.network is not None else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """A monitor as its stage knows it."""

    role: OwnRole
    """What the jobs run as."""
    deployment_role: OwnRole
    """What CloudFormation deploys the monitor's stack with."""
    prepare: RuntimeProject
    """What leaves ``template.json`` and ``configuration.json`` for CloudFormation."""
    needs_manifest: bool
    """Whether that must be told which version the execution releases."""
    alarm_names: Sequence[str]
    retraining_alarms: Sequence[str]
    """Those that more training may mend."""
    notices: Sequence[Notice]
    """What people are told."""
    may: Sequence[Allow]
    """What the roles may do, except that of ``prepare``."""
