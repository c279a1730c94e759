"""A rehearsed account with alarms, rules, schedules and state machines, and pipelines that only wait for a word."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from moto.sns.models import sns_backends

from cdk_ml_release.rehearsal.cloud import hours
from cdk_ml_release.rehearsal.cloud.account import Account
from cdk_ml_release.rehearsal.cloud.alarms import Alarms
from cdk_ml_release.rehearsal.cloud.automation.alarm_news import AlarmNews
from cdk_ml_release.rehearsal.cloud.automation.automation_handlers import automation_handlers
from cdk_ml_release.rehearsal.cloud.automation.event_bus import EventBus
from cdk_ml_release.rehearsal.cloud.automation.state_machines import StateMachines
from cdk_ml_release.rehearsal.cloud.gateway import Gateway
from cdk_ml_release.rehearsal.cloud.metrics import Metrics
from cdk_ml_release.rehearsal.cloud.resources import handlers
from cdk_ml_release.rehearsal.cloud.watching import watching_handlers
from cdk_ml_release.rehearsal.pipelines.api import PipelineApi
from cdk_ml_release.rehearsal.pipelines.execution import Execution, Outcome
from cdk_ml_release.rehearsal.pipelines.plan import Action, plan
from cdk_ml_release.rehearsal.pipelines.walk import Walker
from cdk_ml_release.rehearsal.stacks.stacks import Stacks

from .conftest import Spectator

PIPELINE = "line"
NAMESPACE = "Sea"


class StageHand:
    """Sets the account up and pulls its ropes."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.account, self.news = gateway, Account(), []
        self.metrics = Metrics()
        alarms = Alarms(self.metrics, gateway.region)
        self.bus = EventBus(gateway, self.account, self._told)
        self.machines = StateMachines(gateway, self.bus, self._told)
        self.walkers: dict[str, Walker] = {}
        self.pipelines = PipelineApi(self.walkers, self.account, self.machines.why)
        self.bus.starters |= {"codepipeline": self.pipelines.start_for_rule, "states": self.machines.start}
        self.alarms = AlarmNews(gateway, alarms, self.bus, self._told)
        for part in (self.metrics, alarms, self.machines, self.pipelines):
            gateway.services |= part.services()
        self.stacks = Stacks(
            handlers(gateway, self.account) | automation_handlers(gateway) | watching_handlers(gateway),
            account=gateway.account,
            region=gateway.region,
            ssm_lookup=str,
            now=hours.now,
        )
        self.go = threading.Event()
        self.go.set()

    def _told(self, kind: str, text: str) -> None:
        self.news.append((kind, text))

    def said(self, kind: str) -> list[str]:
        """The news of a kind."""
        return [text for each, text in self.news if each == kind]

    def deploy(self, resources: Mapping[str, Any]) -> Any:
        """Create or update the one stack."""
        return self.stacks.deploy("stack", {"Resources": resources}, caller=None)

    def role(self, service: str, *actions: str, resource: str = "*") -> dict[str, Any]:
        """A role as a resource."""
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        may = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
        policies = [{"PolicyName": "own", "PolicyDocument": _document(may)}] if actions else []
        return {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": _document(trust), "Policies": policies},
        }

    def build_line(self, *variables: str) -> Walker:
        """A pipeline whose one action waits until it may go on."""

        def act(action: Action, execution: Execution, log: Any) -> Outcome:
            self.go.wait(20)
            return Outcome(succeeded=True)

        kind = {"Category": "Test", "Provider": "Own"}
        properties = {
            "RoleArn": "role",
            "ArtifactStore": {"Location": "bucket"},
            "Stages": [{"Name": "Only", "Actions": [{"Name": "Act", "ActionTypeId": kind}]}],
            "Variables": [{"Name": name, "DefaultValue": "none"} for name in variables],
        }
        known = ("Test", "Own")
        declared = plan(PIPELINE, properties, [known])
        self.walkers[PIPELINE] = Walker(plan=declared, performers={known: act}, progress=Spectator())
        return self.walkers[PIPELINE]

    def put(self, value: float, **dimensions: str) -> None:
        """Observe a value."""
        self.metrics.put(NAMESPACE, "Waves", dimensions, value)

    def topic(self, name: str) -> list[tuple[str, str]]:
        """Subject and text of everything that a topic was told."""
        (found,) = [
            each for each in sns_backends[self.gateway.account]["us-east-1"].topics.values() if each.name == name
        ]
        return [(subject, text) for _, text, subject, *_ in found.sent_notifications]


def alarm(name: str = "storm", **changed: Any) -> dict[str, Any]:
    """An alarm on high waves, as a resource."""
    properties = {
        "AlarmName": name,
        "Namespace": NAMESPACE,
        "MetricName": "Waves",
        "Period": 3600,
        "EvaluationPeriods": 1,
        "Statistic": "Maximum",
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 3,
        "TreatMissingData": "notBreaching",
        **changed,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def rule(pattern: Mapping[str, Any], arn: Any, role: str = "", **target: Any) -> dict[str, Any]:
    """A rule with one target, as a resource."""
    named = {"RoleArn": {"Fn::GetAtt": [role, "Arn"]}} if role else {}
    targets = [{"Id": "T", "Arn": arn, **named, **target}]
    return {"Type": "AWS::Events::Rule", "Properties": {"Name": "r", "EventPattern": pattern, "Targets": targets}}


WENT_OFF = {
    "source": ["aws.cloudwatch"],
    "detail-type": ["CloudWatch Alarm State Change"],
    "detail": {"state": {"value": ["ALARM"]}},
}


def _document(statement: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}


@contextlib.contextmanager
def hand() -> Iterator[StageHand]:
    """A stage hand, until the curtain."""
    gateway = Gateway("us-east-1")
    try:
        yield StageHand(gateway)
    finally:
        gateway.close()
