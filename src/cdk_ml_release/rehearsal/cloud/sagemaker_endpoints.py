"""SageMaker's hosting API: models, configurations, and endpoints that are real processes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from .calls import Call
from .capture import Capture
from .fleet import Fleet, FleetFailed, Retired, Served
from .gateway import ApiError, Service
from .workplace import ImageMissing, Workplace, now, timestamp

_SERVICE = "sagemaker.amazonaws.com"
_LONGEST_BODY = 6_291_456
_STATUS_STEADY = ("InService", "Failed")


@dataclass
class Endpoint:
    """An endpoint and the fleet that serves it."""

    name: str
    arn: str
    config: str
    """The configuration in service, or the one that is being tried first."""
    status: str
    failure_reason: str = ""
    fleet: Fleet | None = None
    capture: Capture | None = None
    variant: str = ""
    created: float = field(default_factory=lambda: timestamp(now()))


class SageMakerEndpoints:
    """The models, configurations and endpoints of the rehearsed account."""

    def __init__(self, place: Workplace) -> None:
        """Start with none."""
        self._place = place
        self._models: dict[str, Mapping[str, Any]] = {}
        self._configs: dict[str, Mapping[str, Any]] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._fleets = 0

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        answers: dict[str, Service] = {
            "CreateModel": self._create_model,
            "DescribeModel": lambda call: self._one(self._models, "ModelName", call),
            "DeleteModel": lambda call: self._forget(self._models, "ModelName", call),
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": lambda call: self._one(self._configs, "EndpointConfigName", call),
            "DeleteEndpointConfig": lambda call: self._forget(self._configs, "EndpointConfigName", call),
            "CreateEndpoint": self._create_endpoint,
            "UpdateEndpoint": self._update_endpoint,
            "DescribeEndpoint": self._describe_endpoint,
            "DeleteEndpoint": self._delete_endpoint,
            "InvokeEndpoint": self._invoke,
        }
        return {("sagemaker", operation): service for operation, service in answers.items()}

    @property
    def all(self) -> list[Endpoint]:
        """Every endpoint that exists."""
        return list(self._endpoints.values())

    def model_package_arn(self, endpoint: Endpoint) -> str | None:
        """The registered version that an endpoint serves, if its model came from the registry."""
        config = self._configs.get(endpoint.config)
        if config is None:
            return None
        model = self._models.get(config["ProductionVariants"][0]["ModelName"], {})
        arn: str | None = _container(model).get("ModelPackageName") if model else None
        return arn

    def flush(self) -> None:
        """Write what was captured."""
        for endpoint in self._endpoints.values():
            if endpoint.capture:
                endpoint.capture.flush()

    def close(self) -> None:
        """Write what was captured and stop every fleet."""
        self.flush()
        for endpoint in self._endpoints.values():
            if endpoint.fleet:
                endpoint.fleet.stop()

    def _arn(self, kind: str, name: str) -> str:
        gateway = self._place.gateway
        return f"arn:aws:sagemaker:{gateway.region}:{gateway.account}:{kind}/{name.lower()}"

    def _one(self, where: Mapping[str, Mapping[str, Any]], key: str, call: Call) -> Mapping[str, Any]:
        name = call.parameters[key]
        if name not in where:
            raise ApiError("ValidationException", f"Could not find {key.removesuffix('Name')} '{name}'")
        return where[name]

    def _forget(self, where: dict[str, Mapping[str, Any]], key: str, call: Call) -> Mapping[str, Any]:
        self._one(where, key, call)
        del where[call.parameters[key]]
        return {}

    def _create_model(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["ModelName"]
        if name in self._models:
            raise ApiError("ValidationException", f"Cannot create already existing model '{name}'")
        self._place.gateway.assume(call.parameters["ExecutionRoleArn"], _SERVICE)
        arn = self._arn("model", name)
        self._models[name] = {**call.parameters, "ModelArn": arn, "CreationTime": timestamp(now())}
        return {"ModelArn": arn}

    def _create_config(self, call: Call) -> Mapping[str, Any]:
        name, variants = call.parameters["EndpointConfigName"], call.parameters["ProductionVariants"]
        if name in self._configs:
            raise ApiError("ValidationException", f"Cannot create already existing endpoint configuration '{name}'")
        if len(variants) != 1 or "InstanceType" not in variants[0]:
            raise ApiError("NotImplemented", "the rehearsal knows configurations with one variant on instances")
        if variants[0]["ModelName"] not in self._models:
            raise ApiError("ValidationException", f"Could not find model '{variants[0]['ModelName']}'")
        arn = self._arn("endpoint-config", name)
        self._configs[name] = {**call.parameters, "EndpointConfigArn": arn, "CreationTime": timestamp(now())}
        return {"EndpointConfigArn": arn}

    def _create_endpoint(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["EndpointName"]
        if name.lower() in self._endpoints:
            raise ApiError("ValidationException", f"Cannot create already existing endpoint '{name}'")
        self._one(self._configs, "EndpointConfigName", call)
        config = call.parameters["EndpointConfigName"]
        endpoint = Endpoint(name=name, arn=self._arn("endpoint", name), config=config, status="Creating")
        self._endpoints[name.lower()] = endpoint
        threading.Thread(target=self._bring_up, args=(endpoint, config), daemon=True).start()
        return {"EndpointArn": endpoint.arn}

    def _update_endpoint(self, call: Call) -> Mapping[str, Any]:
        endpoint = self._find(call.parameters["EndpointName"])
        self._one(self._configs, "EndpointConfigName", call)
        if endpoint.status not in _STATUS_STEADY:
            raise ApiError("ValidationException", f"Cannot update in-progress endpoint '{endpoint.name}'")
        endpoint.status = "Updating"
        config = call.parameters["EndpointConfigName"]
        threading.Thread(target=self._bring_up, args=(endpoint, config), daemon=True).start()
        return {"EndpointArn": endpoint.arn}

    def _bring_up(self, endpoint: Endpoint, config_name: str) -> None:
        """Start a fleet of the configuration; only when it is healthy does it take over from the one before."""
        config = self._configs[config_name]
        variant = config["ProductionVariants"][0]
        before, reason = endpoint.fleet, ""
        try:
            model = self._resolve(self._models[variant["ModelName"]])
            self._fleets += 1
            folder = f"{endpoint.name}/{self._fleets}-{config_name}"
            fleet = Fleet(self._place, folder, model, variant["InitialInstanceCount"])
            fleet.start()
        except (FleetFailed, ClientError, ImageMissing) as failure:
            reason = str(failure)
        except BaseException as bug:
            reason = f"InternalServerError: {type(bug).__name__}: {bug}"
            raise
        finally:
            if reason:
                endpoint.failure_reason = reason
                endpoint.status = "Failed" if before is None else "InService"
        if reason:
            return
        if endpoint.capture:
            endpoint.capture.flush()
        endpoint.fleet, endpoint.config, endpoint.variant = fleet, config_name, variant["VariantName"]
        endpoint.capture = self._capture(endpoint, config, model)
        endpoint.failure_reason = ""
        endpoint.status = "InService"
        if before is not None:
            before.retire()

    def _resolve(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """The one container of a model, with what its registered version says of it."""
        container = dict(_container(model))
        if "ModelPackageName" in container:
            registry = self._place.gateway.client("sagemaker")
            package = registry.describe_model_package(ModelPackageName=container["ModelPackageName"])
            container = {**package["InferenceSpecification"]["Containers"][0], **container}
        return {
            "Image": container["Image"],
            "ModelDataUrl": container.get("ModelDataUrl", ""),
            "Environment": container.get("Environment", {}),
            "ExecutionRoleArn": model["ExecutionRoleArn"],
        }

    def _capture(self, endpoint: Endpoint, config: Mapping[str, Any], model: Mapping[str, Any]) -> Capture | None:
        wanted = config.get("DataCaptureConfig")
        if not wanted or not wanted.get("EnableCapture"):
            return None
        s3 = self._place.gateway.client("s3", model["ExecutionRoleArn"])
        return Capture(s3, wanted, endpoint.name, endpoint.variant)

    def _find(self, name: str) -> Endpoint:
        if name.lower() not in self._endpoints:
            raise ApiError("ValidationException", f"Could not find endpoint '{name}'")
        return self._endpoints[name.lower()]

    def _describe_endpoint(self, call: Call) -> Mapping[str, Any]:
        endpoint = self._find(call.parameters["EndpointName"])
        described = {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config,
            "EndpointStatus": endpoint.status,
            "CreationTime": endpoint.created,
            "LastModifiedTime": timestamp(now()),
        }
        return described | ({"FailureReason": endpoint.failure_reason} if endpoint.failure_reason else {})

    def _delete_endpoint(self, call: Call) -> Mapping[str, Any]:
        endpoint = self._find(call.parameters["EndpointName"])
        del self._endpoints[endpoint.name.lower()]
        if endpoint.capture:
            endpoint.capture.flush()
        if endpoint.fleet:
            endpoint.fleet.stop()
        return {}

    def _invoke(self, call: Call) -> Mapping[str, Any]:
        endpoint = self._find(call.parameters["EndpointName"])
        body: bytes = call.parameters["Body"]
        if endpoint.fleet is None:
            raise ApiError("ValidationError", f"Endpoint {endpoint.name} is {endpoint.status} and cannot be invoked")
        if len(body) > _LONGEST_BODY:
            raise ApiError("ValidationError", f"the body has {len(body)} bytes, {_LONGEST_BODY} are allowed", 400)
        given = {"Content-Type": call.parameters.get("ContentType"), "Accept": call.parameters.get("Accept")}
        headers = {key: value for key, value in given.items() if value}
        try:
            served = _answer(endpoint, body, headers)
        except OSError as error:
            raise ApiError("ModelError", f"the container did not answer: {error}", 424) from None
        if not 200 <= served.status < 300:
            message = served.body.decode(errors="replace").strip()
            raise ApiError(
                "ModelError", f'Received error ({served.status}) from the container with message "{message}"', 424
            )
        if endpoint.capture:
            asked = (headers.get("Content-Type", "application/octet-stream"), body)
            endpoint.capture.record(asked, (served.content_type, served.body), call.parameters.get("InferenceId"))
        return {
            "_status": 200,
            "_type": served.content_type,
            "_body": served.body,
            "_headers": {"x-Amzn-Invoked-Production-Variant": endpoint.variant},
        }


def _answer(endpoint: Endpoint, body: bytes, headers: Mapping[str, str]) -> Served:
    """Let the fleet in service answer; a request that meets a change of fleets goes to the new one."""
    while True:
        fleet = endpoint.fleet
        if fleet is None:
            raise OSError("the endpoint has no instances")
        with contextlib.suppress(Retired):
            return fleet.answer(body, headers)


def _container(model: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = [*model.get("Containers", ()), *([model["PrimaryContainer"]] if "PrimaryContainer" in model else ())]
    if len(containers) != 1:
        raise ApiError("NotImplemented", f"the rehearsal knows models of one container, got {len(containers)}")
    container: Mapping[str, Any] = containers[0]
    return container
