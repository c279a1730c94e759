"""Approval: a person looks at the numbers before the release goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ._action import PlainAction
from ._choice import choice_namespace
from ._permissions import Allow
from .stage import StageInput, build_before, check_stage_name

if TYPE_CHECKING:
    from aws_cdk import aws_codepipeline as codepipeline
    from aws_cdk import aws_sns as sns


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
        return [each.construct() for each in self.plain_actions(given)]

    def plain_actions(self, given: StageInput) -> list[PlainAction]:
        """The same, for :class:`MlPipeline`."""
        build = build_before(given, self.stage_name, "approval", "approves")
        chosen = []
        if given.version is not None:
            namespace = choice_namespace(self.stage_name)
            chosen = [build.choose(given, namespace=namespace)]
            given = replace(given, chosen_by=namespace)
        bucket, topic_arn = build.repo.permissions.bucket_name, self._topic.topic_arn if self._topic else None
        page = f"https://${{AWS::Region}}.console.aws.amazon.com/s3/object/{bucket}"
        question = PlainAction(
            name="Approve",
            category="Approval",
            provider="Manual",
            run_order=1 + len(chosen),
            configuration={
                "NotificationArn": topic_arn,
                "CustomData": given.variable("SUMMARY"),
                "ExternalEntityLink": f"{page}?prefix={given.variable('EVALUATION_KEY')}",
            },
            allows=[Allow(["sns:Publish"], [topic_arn])] if topic_arn is not None else [],
        )
        return [*chosen, question]
