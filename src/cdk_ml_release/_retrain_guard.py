"""The state machine between an alarm and the pipeline: it looks before it starts a retraining."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from aws_cdk import Aws
from constructs import Construct

from ._permissions import Allow, arn
from ._reference import Verbatim
from ._resource import Resource
from ._role import service_role
from .retrain import Retrain

REASON_VARIABLE = "Reason"
"""The pipeline variable that tells why an execution was started."""
NO_REASON = "none"

_LOOK_AGAIN_SECONDS = 900
# An alarm that has been on for so long without a retraining is a matter for people.
_PATIENCE_SECONDS = 7 * 24 * 3600


def retrain_guard(
    scope: Construct,
    prefix: str,
    *,
    retrain: Retrain,
    pipeline_name: str,
    pipeline_arn: str,
    endpoint_name: str,
    alarm_names: Sequence[str],
) -> None:
    """Define a rule on alarms, the machine that it starts, and their roles; who calls this includes them.

    Args:
        scope: The construct that they belong to.
        prefix: What their names there begin with.
        retrain: How much the guard lets through.
        pipeline_name: What it starts.
        pipeline_arn: The same.
        endpoint_name: The endpoint that is watched.
        alarm_names: What starts the guard when it goes off.
    """
    may = [
        Allow(["cloudwatch:DescribeAlarms"], [arn("cloudwatch", f"alarm:{name}") for name in alarm_names]),
        Allow(["codepipeline:ListPipelineExecutions", "codepipeline:StartPipelineExecution"], [pipeline_arn]),
    ]
    machine_role = service_role(scope, f"{prefix}Role", "states.amazonaws.com", may, own_account_only=True)
    machine = Resource(
        scope,
        f"{prefix}Machine",
        "AWS::StepFunctions::StateMachine",
        {
            "StateMachineType": "STANDARD",
            "RoleArn": machine_role.arn,
            "DefinitionString": Verbatim(definition(retrain, _partition())),
            "DefinitionSubstitutions": {
                "Pipeline": pipeline_name,
                "Role": machine_role.ref,
                "Endpoint": endpoint_name,
            },
        },
    )
    start = [Allow(["states:StartExecution"], [machine.ref])]
    rule_role = service_role(scope, f"{prefix}RuleRole", "events.amazonaws.com", start, own_account_only=True)
    Resource(
        scope,
        f"{prefix}Rule",
        "AWS::Events::Rule",
        {
            "Description": f"Drift at {endpoint_name} asks for a retraining",
            "EventPattern": {
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": {"alarmName": list(alarm_names), "state": {"value": ["ALARM"]}},
            },
            "State": "ENABLED",
            "Targets": [{"Id": "Guard", "Arn": machine.ref, "RoleArn": rule_role.arn}],
        },
    )


@cache
def _partition() -> str:
    """Asked for once: not a substitution of the definition, where cfn-lint knows ARNs as they are only."""
    return Aws.PARTITION


FINDINGS = {
    "AwsSolutions-SF1": "Step Functions keeps the history of every execution for 90 days, and there are few of them",
    "AwsSolutions-SF2": "the machine makes three calls to AWS's own services: there is nothing of the user's to trace",
}
"""What cdk-nag finds in them, and why it may stand."""


def definition(retrain: Retrain, partition: str) -> str:
    """The machine, in JSONata.

    ``Pipeline``, ``Role`` (by its name) and ``Endpoint`` are substituted at deployment.

    Args:
        retrain: How much it lets through.
        partition: Where it runs, such as ``aws``.
    """
    sdk = f"arn:{partition}:states:::aws-sdk"
    states: dict[str, Any] = {
        "Look": {
            "Type": "Task",
            "Comment": "Is the alarm still on?",
            "Resource": f"{sdk}:cloudwatch:describeAlarms",
            "Arguments": {"AlarmNames": ["{% $states.context.Execution.Input.detail.alarmName %}"]},
            "Assign": {"alarm": "{% $states.result.MetricAlarms[0].StateValue %}"},
            "Next": "StillOn",
        },
        "StillOn": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $alarm = 'ALARM' %}", "Next": "List"}],
            "Default": "Over",
        },
        "Over": {"Type": "Succeed", "Comment": "Whatever it was, it is over: nothing to start"},
        "List": {
            "Type": "Task",
            "Comment": "What runs, and what did this machine start?",
            "Resource": f"{sdk}:codepipeline:listPipelineExecutions",
            "Arguments": {"PipelineName": "${Pipeline}", "MaxResults": 100},
            "Assign": {
                "busy": f"{{% $exists({_EXECUTIONS}[Status in ['InProgress', 'Stopping']]) %}}",
                "lastDay": f"{{% $count({_started(24 * 3600)}) %}}",
                "coolDown": f"{{% $count({_started(retrain.cool_down_seconds)}) %}}",
            },
            "Next": "MayStart",
        },
        "MayStart": {
            "Type": "Choice",
            "Choices": [
                {
                    "Condition": f"{{% $busy or $coolDown > 0 or $lastDay >= {retrain.most_per_day} %}}",
                    "Next": "Wait",
                }
            ],
            "Default": "Start",
        },
        "Wait": {"Type": "Wait", "Seconds": _LOOK_AGAIN_SECONDS, "Next": "Look"},
        "Start": {
            "Type": "Task",
            "Resource": f"{sdk}:codepipeline:startPipelineExecution",
            "Arguments": {
                "Name": "${Pipeline}",
                "Variables": [{"Name": REASON_VARIABLE, "Value": f"{{% {_REASON} %}}"}],
                # The same hour again is the same execution again.
                "ClientRequestToken": f"{{% {_TOKEN} %}}",
            },
            "End": True,
        },
    }
    machine = {
        "Comment": "Starts a retraining for an alarm that is still on, unless one is running or was started lately",
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": _PATIENCE_SECONDS,
        "StartAt": "Look",
        "States": states,
    }
    return json.dumps(machine)


def _started(seconds: int) -> str:
    """The executions that this machine has started within so many seconds."""
    # A guess: timestamps are texts in ISO 8601, as in what Step Functions' guide shows of other services.
    lately = f"$millis() - $toMillis(StartTime) < {seconds * 1000}"
    return f"{_EXECUTIONS}[$contains(Trigger.TriggerDetail, '/${{Role}}/') and {lately}]"


_EXECUTIONS = "$states.result.PipelineExecutionSummaries"
_INPUT = "$states.context.Execution.Input"
_REASON = f"$substring({_INPUT}.detail.alarmName & ': ' & {_INPUT}.detail.state.reason, 0, 400)"
# Alarms of one window ring within one hour; 2026-11-28T05 is one.
_TOKEN = f"'${{Endpoint}}-' & $substring({_INPUT}.detail.state.timestamp, 0, 13)"
