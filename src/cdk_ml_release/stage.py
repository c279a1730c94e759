"""What a stage of a release is, for the pipeline and for stages of a team's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from aws_cdk import aws_codepipeline as codepipeline

    from ._action import PlainAction
    from .build_stage import MlBuildStage


@dataclass(frozen=True, kw_only=True)
class StageInput:
    """What a stage is given by the stages before it.

    Attributes:
        source: The artifact that holds the model's code.
        commit: The pipeline variable that names its revision.
        build: The build whose model is being released, once there is one.
        version: The pipeline variable that names what is released: ``new``, or the number of a registered version.
            None in a pipeline that has no such variable, where it is always the build's model.
        chosen_by: The namespace of the action that has chosen the model, once there is one.
    """

    source: codepipeline.Artifact
    commit: str
    build: MlBuildStage | None = None
    version: str | None = None
    chosen_by: str | None = None

    @property
    def source_name(self) -> str:
        """What the artifact with the model's code is called."""
        return _name_of(self.source)

    def variable(self, name: str) -> str:
        """The pipeline variable that tells what is released, whether it was built just now or long ago.

        Args:
            name: ``MANIFEST_KEY``, ``EVALUATION_KEY`` or ``SUMMARY``, as :meth:`MlBuildStage.variable` has them.

        Raises:
            ValueError: if no build came before.
        """
        if self.chosen_by is not None:
            return f"#{{{self.chosen_by}.{name}}}"
        if self.build is None:
            raise ValueError(f"'{name}' must come from an MlBuildStage, got none before; move the stage behind it")
        return self.build.variable(name)


@cache
def _name_of(artifact: codepipeline.Artifact) -> str:
    return artifact.artifact_name or ""


class ReleaseStage(Protocol):
    """Anything with a name and actions can be a stage: no base class is needed."""

    @property
    def stage_name(self) -> str:
        """The stage's name in the pipeline."""

    @property
    def rolls_back(self) -> bool:
        """Whether CodePipeline goes back to the last successful execution of the stage when it fails."""

    def actions(self, given: StageInput) -> Sequence[codepipeline.IAction]:
        """The stage's actions, given what earlier stages hand on."""


@runtime_checkable
class PlainStage(Protocol):
    """A stage of this library's own: what stands in its place in a pipeline's template is known without CDK."""

    def plain_actions(self, given: StageInput) -> Sequence[PlainAction]:
        """The stage's actions, given what earlier stages hand on."""


class SingleUse:
    """Keeps a stage out of a second place in a pipeline: names, variables and artifacts are made from its own."""

    def __init__(self, stage_name: str, kind: str) -> None:
        """Watch over a stage.

        Args:
            stage_name: The stage's name.
            kind: The class that a second one would be of.
        """
        self._stage_name = stage_name
        self._kind = kind
        self._begun = False

    def begin(self) -> None:
        """Take the stage into use.

        Raises:
            ValueError: if it is in use already.
        """
        if self._begun:
            raise ValueError(
                f"the stage '{self._stage_name}' is used twice: its actions are in a pipeline already; "
                f"define a second {self._kind}"
            )
        self._begun = True


def build_before(given: StageInput, stage_name: str, noun: str, verb: str) -> MlBuildStage:
    """The build whose model a stage is about.

    Args:
        given: What earlier stages hand on.
        stage_name: The stage that needs it.
        noun: What the stage is, such as ``release``.
        verb: What it does with the model, such as ``releases``.

    Raises:
        ValueError: if no build came before.
    """
    if given.build is None:
        raise ValueError(
            f"the {noun} '{stage_name}' must come after an MlBuildStage, got none before it; "
            f"move it behind the build whose model it {verb}"
        )
    return given.build


def check_stage_name(argument: str, name: str) -> None:
    """Refuse what cannot be a stage's name, or begin the names of its variables and artifacts."""
    # CodePipeline's own limit is 100; artifacts may have neither dots nor '@' in their names.
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name):
        raise ValueError(
            f"'{argument}' must be 1 to 80 letters, digits, '_' and '-' known at synthesis, got {name!r}; "
            "use a short name such as 'Promote'"
        )
