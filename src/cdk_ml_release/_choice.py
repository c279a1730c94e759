"""What an execution releases: the model that it builds, or a registered version that its start has named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._action import PlainAction
from .build_stage import MlBuildStage
from .runtime.contract import NEW_VERSION
from .stage import StageInput

if TYPE_CHECKING:
    from aws_cdk import aws_codepipeline as codepipeline

VERSION_DESCRIPTION = f"'{NEW_VERSION}' to build and release a model, or the number of a registered version to release"
"""What the variable is for by which the start of an execution names what is released."""


class Choice:
    """The stage in which the model is chosen, where no approval comes first that does it.

    It is a stage of its own because the build's is skipped as a whole, and because a stage that is rolled back is
    given the variables of the earlier execution, but perhaps not its id: what is released must be a variable that
    an earlier stage has set.
    """

    rolls_back = False

    def __init__(self, build: MlBuildStage) -> None:
        """Choose between the models of ``build``."""
        self.stage_name = f"{build.stage_name}Choice"
        self._build = build

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        """The one action: Choose."""
        return [each.construct() for each in self.plain_actions(given)]

    def plain_actions(self, given: StageInput) -> list[PlainAction]:
        """The same, for :class:`MlPipeline`."""
        return [self._build.choose(given, namespace=choice_namespace(self.stage_name))]


def choice_namespace(stage_name: str) -> str:
    """Where later actions find what a stage has chosen."""
    return f"{stage_name}Choose"


def unless_chosen(variable_name: str) -> dict[str, Any]:
    """Skip the stage if a registered version is asked for: an entry condition is met by what may enter."""
    rule = {
        "Name": "BuildsNewModel",
        "RuleTypeId": {"Category": "Rule", "Owner": "AWS", "Provider": "VariableCheck", "Version": "1"},
        "Configuration": {"Variable": f"#{{variables.{variable_name}}}", "Value": NEW_VERSION, "Operator": "EQ"},
    }
    return {"Conditions": [{"Result": "SKIP", "Rules": [rule]}]}
