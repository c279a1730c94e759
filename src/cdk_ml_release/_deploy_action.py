"""The action of a pipeline that has CloudFormation deploy a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._action import PlainAction
from ._artifact_store import ArtifactStore
from ._permissions import OWN_REGION, Allow, arn, pass_role

if TYPE_CHECKING:
    from aws_cdk import aws_iam as iam

# Source: CDK's statement for CREATE_UPDATE, without its wildcards.
_VERBS = (
    *("DescribeStacks", "DescribeStackEvents", "DescribeStackResources", "CreateStack", "UpdateStack"),
    *("GetTemplate", "GetTemplateSummary", "ValidateTemplate", "GetStackPolicy", "SetStackPolicy"),
)


def start_deployment(stack_name: str, deployment_role_arn: str, region: str = OWN_REGION) -> list[Allow]:
    """Have CloudFormation deploy a stack with a role: what whoever runs the action must be allowed."""
    stack = arn("cloudformation", f"stack/{stack_name}/*", region)
    because = "CloudFormation ends a stack's ARN in an id that it makes"
    return [
        Allow([f"cloudformation:{verb}" for verb in _VERBS], [stack], because=because),
        pass_role("cloudformation.amazonaws.com", deployment_role_arn),
    ]


def deploy_action(
    name: str,
    run_order: int,
    *,
    stack_name: str,
    prepared: str,
    configuration: str,
    deployment_role_arn: str,
    role: iam.IRole | None = None,
    role_arn: str | None = None,
    store: ArtifactStore | None = None,
) -> PlainAction:
    """An action that creates or updates a stack.

    Args:
        name: Its name in the stage.
        run_order: Its place in the stage.
        stack_name: The stack.
        prepared: The artifact with ``template.json`` and the file of its parameters.
        configuration: That file.
        deployment_role_arn: What CloudFormation deploys with.
        role: What the pipeline assumes for it, if that is in another account.
        role_arn: The same role's ARN.
        store: Where the action finds its artifact, if the stack is in another region.
    """
    region = store.region if store is not None else OWN_REGION
    return PlainAction(
        name=name,
        run_order=run_order,
        category="Deploy",
        provider="CloudFormation",
        configuration={
            "ActionMode": "CREATE_UPDATE",
            "StackName": stack_name,
            "RoleArn": deployment_role_arn,
            "TemplatePath": f"{prepared}::template.json",
            "TemplateConfiguration": f"{prepared}::{configuration}",
        },
        inputs=[prepared],
        role=role,
        role_arn=role_arn,
        store=store,
        allows=start_deployment(stack_name, deployment_role_arn, region) if role_arn is None else [],
    )
