"""A pipeline as a construct of CDK's, with stages that others have made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_cdk import CfnResource
from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct

from ._permissions import statement
from ._place import stack_of

if TYPE_CHECKING:
    from ._plain_pipeline import PlainPipeline


def cdk_pipeline(scope: Construct, plain: PlainPipeline) -> codepipeline.Pipeline:
    """The construct for a pipeline that was to be written as its template has it."""
    pipeline = codepipeline.Pipeline(
        scope,
        "CodePipeline",
        pipeline_name=plain.pipeline_name,
        pipeline_type=codepipeline.PipelineType.V2,
        execution_mode=codepipeline.ExecutionMode.QUEUED,
        **_buckets(scope, plain),
        cross_account_keys=False,
        restart_execution_on_update=False,
        use_pipeline_role_for_actions=True,
    )
    for store in plain.stores()[1:]:
        # CDK names the key by its alias, which is no resource of a policy.
        for each in store.key_statements():
            pipeline.role.add_to_principal_policy(statement(each))
    declared = pipeline.node.default_child
    assert isinstance(declared, CfnResource)
    # CDK writes dependencies that a reference implies: they are needless and do no harm.
    declared.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})
    for variable in plain.variables:
        add_variable(pipeline, variable)
    for stage in plain.stages:
        # What starts it is there already.
        actions = [replace(each, started_by=None).construct() for each in stage.actions]
        add_stage(pipeline, stage.name, actions, before_entry=stage.before_entry, rolls_back=stage.rolls_back)
    return pipeline


def _buckets(scope: Construct, plain: PlainPipeline) -> dict[str, Any]:
    others = plain.stores()[1:]
    if not others:
        return {"artifact_bucket": plain.artifacts.construct}
    buckets = {each.region: each.construct(scope) for each in others}
    return {"cross_region_replication_buckets": {stack_of(scope).region: plain.artifacts.construct, **buckets}}


def add_variable(pipeline: codepipeline.Pipeline, variable: Mapping[str, str]) -> None:
    """Give a pipeline a variable."""
    name, value = variable["Name"], variable["DefaultValue"]
    pipeline.add_variable(
        codepipeline.Variable(variable_name=name, default_value=value, description=variable["Description"])
    )


def add_stage(
    pipeline: codepipeline.Pipeline,
    name: str,
    actions: Sequence[codepipeline.IAction],
    *,
    before_entry: Mapping[str, Any] | None,
    rolls_back: bool,
) -> None:
    """Put a stage behind the others.

    Args:
        pipeline: Whose others.
        name: The stage's name.
        actions: What it does.
        before_entry: The conditions that it is entered under, in the words of CloudFormation.
        rolls_back: Whether it goes back to its last successful execution when it fails.
    """
    failure = codepipeline.FailureConditions(result=codepipeline.Result.ROLLBACK) if rolls_back else None
    entry = _conditions(before_entry) if before_entry is not None else None
    pipeline.add_stage(stage_name=name, actions=actions, before_entry=entry, on_failure=failure)


def _conditions(declared: Mapping[str, Any]) -> codepipeline.Conditions:
    return codepipeline.Conditions(
        conditions=[
            codepipeline.Condition(result=codepipeline.Result(each["Result"]), rules=[_rule(r) for r in each["Rules"]])
            for each in declared["Conditions"]
        ]
    )


def _rule(declared: Mapping[str, Any]) -> codepipeline.Rule:
    kind = declared["RuleTypeId"]
    return codepipeline.Rule(
        name=declared["Name"],
        provider=kind["Provider"],
        version=kind["Version"],
        configuration=declared["Configuration"],
    )
