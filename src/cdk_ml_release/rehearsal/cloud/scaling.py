"""Application Auto Scaling: which variants are registered, within which limits, and the policies they have."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .calls import Call
from .gateway import ACCOUNT, ApiError, Service
from .hours import now, timestamp

COUNT = "sagemaker:variant:DesiredInstanceCount"
_DIMENSIONS = (COUNT, "sagemaker:variant:DesiredProvisionedConcurrency")
Key = tuple[str, str]


class Scaling:
    """The scalable targets of the rehearsed account. Nothing scales by itself."""

    def __init__(self, has_variant: Callable[[str, str], bool], region: str) -> None:
        """Start with none; ``has_variant`` says whether an endpoint has a variant."""
        self._has_variant = has_variant
        self._region = region
        self._targets: dict[Key, dict[str, Any]] = {}
        self._policies: dict[tuple[str, Key], dict[str, Any]] = {}
        self._actions: dict[tuple[str, Key], dict[str, Any]] = {}
        self._lock = threading.Lock()

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        answers: dict[str, Service] = {
            "RegisterScalableTarget": self._register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": lambda call: {"ScalableTargets": self._asked(self._targets, call)},
            "PutScalingPolicy": self._put_policy,
            "DeleteScalingPolicy": lambda call: self._delete(self._policies, "PolicyName", call),
            "DescribeScalingPolicies": lambda call: {"ScalingPolicies": self._asked(self._policies, call)},
            "PutScheduledAction": self._put_action,
            "DeleteScheduledAction": lambda call: self._delete(self._actions, "ScheduledActionName", call),
            "DescribeScheduledActions": lambda call: {"ScheduledActions": self._asked(self._actions, call)},
        }
        return {("application-autoscaling", operation): service for operation, service in answers.items()}

    def limits(self, endpoint: str, variant: str) -> tuple[int, int] | None:
        """The fewest and most instances of a variant, None if it is not registered."""
        target = self._targets.get((_resource(endpoint, variant), COUNT))
        return None if target is None else (int(target["MinCapacity"]), int(target["MaxCapacity"]))

    def registered(self, endpoint: str, variant: str) -> bool:
        """Whether a variant is registered."""
        return any((_resource(endpoint, variant), dimension) in self._targets for dimension in _DIMENSIONS)

    def _register(self, call: Call) -> Mapping[str, Any]:
        key = self._key(call)
        endpoint, variant = _named(key[0])
        if not self._has_variant(endpoint, variant):
            raise ApiError("ValidationException", f"the endpoint '{endpoint}' has no variant '{variant}' to be scaled")
        with self._lock:
            known = self._targets.get(key, {})
            given = {name: call.parameters[name] for name in ("MinCapacity", "MaxCapacity") if name in call.parameters}
            target = {"CreationTime": timestamp(now()), "ScalableTargetARN": self._arn(), **known, **given}
            if "MinCapacity" not in target or "MaxCapacity" not in target:
                raise ApiError("ValidationException", "MinCapacity and MaxCapacity are needed to register a target")
            if int(target["MaxCapacity"]) < int(target["MinCapacity"]):
                raise ApiError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
            self._targets[key] = {**_place(key), **target}
            return {"ScalableTargetARN": target["ScalableTargetARN"]}

    def _deregister(self, call: Call) -> Mapping[str, Any]:
        key = self._known(call)
        with self._lock:
            del self._targets[key]
            for of_target in (self._policies, self._actions):
                for name in [name for name in of_target if name[1] == key]:
                    del of_target[name]
        return {}

    def _put_policy(self, call: Call) -> Mapping[str, Any]:
        key, name = self._known(call), call.parameters["PolicyName"]
        arn = f"arn:aws:autoscaling:{self._region}:{ACCOUNT}:scalingPolicy:{uuid.uuid4()}:policyName/{name}"
        known = self._policies.get((name, key), {"PolicyARN": arn, "CreationTime": timestamp(now())})
        self._policies[name, key] = {**known, **call.parameters}
        return {"PolicyARN": known["PolicyARN"], "Alarms": []}

    def _put_action(self, call: Call) -> Mapping[str, Any]:
        key, name = self._known(call), call.parameters["ScheduledActionName"]
        self._actions[name, key] = {"CreationTime": timestamp(now()), **call.parameters}
        return {}

    def _delete(self, where: dict[tuple[str, Key], dict[str, Any]], name: str, call: Call) -> Mapping[str, Any]:
        if where.pop((call.parameters[name], self._key(call)), None) is None:
            raise ApiError("ObjectNotFoundException", f"there is no {name.removesuffix('Name')} of this name")
        return {}

    def _asked(self, where: Mapping[Any, dict[str, Any]], call: Call) -> list[dict[str, Any]]:
        parameters = call.parameters
        one = [parameters["ResourceId"]] if "ResourceId" in parameters else None
        resources = parameters.get("ResourceIds", one)
        return [each for each in where.values() if resources is None or each["ResourceId"] in resources]

    def _known(self, call: Call) -> Key:
        key = self._key(call)
        if key not in self._targets:
            raise ApiError("ObjectNotFoundException", f"no scalable target is registered for {key[0]} and {key[1]}")
        return key

    def _key(self, call: Call) -> Key:
        namespace, dimension = call.parameters["ServiceNamespace"], call.parameters["ScalableDimension"]
        if namespace != "sagemaker" or dimension not in _DIMENSIONS:
            raise ApiError("NotImplemented", f"the rehearsal scales endpoints' variants, not {namespace} {dimension}")
        return call.parameters["ResourceId"], dimension

    def _arn(self) -> str:
        return f"arn:aws:application-autoscaling:{self._region}:{ACCOUNT}:scalable-target/{uuid.uuid4().hex[:32]}"


def _resource(endpoint: str, variant: str) -> str:
    return f"endpoint/{endpoint}/variant/{variant}"


def _named(resource: str) -> tuple[str, str]:
    parts = resource.split("/")
    if len(parts) != 4 or parts[0] != "endpoint" or parts[2] != "variant":
        raise ApiError("ValidationException", f"'{resource}' is not endpoint/<name>/variant/<variant>")
    return parts[1], parts[3]


def _place(key: Key) -> dict[str, str]:
    return {"ServiceNamespace": "sagemaker", "ResourceId": key[0], "ScalableDimension": key[1]}
