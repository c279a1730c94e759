"""What an endpoint runs as and is deployed with, and the programs of its release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from constructs import Construct

from ._codebuild import RuntimeArchive, RuntimeProject
from ._endpoint_permissions import EndpointPermissions
from ._permissions import Allow
from ._role import OwnRole, service_role
from ._sagemaker_role import sagemaker_role
from .hosting import Hosting
from .runtime.contract import ReleaseSettings, endpoint_record_key

if TYPE_CHECKING:
    from ._region_home import RegionHome
    from ._target_environment import TargetEnvironment


@dataclass(frozen=True, kw_only=True)
class EndpointRoles:
    """The roles of an endpoint, in its own account, and the programs that release to it, in the pipeline's.

    Roles are of no region: for an endpoint in another one, what they may do is named there.

    Attributes:
        scope: The release.
        permissions: What is allowed on the endpoint and the model's home.
        target: The endpoint's account, if it is another one.
        region: The model's home in the endpoint's region, if it is another one.
        hosting: How the model is served.
        scales: Whether the number of instances follows the traffic.
    """

    scope: Construct
    permissions: EndpointPermissions
    target: TargetEnvironment | None
    region: RegionHome | None
    hosting: Hosting
    scales: bool

    @property
    def there(self) -> EndpointPermissions:
        """What is allowed on the endpoint and on what it reads, where that is."""
        return self.permissions if self.region is None else self.region.permissions(self.permissions)

    def define(
        self, *, captures: bool, in_vpc: bool, alarms: bool, dashboard: bool
    ) -> tuple[OwnRole, OwnRole, list[Allow]]:
        """Define what the model's container runs as and what CloudFormation deploys with.

        Returns:
            The two roles, and what they may do as far as they are in the release's own stack.
        """
        target, service = self.target, "cloudformation.amazonaws.com"

        def model_may(permissions: EndpointPermissions) -> list[Allow]:
            return permissions.run_model(self.hosting, captures=captures, in_vpc=in_vpc)

        def deployment_may(permissions: EndpointPermissions, model_role: OwnRole) -> list[Allow]:
            return permissions.deploy(model_role.arn, scales=self.scales, alarms=alarms, dashboard=dashboard)

        if target is None:
            model = model_may(self.there)
            model_role = sagemaker_role(self.scope, "Role", model)
            deployment = deployment_may(self.there, model_role)
            return model_role, service_role(self.scope, "DeploymentRole", service, deployment), [*model, *deployment]
        at_home, there = target.permissions(self.permissions)
        model = target.narrowed(model_may(there))
        model_role = sagemaker_role(target.scope, "Role", model, role_name=target.names["model"])
        deployment = target.narrowed(deployment_may(there, model_role))
        deployment_role = service_role(
            target.scope, "DeploymentRole", service, deployment, role_name=target.names["deployment"]
        )
        target.share(model_may(at_home), deployment_may(at_home, model_role))
        target.add_roles(there, self.hosting, deployment_role.arn, [*model, *deployment])
        return model_role, deployment_role, []

    def prepare(
        self, archive: RuntimeArchive, settings: ReleaseSettings, artifact_files: Sequence[str]
    ) -> RuntimeProject:
        """The program before the deployment."""
        return RuntimeProject(
            self.scope,
            "Prepare",
            program="runtime.deploy",
            archive=archive,
            environment=settings.to_environment(),
            allows=[
                *self.permissions.repo.read("runs"),
                *([self.there.make_ready(scales=self.scales)] if self.target is None else [self.target.assume]),
                self.permissions.approve(),
                *(self.region.fill(self.permissions) if self.region is not None else []),
            ],
            exports=["RELEASE_NAME"],
            artifact_files=artifact_files,
            role_name=self.target.names["prepare"] if self.target is not None else None,
        )

    def verify(self, archive: RuntimeArchive, settings: ReleaseSettings) -> RuntimeProject:
        """The program behind the deployment."""
        repo = self.permissions.repo
        return RuntimeProject(
            self.scope,
            "Verify",
            program="runtime.verify",
            archive=archive,
            environment=settings.to_environment(),
            allows=[
                *repo.read("runs", "in-service"),
                *repo.write(endpoint_record_key(settings.endpoint_name)),
                *self.there.exchange(self.hosting),
                *(self.there.look_after(self.hosting) if self.target is None else [self.target.assume]),
            ],
            role_name=self.target.names["verify"] if self.target is not None else None,
        )
