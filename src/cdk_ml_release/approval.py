"""Approval: a person looks at the numbers before the release goes on."""

from __future__ import annotations

from dataclasses import replace

from aws_cdk import Aws
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_sns as sns

from ._choice import choice_namespace
from .stage import StageInput, build_before, check_stage_name


class Approval:
    """A stage that waits for a person, who sees the metrics and the change against the model in service."""

    def __init__(self, stage_name: str, *, notify: sns.ITopic | None = None) -> None:
        """Describe the approval.

        Args:
            stage_name: The stage's name in the pipeline, such as ``Promote``.
            notify: Where the question is sent too. Default: it stands in the console only.

        Raises:
            ValueError: if the name cannot be a stage's.
        """
        self.rolls_back = False
        check_stage_name("stage_name", stage_name)
        self.stage_name = stage_name
        self._topic = notify

    def actions(self, given: StageInput) -> list[codepipeline.IAction]:
        """The stage's actions.

        Where the pipeline has a variable for the version, an action before the question chooses what is released:
        the numbers are compared with what is in service when the question is asked, not when the model was built.

        Args:
            given: What earlier stages hand on; its ``build`` is whose metrics are shown.

        Raises:
            ValueError: if no build came before: there is nothing to approve.
        """
        build = build_before(given, self.stage_name, "approval", "approves")
        bucket = build.repo.bucket_name
        chosen: list[codepipeline.IAction] = []
        if given.version is not None:
            namespace = choice_namespace(self.stage_name)
            chosen = [build.choose(given, namespace=namespace)]
            given = replace(given, chosen_by=namespace)
        question = actions.ManualApprovalAction(
            action_name="Approve",
            run_order=1 + len(chosen),
            additional_information=given.variable("SUMMARY"),
            external_entity_link=(
                f"https://{Aws.REGION}.console.aws.amazon.com/s3/object/{bucket}"
                f"?prefix={given.variable('EVALUATION_KEY')}"
            ),
            notification_topic=self._topic,
        )
        return [*chosen, question]
