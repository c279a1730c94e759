"""The actions of this library for a pipeline of CDK's, which binds them to itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ._permissions import Allow, statement
from ._resource import Resource, include, with_tokens
from ._role import service_role

if TYPE_CHECKING:
    from ._action import PlainAction


class CdkAction(codepipeline.Action):
    """An action that gives the pipeline what its template says, and its role what it needs."""

    def __init__(self, plain: PlainAction) -> None:
        """Wrap an action."""
        super().__init__()
        self._plain = plain

    @property
    def _provided_action_properties(self) -> codepipeline.ActionProperties:
        plain = self._plain
        return codepipeline.ActionProperties(
            action_name=plain.name,
            category=codepipeline.ActionCategory(plain.category.upper()),
            provider=plain.provider,
            run_order=plain.run_order,
            inputs=[codepipeline.Artifact(name) for name in plain.inputs],
            outputs=[codepipeline.Artifact(name) for name in plain.outputs],
            artifact_bounds=codepipeline.ActionArtifactBounds(
                min_inputs=0, max_inputs=len(plain.inputs), min_outputs=0, max_outputs=len(plain.outputs)
            ),
            variables_namespace=plain.namespace,
            role=plain.role,
            region=plain.region,
        )

    def _bound(
        self, scope: Construct, stage: codepipeline.IStage, *, bucket: s3.IBucket, role: iam.IRole
    ) -> codepipeline.ActionConfig:
        plain, uses = self._plain, self._plain.uses
        for allow in plain.allows:
            role.add_to_principal_policy(statement(allow))
        if uses is not None:
            (bucket.grant_read_write if uses.writes else bucket.grant_read)(uses.role.construct)
            if bucket.encryption_key is not None:
                uses.encrypt(bucket.encryption_key.key_arn)
        if plain.started_by is not None:
            self._start_on(scope, plain.started_by, stage.pipeline.pipeline_arn)
        return codepipeline.ActionConfig(configuration=with_tokens(plain.configuration))

    def _start_on(self, scope: Construct, pattern: Mapping[str, Any], pipeline_arn: str) -> None:
        allows = [Allow(["codepipeline:StartPipelineExecution"], [pipeline_arn])]
        role = service_role(scope, "EventsRole", "events.amazonaws.com", allows)
        target = {"Id": "Target0", "Arn": pipeline_arn, "RoleArn": role.arn}
        Resource(
            scope, "Event", "AWS::Events::Rule", {"EventPattern": pattern, "State": "ENABLED", "Targets": [target]}
        )
        include(scope)
