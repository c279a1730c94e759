"""The resource types that watch an endpoint and scale it: alarms, dashboards, scalable targets, scaling policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..stacks.handler import Handler, Physical, Request
from .gateway import Gateway
from .plain import plain
from .resources import Played, _made_name

_POLICY_PLACE = ("ResourceId", "ScalableDimension", "ServiceNamespace")


def watching_handlers(gateway: Gateway) -> dict[str, Handler]:
    """The handlers of alarms, dashboards and scaling."""
    made = _Watching(gateway)
    return {
        "AWS::CloudWatch::Alarm": Played(
            made.create_alarm, made.delete_alarm, made.update_alarm, frozenset({"AlarmName"})
        ),
        "AWS::CloudWatch::CompositeAlarm": Played(
            made.create_composite, made.delete_alarm, made.update_composite, frozenset({"AlarmName"})
        ),
        "AWS::CloudWatch::Dashboard": Played(
            made.create_dashboard, made.delete_dashboard, made.update_dashboard, frozenset({"DashboardName"})
        ),
        "AWS::ApplicationAutoScaling::ScalableTarget": Played(
            made.create_target, made.delete_target, made.update_target, frozenset(_POLICY_PLACE)
        ),
        "AWS::ApplicationAutoScaling::ScalingPolicy": Played(
            made.create_policy,
            made.delete_policy,
            made.update_policy,
            frozenset({*_POLICY_PLACE, "PolicyName", "ScalingTargetId"}),
        ),
    }


class _Watching:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def _cloudwatch(self, request: Request) -> Any:
        return self._gateway.client("cloudwatch", request.caller)

    def _scaling(self, request: Request) -> Any:
        return self._gateway.client("application-autoscaling", request.caller)

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self._gateway.region}:{self._gateway.account}:{resource}"

    def create_alarm(self, request: Request) -> Physical:
        name = request.properties.get("AlarmName") or _made_name(request, 255)
        self._put_alarm(request, name)
        return Physical(id=name, attributes={"Arn": self._arn("cloudwatch", f"alarm:{name}")})

    def update_alarm(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        self._put_alarm(request, physical.id)
        return physical

    def _put_alarm(self, request: Request, name: str) -> None:
        properties = plain({key: value for key, value in request.properties.items() if key != "Tags"})
        self._cloudwatch(request).put_metric_alarm(**(properties | {"AlarmName": name}))

    def create_composite(self, request: Request) -> Physical:
        name = request.properties.get("AlarmName") or _made_name(request, 255)
        arn = self._arn("cloudwatch", f"alarm:{name}")
        return self.update_composite(request, Physical(id=name, attributes={"Arn": arn}), {})

    def update_composite(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        properties = plain({key: value for key, value in request.properties.items() if key != "Tags"})
        self._cloudwatch(request).put_composite_alarm(**(properties | {"AlarmName": physical.id}))
        return physical

    def delete_alarm(self, request: Request, physical: Physical) -> None:
        self._cloudwatch(request).delete_alarms(AlarmNames=[physical.id])

    def create_dashboard(self, request: Request) -> Physical:
        name = request.properties.get("DashboardName") or _made_name(request, 255)
        return self.update_dashboard(request, Physical(id=name), {})

    def update_dashboard(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        body = request.properties["DashboardBody"]
        self._cloudwatch(request).put_dashboard(DashboardName=physical.id, DashboardBody=body)
        return physical

    def delete_dashboard(self, request: Request, physical: Physical) -> None:
        self._cloudwatch(request).delete_dashboards(DashboardNames=[physical.id])

    def create_target(self, request: Request) -> Physical:
        place = _place(request.properties)
        arn = self._register(request, place)
        return Physical(id="|".join(place[key] for key in _POLICY_PLACE), attributes={"Id": arn.rpartition("/")[2]})

    def update_target(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        place = _place(request.properties)
        gone = {each["ScheduledActionName"] for each in old.get("ScheduledActions", ())}
        gone -= {each["ScheduledActionName"] for each in request.properties.get("ScheduledActions", ())}
        for name in sorted(gone):
            self._scaling(request).delete_scheduled_action(ScheduledActionName=name, **place)
        self._register(request, place)
        return physical

    def _register(self, request: Request, place: Mapping[str, str]) -> str:
        properties, scaling = request.properties, self._scaling(request)
        wanted = ("MaxCapacity", "MinCapacity", "RoleARN", "SuspendedState")
        limits = plain({key: properties[key] for key in wanted if key in properties})
        arn: str = scaling.register_scalable_target(**place, **limits)["ScalableTargetARN"]
        for action in properties.get("ScheduledActions", ()):
            scaling.put_scheduled_action(**place, **plain(action))
        return arn

    def delete_target(self, request: Request, physical: Physical) -> None:
        scaling = self._scaling(request)
        try:
            scaling.deregister_scalable_target(**_place(request.properties))
        except scaling.exceptions.ObjectNotFoundException:
            return

    def create_policy(self, request: Request) -> Physical:
        properties = dict(request.properties)
        named = properties.pop("ScalingTargetId", None)
        if named:
            properties |= dict(zip(_POLICY_PLACE, named.split("|"), strict=True))
        names = ("TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration")
        kinds = {name: properties[name] for name in names if name in properties}
        arn = self._scaling(request).put_scaling_policy(
            PolicyName=properties["PolicyName"],
            PolicyType=properties["PolicyType"],
            **_place(properties),
            **plain(kinds),
        )["PolicyARN"]
        return Physical(id=arn, attributes={"Arn": arn, "PolicyName": properties["PolicyName"], **_place(properties)})

    def update_policy(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        self.create_policy(request)
        return physical

    def delete_policy(self, request: Request, physical: Physical) -> None:
        scaling = self._scaling(request)
        try:
            place = {key: physical.attributes[key] for key in _POLICY_PLACE}
            scaling.delete_scaling_policy(PolicyName=physical.attributes["PolicyName"], **place)
        except scaling.exceptions.ObjectNotFoundException:
            return


def _place(properties: Mapping[str, Any]) -> dict[str, str]:
    return {key: properties[key] for key in _POLICY_PLACE}
