"""SageMaker's models and endpoint configurations: what could be served, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .calls import Call
from .gateway import ApiError, Service
from .hours import now, timestamp
from .workplace import Workplace

_SERVICE = "sagemaker.amazonaws.com"
_NOT_SERVERLESS = ("DataCaptureConfig", "VpcConfig", "ShadowProductionVariants", "AsyncInferenceConfig")


class SageMakerModels:
    """The models and endpoint configurations of the rehearsed account."""

    def __init__(self, place: Workplace) -> None:
        """Start with none."""
        self._place = place
        self._models: dict[str, Mapping[str, Any]] = {}
        self._configs: dict[str, Mapping[str, Any]] = {}

    def services(self) -> dict[tuple[str, str], Service]:
        """What this answers, by service and operation."""
        answers: dict[str, Service] = {
            "CreateModel": self._create_model,
            "DescribeModel": lambda call: self.model(call.parameters["ModelName"]),
            "DeleteModel": lambda call: self._forget(self._models, "ModelName", call),
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": lambda call: self.config(call.parameters["EndpointConfigName"]),
            "DeleteEndpointConfig": lambda call: self._forget(self._configs, "EndpointConfigName", call),
        }
        return {("sagemaker", operation): service for operation, service in answers.items()}

    def model(self, name: str) -> Mapping[str, Any]:
        """A model, as DescribeModel has it.

        Raises:
            ApiError: if there is none of this name.
        """
        return _one(self._models, "ModelName", name)

    def config(self, name: str) -> Mapping[str, Any]:
        """An endpoint configuration, as DescribeEndpointConfig has it.

        Raises:
            ApiError: if there is none of this name.
        """
        return _one(self._configs, "EndpointConfigName", name)

    def version(self, name: str) -> str | None:
        """The registered version that a model is, if it came from the registry."""
        arn: str | None = _container(self.model(name)).get("ModelPackageName")
        return arn

    def resolve(self, name: str) -> dict[str, Any]:
        """The one container of a model, with what its registered version says of it.

        Raises:
            ApiError: if there is no such model, or it has several containers.
        """
        model = self.model(name)
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

    def arn(self, kind: str, name: str) -> str:
        """The ARN of something of SageMaker's."""
        gateway = self._place.gateway
        return f"arn:aws:sagemaker:{gateway.region}:{gateway.account}:{kind}/{name.lower()}"

    def _forget(self, where: dict[str, Mapping[str, Any]], key: str, call: Call) -> Mapping[str, Any]:
        _one(where, key, call.parameters[key])
        del where[call.parameters[key]]
        return {}

    def _create_model(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters["ModelName"]
        if name in self._models:
            raise ApiError("ValidationException", f"Cannot create already existing model '{name}'")
        self._place.gateway.assume(call.parameters["ExecutionRoleArn"], _SERVICE)
        arn = self.arn("model", name)
        self._models[name] = {**call.parameters, "ModelArn": arn, "CreationTime": timestamp(now())}
        return {"ModelArn": arn}

    def _create_config(self, call: Call) -> Mapping[str, Any]:
        name, variants = call.parameters["EndpointConfigName"], call.parameters["ProductionVariants"]
        if name in self._configs:
            raise ApiError("ValidationException", f"Cannot create already existing endpoint configuration '{name}'")
        shadows = call.parameters.get("ShadowProductionVariants", [])
        if len(variants) != 1 or not {"InstanceType", "ServerlessConfig"} & variants[0].keys():
            raise ApiError("NotImplemented", "the rehearsal knows configurations with one variant of one model")
        if len(shadows) > 1:
            raise ApiError("ValidationException", f"at most one shadow variant is allowed, got {len(shadows)}")
        names = {each["VariantName"] for each in [*variants, *shadows]}
        if len(names) != len(variants) + len(shadows):
            raise ApiError("ValidationException", f"the variants' names must differ, got {', '.join(names)} twice")
        for variant in [*variants, *shadows]:
            model = self.model(variant["ModelName"])
            if "ServerlessConfig" in variant:
                _check_serverless(variant["ServerlessConfig"], [call.parameters, model])
        arn = self.arn("endpoint-config", name)
        self._configs[name] = {**call.parameters, "EndpointConfigArn": arn, "CreationTime": timestamp(now())}
        return {"EndpointConfigArn": arn}


def _one(where: Mapping[str, Mapping[str, Any]], key: str, name: str) -> Mapping[str, Any]:
    if name not in where:
        noun = {"ModelName": "model", "EndpointConfigName": "endpoint configuration"}[key]
        raise ApiError("ValidationException", f"Could not find {noun} '{name}'")
    return where[name]


def _check_serverless(serverless: Mapping[str, Any], documents: list[Mapping[str, Any]]) -> None:
    """Refuse what SageMaker's serverless hosting does not have."""
    found = [each for each in _NOT_SERVERLESS for document in documents if document.get(each)]
    if any(document.get("EnableNetworkIsolation") for document in documents):
        found.append("EnableNetworkIsolation")
    if found:
        raise ApiError("ValidationException", f"{found[0]} is not supported for serverless endpoints")
    memory, most = serverless["MemorySizeInMB"], serverless["MaxConcurrency"]
    if memory not in range(1024, 6145, 1024):
        raise ApiError("ValidationException", f"MemorySizeInMB must be 1024 to 6144 in steps of 1024, got {memory}")
    if not 1 <= most <= 200 or serverless.get("ProvisionedConcurrency", 1) > most:
        raise ApiError(
            "ValidationException", f"MaxConcurrency must be 1 to 200 and not below ProvisionedConcurrency, got {most}"
        )


def _container(model: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = [*model.get("Containers", ()), *([model["PrimaryContainer"]] if "PrimaryContainer" in model else ())]
    if len(containers) != 1:
        raise ApiError("NotImplemented", f"the rehearsal knows models of one container, got {len(containers)}")
    container: Mapping[str, Any] = containers[0]
    return container
