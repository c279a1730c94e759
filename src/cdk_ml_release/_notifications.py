"""What a person is told while a pipeline runs: which model, which stage, and what there is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from constructs import Construct

from ._place import settle
from ._resource import Resource, include

if TYPE_CHECKING:
    from aws_cdk import aws_sns as sns

# SageMaker's guide shows IN_SERVICE and UPDATING where its API has InService and Updating. A guess: both for all.
_GOES_WRONG = ("ROLLING_BACK", "RollingBack", "UPDATE_ROLLBACK_FAILED", "UpdateRollbackFailed", "FAILED", "Failed")
_FIELDS = {
    "pipeline": "$.detail.pipeline",
    "execution": "$.detail.execution-id",
    "stage": "$.detail.stage",
    "action": "$.detail.action",
    "endpoint": "$.detail.EndpointName",
    "status": "$.detail.EndpointStatus",
    "alarm": "$.detail.alarmName",
    "job": "$.detail.ProcessingJobName",
    "reason": "$.detail.FailureReason",
}


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One kind of news."""

    name: str
    source: str
    detail_types: Sequence[str]
    detail: Mapping[str, Any]
    text: str
    """What is told; ``<stage>`` and the like stand for what the event says."""


def pipeline_notices(pipeline_name: str, model: str) -> list[Notice]:
    """What there is to tell of the executions of a pipeline."""
    action = "CodePipeline Action Execution State Change"
    approval = {"category": ["Approval"]}
    pipelines = "https://${AWS::Region}.console.aws.amazon.com/codesuite/codepipeline/pipelines"
    page, execution = f"{pipelines}/<pipeline>/view", f"{pipelines}/<pipeline>/executions/<execution>"
    told: list[tuple[str, str, dict[str, Any], str]] = [
        (
            "ActionFailed",
            action,
            {"state": ["FAILED"], "type": {"category": [{"anything-but": ["Approval"]}]}},
            f"Model {model}: action <action> of stage <stage> failed. The last line of its log tells why and what to "
            f"do; then push what mends it, or retry the stage. What served before still serves. {execution}",
        ),
        (
            "ApprovalNeeded",
            action,
            {"state": ["STARTED"], "type": approval},
            f"Model {model}: stage <stage> waits for your approval. Compare the metrics with those of the model in "
            f"service, then approve or reject. {page}",
        ),
        (
            "Rejected",
            action,
            {"state": ["FAILED"], "type": approval},
            f"Model {model}: the approval in stage <stage> was rejected, or nobody gave it in time. Nothing was "
            f"released. To ask again, retry the stage. {execution}",
        ),
        (
            "Released",
            "CodePipeline Pipeline Execution State Change",
            {"state": ["SUCCEEDED"]},
            f"Model {model}: pipeline <pipeline> has released it and checked it in service. Nothing to do; "
            f"to undo it: ml-release roll-back --pipeline <pipeline>. {execution}",
        ),
    ]
    return [
        Notice(
            name=name,
            source="aws.codepipeline",
            detail_types=[detail_type],
            detail={"pipeline": [pipeline_name], **detail},
            text=text,
        )
        for name, detail_type, detail, text in told
    ]


def endpoint_notice(endpoint_name: str, model: str) -> Notice:
    """What there is to tell of the deployments to an endpoint."""
    return Notice(
        name=f"{endpoint_name}Deployment",
        source="aws.sagemaker",
        detail_types=["SageMaker Endpoint Deployment State Change", "SageMaker Endpoint State Change"],
        detail={"EndpointName": [endpoint_name], "EndpointStatus": list(_GOES_WRONG)},
        text=(
            f"Model {model}: the deployment to endpoint <endpoint> goes wrong, it is <status>. If it is rolling back, "
            "the fleet of before takes over by itself: look at the release's alarms and at the endpoint's log. "
            "https://${AWS::Region}.console.aws.amazon.com/sagemaker/home#/endpoints/<endpoint>"
        ),
    )


class Notifications(Construct):
    """Rules that tell a topic, and the topic's permission for these rules and no others."""

    def __init__(self, scope: Construct, construct_id: str, topic: sns.ITopic, notices: Sequence[Notice]) -> None:
        """Define the rules.

        Args:
            scope: The construct that the rules belong to.
            construct_id: Unique among the children of ``scope``.
            topic: Who is told.
            notices: What is told.
        """
        super().__init__(scope, construct_id)
        settle(self, scope, construct_id)
        rules = [_rule(self, notice, topic.topic_arn) for notice in notices]
        include(self)
        from aws_cdk import aws_iam as iam

        allowed = iam.PolicyStatement(
            actions=["sns:Publish"],
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            resources=[topic.topic_arn],
            conditions={"ArnEquals": {"aws:SourceArn": [rule.token("Arn") for rule in rules]}},
        )
        topic.add_to_resource_policy(allowed)


def _rule(scope: Construct, notice: Notice, topic_arn: str) -> Resource:
    fields = {name: path for name, path in _FIELDS.items() if f"<{name}>" in notice.text}
    # Quoted, for EventBridge wants a template of JSON; the names of what is filled in need no quotes of their own.
    template = {"InputPathsMap": fields, "InputTemplate": f'"{notice.text}"'}
    properties = {
        "Description": f"Tells people: {notice.text.partition('.')[0]}"[:512],
        "EventPattern": {
            "source": [notice.source],
            "detail-type": list(notice.detail_types),
            "detail": dict(notice.detail),
        },
        "Targets": [{"Id": "Topic", "Arn": topic_arn, "InputTransformer": template}],
    }
    return Resource(scope, notice.name, "AWS::Events::Rule", properties)
