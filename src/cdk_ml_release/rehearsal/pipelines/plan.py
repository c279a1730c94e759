"""The declared pipeline as values: stages in series, actions by their run order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

OPERATORS = ("EQ", "NE", "CONTAINS", "MATCHES")
"""What a VariableCheck can ask."""


class PlanError(Exception):
    """What of a pipeline the rehearsal cannot walk, in one line."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """An action as declared, its variables not filled in yet."""

    name: str
    category: str
    provider: str
    configuration: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    namespace: str | None
    run_order: int
    role_arn: str
    """The action's own role, or the pipeline's."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage as declared."""

    name: str
    actions: tuple[Action, ...]
    before_entry: tuple[Mapping[str, Any], ...] = ()
    on_success: tuple[Mapping[str, Any], ...] = ()
    on_failure: str = ""
    """``ROLLBACK``, ``RETRY`` or nothing."""

    @property
    def groups(self) -> list[list[Action]]:
        """The actions that run side by side, group after group."""
        ordered = sorted(self.actions, key=lambda action: action.run_order)
        return [list(group) for _, group in groupby(ordered, key=lambda action: action.run_order)]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A pipeline as declared."""

    name: str
    role_arn: str
    bucket: str
    stages: tuple[Stage, ...]
    variables: Mapping[str, str | None]
    """The pipeline's variables and their defaults; one that has none must be given at the start."""


def plan(name: str, properties: Mapping[str, Any], known: Sequence[tuple[str, str]]) -> Plan:
    """Read a pipeline from its CloudFormation properties.

    Args:
        name: The pipeline's name.
        properties: Of ``AWS::CodePipeline::Pipeline``, every expression evaluated.
        known: Category and provider of each action type that the rehearsal can perform.

    Raises:
        PlanError: naming each action type, condition rule or store that the rehearsal does not know.
    """
    unknown = [
        f"{action['Name']} ({action['ActionTypeId']['Category']}/{action['ActionTypeId']['Provider']})"
        for stage in properties["Stages"]
        for action in stage["Actions"]
        if (action["ActionTypeId"]["Category"], action["ActionTypeId"]["Provider"]) not in known
    ]
    if unknown:
        raise PlanError(
            f"the rehearsal does not know the type of these actions of pipeline '{name}': {', '.join(unknown)}; "
            "docs/fidelity.md says which it knows"
        )
    if "ArtifactStore" not in properties:
        raise PlanError(f"pipeline '{name}' keeps artifacts in several regions, which the rehearsal does not know")
    return Plan(
        name=name,
        role_arn=properties["RoleArn"],
        bucket=properties["ArtifactStore"]["Location"],
        stages=tuple(_stage(stage, properties["RoleArn"]) for stage in properties["Stages"]),
        variables={each["Name"]: each.get("DefaultValue") for each in properties.get("Variables", ())},
    )


def _stage(stage: Mapping[str, Any], pipeline_role: str) -> Stage:
    failure = stage.get("OnFailure", {})
    if failure.get("Conditions"):
        raise PlanError(f"stage '{stage['Name']}' has conditions on failure, which the rehearsal does not know")
    return Stage(
        name=stage["Name"],
        actions=tuple(_action(action, pipeline_role) for action in stage["Actions"]),
        before_entry=_conditions(stage, "BeforeEntry"),
        on_success=_conditions(stage, "OnSuccess"),
        on_failure=failure.get("Result", ""),
    )


def _conditions(stage: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], ...]:
    conditions = tuple(stage.get(key, {}).get("Conditions", ()))
    for condition in conditions:
        for rule in condition.get("Rules", ()):
            if rule["RuleTypeId"]["Provider"] != "VariableCheck":
                raise PlanError(
                    f"the rule '{rule['Name']}' of stage '{stage['Name']}' is a {rule['RuleTypeId']['Provider']}, "
                    "which the rehearsal does not know; it knows VariableCheck"
                )
            operator = rule.get("Configuration", {}).get("Operator")
            if operator not in OPERATORS:
                raise PlanError(
                    f"the rule '{rule['Name']}' of stage '{stage['Name']}' must have an operator of "
                    f"{', '.join(OPERATORS)}, got {operator!r}"
                )
    return conditions


def _action(action: Mapping[str, Any], pipeline_role: str) -> Action:
    kind = action["ActionTypeId"]
    return Action(
        name=action["Name"],
        category=kind["Category"],
        provider=kind["Provider"],
        configuration=action.get("Configuration", {}),
        inputs=tuple(each["Name"] for each in action.get("InputArtifacts", ())),
        outputs=tuple(each["Name"] for each in action.get("OutputArtifacts", ())),
        namespace=action.get("Namespace"),
        run_order=int(action.get("RunOrder", 1)),
        role_arn=action.get("RoleArn", pipeline_role),
    )
