"""The stack of an endpoint: written with the app, deployed by every release with parameters of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration

from . import _endpoint_alarms as alarms
from . import _endpoint_dashboard as dashboard
from . import _endpoint_scaling as scaling
from ._endpoint_dashboard import Widget
from ._template import VARIANT, attribute, endpoint_export, parameter, when
from .auto_rollback import AutoRollback
from .hosting import Asynchronous, Hosting, RealTime, Serverless, Shadow
from .scaling import Scaling
from .traffic import TrafficShift

SHADOW = "Shadow"
"""The variant that only gets copies of requests."""

_SUBSTITUTED = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class EndpointTemplate:
    """What of an endpoint is decided at synth.

    It is data, not a CDK stack: it is not deployed with the user's app, shares nothing with it, and an app of its own
    would take as long to synthesize as all the constructs of a release.

    Its parameters, as far as they are used, are those that only a release knows: ``ReleaseName`` (the name of model
    and configuration), ``ModelPackageArn``, ``ShadowReleaseName`` and ``ShadowModelPackageArn`` (empty without a
    shadow), ``Updates`` (``yes`` if the endpoint exists), ``Scaled`` (``no`` while an update rules scaling out) and
    ``Versions`` (the releases so far, for the dashboard); and those that the deployed stack knows: ``ModelRoleArn``,
    ``CaptureUri``, ``AsyncUri``, ``KmsKeyArn``, ``SuccessTopicArn``, ``ErrorTopicArn``, ``Alarm0`` and on,
    ``Subnet0`` and on, ``SecurityGroup0``.
    """

    endpoint_name: str
    hosting: Hosting
    traffic: TrafficShift | None
    """None for a serverless endpoint, which has no fleets."""
    auto_rollback: AutoRollback | None
    scaling: Scaling | None
    capture_percentage: int
    encrypted: bool
    subnets: int
    network_isolation: bool
    dashboard: bool
    widgets: Sequence[Widget] = ()
    """What the dashboard shows below the endpoint's own graphs."""

    def render(self) -> dict[str, Any]:
        """The template as a JSON value."""
        resources = {
            "Model": {"Type": "AWS::SageMaker::Model", "Properties": self._model("ReleaseName", "ModelPackageArn")},
            "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": self._config()},
            "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": self._endpoint()},
        }
        if self._shadow is not None:
            shadow = self._model("ShadowReleaseName", "ShadowModelPackageArn")
            resources["ShadowModel"] = {
                "Type": "AWS::SageMaker::Model",
                "Condition": "Shadowed",
                "Properties": shadow,
            }
            resources |= self._shadow_alarms()
        resources |= self._alarms()
        if self.scaling is not None:
            resources |= scaling.resources(self.endpoint_name, self.scaling)
        if self.dashboard:
            resources["Dashboard"] = dashboard.resource(self.endpoint_name, self.hosting, self.widgets)
        outputs = {
            "EndpointName": {
                "Value": attribute("Endpoint", "EndpointName"),
                "Export": {"Name": endpoint_export(self.endpoint_name)},
            },
            "ConfigName": {"Value": attribute("Config", "EndpointConfigName")},
            # What the next release must know to tell whether scaling is in its way.
            "Capacity": {"Value": getattr(self.hosting, "instance_type", self.hosting.name)},
        }
        conditions = {name: _CONDITIONS[name] for name in _CONDITIONS if _uses(resources, name)}
        made = {"Conditions": conditions, "Resources": resources, "Outputs": outputs}
        names = dict.fromkeys(name for name in _references(made) if name not in resources)
        optional = {"ShadowModelPackageArn": {"Type": "String", "Default": ""}}
        parameters = {name: optional.get(name, {"Type": "String"}) for name in names}
        return {"Parameters": parameters} | {section: value for section, value in made.items() if value}

    @property
    def _shadow(self) -> Shadow | None:
        return self.hosting.shadow if isinstance(self.hosting, RealTime) else None

    def _model(self, name: str, package: str) -> dict[str, Any]:
        # Named after the release: SageMaker replaces neither model nor configuration in place.
        model: dict[str, Any] = {
            "ModelName": parameter(name),
            "ExecutionRoleArn": parameter("ModelRoleArn"),
            "Containers": [{"ModelPackageName": parameter(package)}],
        }
        if self.subnets:
            subnets = [parameter(f"Subnet{index}") for index in range(self.subnets)]
            model["VpcConfig"] = {"Subnets": subnets, "SecurityGroupIds": [parameter("SecurityGroup0")]}
        if self.network_isolation:
            model["EnableNetworkIsolation"] = True
        return model

    def _config(self) -> dict[str, Any]:
        # The weights are those of the requests: a shadow gets its share of copies.
        variant = {
            "VariantName": VARIANT,
            "ModelName": attribute("Model", "ModelName"),
            **self.hosting.variant(),
            "InitialVariantWeight": 1,
        }
        config = {
            "EndpointConfigName": parameter("ReleaseName"),
            "ProductionVariants": [variant],
            **(self._key() if self.hosting.encrypts_volumes else {}),
            **({"DataCaptureConfig": self._capture()} if self.capture_percentage else {}),
        }
        if self._shadow is not None:
            copies = {
                "VariantName": SHADOW,
                "ModelName": attribute("ShadowModel", "ModelName"),
                **self.hosting.variant(),
                "InitialInstanceCount": self._shadow.instance_count,
                "InitialVariantWeight": self._shadow.percent / 100,
            }
            config["ShadowProductionVariants"] = when("Shadowed", [copies])
        if isinstance(self.hosting, Asynchronous):
            config["AsyncInferenceConfig"] = self._queue(self.hosting)
        return config

    def _capture(self) -> dict[str, Any]:
        return {
            "EnableCapture": True,
            "InitialSamplingPercentage": self.capture_percentage,
            "DestinationS3Uri": parameter("CaptureUri"),
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            # Without these, what is captured is base64 and nobody can read it.
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
            **self._key(),
        }

    def _queue(self, hosting: Asynchronous) -> dict[str, Any]:
        topics = {"SuccessTopic": hosting.success_topic, "ErrorTopic": hosting.error_topic}
        told = {name: parameter(f"{name}Arn") for name, topic in topics.items() if topic is not None}
        output = {
            "S3OutputPath": {"Fn::Sub": "${AsyncUri}/output/"},
            "S3FailurePath": {"Fn::Sub": "${AsyncUri}/failure/"},
            **self._key(),
            **({"NotificationConfig": told} if told else {}),
        }
        most = hosting.max_concurrency_per_instance
        client = {} if most is None else {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": most}}
        return {"OutputConfig": output, **client}

    def _endpoint(self) -> dict[str, Any]:
        endpoint: dict[str, Any] = {
            "EndpointName": self.endpoint_name,
            "EndpointConfigName": attribute("Config", "EndpointConfigName"),
        }
        if self.traffic is not None:
            own = [f"Alarm{index}" for index in range(len(self._own_alarms))]
            shift = _watched(self.traffic, [*self._alarms(), *own])
            if self._shadow is not None:
                # The same version again, now with a shadow: what SageMaker waits for is the shadow.
                beside = TrafficShift.all_at_once(bake_time=Duration.seconds(self._shadow.seconds))
                shift = {"Fn::If": ["Shadowed", _watched(beside, self._shadow_alarms()), shift]}
            endpoint["DeploymentConfig"] = shift
        if self.scaling is not None:
            # An update keeps what the endpoint has grown to; SageMaker documents this for updates only.
            endpoint["RetainAllVariantProperties"] = when("Updating", True)
            # Capture is among those properties (botocore: VariantPropertyType), and is as the release declares it.
            captured = [{"VariantPropertyType": "DataCaptureConfig"}]
            endpoint["ExcludeRetainedVariantProperties"] = when("Updating", captured)
        return endpoint

    @property
    def _own_alarms(self) -> tuple[Any, ...]:
        return tuple(self.auto_rollback.alarms) if self.auto_rollback is not None else ()

    def _alarms(self) -> dict[str, Any]:
        if self.auto_rollback is None or isinstance(self.hosting, Serverless):
            return {}
        return alarms.resources(self.endpoint_name, VARIANT, self.auto_rollback)

    def _shadow_alarms(self) -> dict[str, Any]:
        if self.auto_rollback is None:
            return {}
        made = alarms.resources(self.endpoint_name, SHADOW, self.auto_rollback)
        return {f"{SHADOW}{name}": {**resource, "Condition": "Shadowed"} for name, resource in made.items()}

    def _key(self) -> dict[str, Any]:
        return {"KmsKeyId": parameter("KmsKeyArn")} if self.encrypted else {}


def _watched(shift: TrafficShift, alarms: Iterable[str]) -> dict[str, Any]:
    """The way of an update, with the alarms that take it back."""
    names = [{"AlarmName": parameter(name)} for name in alarms]
    return shift.policy | ({"AutoRollbackConfiguration": {"Alarms": names}} if names else {})


_CONDITIONS: dict[str, Any] = {
    "Shadowed": {"Fn::Not": [{"Fn::Equals": [parameter("ShadowModelPackageArn"), ""]}]},
    "Updating": {"Fn::Equals": [parameter("Updates"), "yes"]},
    "Scaling": {"Fn::Equals": [parameter("Scaled"), "yes"]},
}


def _uses(value: Any, condition: str) -> bool:
    if isinstance(value, dict):
        if value.get("Condition") == condition or value.get("Fn::If", [None])[0] == condition:
            return True
        return any(_uses(each, condition) for each in value.values())
    return isinstance(value, list) and any(_uses(each, condition) for each in value)


def _references(value: Any) -> Iterator[str]:
    """The names that the template refers to, pseudo parameters aside."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "Ref" and isinstance(each, str):
                if "::" not in each:
                    yield each
            elif key == "Fn::Sub":
                yield from _SUBSTITUTED.findall(each)
            else:
                yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
