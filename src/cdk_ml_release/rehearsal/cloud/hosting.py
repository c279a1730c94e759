"""The endpoint's resource types: CloudFormation waits until SageMaker has done what it was asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..stacks.handler import Handler, Physical, Request, ResourceRefused
from .endpoint import IN_PROGRESS
from .gateway import Gateway
from .plain import plain
from .resources import Played, _made_name

_DELAY_SECONDS = 0.1
_HOW = (
    *("DeploymentConfig", "ExcludeRetainedVariantProperties", "RetainAllVariantProperties"),
    "RetainDeploymentConfig",
)


def hosting_handlers(gateway: Gateway) -> dict[str, Handler]:
    """The handlers of models, configurations and endpoints."""
    made = _Hosting(gateway)
    everything_model = frozenset(
        {"Containers", "EnableNetworkIsolation", "ExecutionRoleArn", "ModelName", "PrimaryContainer", "VpcConfig"}
    )
    everything_config = frozenset(
        {
            *("AsyncInferenceConfig", "DataCaptureConfig", "EnableNetworkIsolation", "EndpointConfigName"),
            *("ExecutionRoleArn", "ExplainerConfig", "KmsKeyId", "MetricsConfig", "ProductionVariants"),
            *("ShadowProductionVariants", "VpcConfig"),
        }
    )
    return {
        "AWS::SageMaker::Model": Played(made.create_model, made.delete_model, None, everything_model),
        "AWS::SageMaker::EndpointConfig": Played(made.create_config, made.delete_config, None, everything_config),
        "AWS::SageMaker::Endpoint": Played(
            made.create_endpoint, made.delete_endpoint, made.update_endpoint, frozenset({"EndpointName"})
        ),
    }


class _Hosting:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def _sagemaker(self, request: Request) -> Any:
        return self._gateway.client("sagemaker", request.caller)

    def create_model(self, request: Request) -> Physical:
        properties = plain(_without(request.properties, "Tags")) | _named(request, "ModelName")
        arn = self._sagemaker(request).create_model(**properties)["ModelArn"]
        return Physical(id=arn, attributes={"ModelName": properties["ModelName"]})

    def delete_model(self, request: Request, physical: Physical) -> None:
        self._sagemaker(request).delete_model(ModelName=physical.attributes["ModelName"])

    def create_config(self, request: Request) -> Physical:
        properties = _typed(_without(request.properties, "Tags") | _named(request, "EndpointConfigName"))
        arn = self._sagemaker(request).create_endpoint_config(**properties)["EndpointConfigArn"]
        return Physical(id=arn, attributes={"EndpointConfigName": properties["EndpointConfigName"]})

    def delete_config(self, request: Request, physical: Physical) -> None:
        self._sagemaker(request).delete_endpoint_config(EndpointConfigName=physical.attributes["EndpointConfigName"])

    def create_endpoint(self, request: Request) -> Physical:
        sagemaker, properties = self._sagemaker(request), request.properties
        name = _named(request, "EndpointName")["EndpointName"]
        arn = sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=properties["EndpointConfigName"])[
            "EndpointArn"
        ]
        physical = Physical(id=arn, attributes={"EndpointName": name})
        self._await(sagemaker, name, properties["EndpointConfigName"], physical)
        return physical

    def update_endpoint(self, request: Request, physical: Physical, old: Mapping[str, Any]) -> Physical:
        sagemaker, name = self._sagemaker(request), physical.attributes["EndpointName"]
        properties = request.properties
        wanted = properties["EndpointConfigName"]
        # A roll-back finds the endpoint where SageMaker has brought it back to; a policy counts from the next update.
        if sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] != wanted:
            how = plain({key: properties[key] for key in _HOW if key in properties})
            sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=wanted, **how)
            self._await(sagemaker, name, wanted, physical)
        return physical

    def _await(self, sagemaker: Any, name: str, config: str, physical: Physical) -> None:
        while True:
            endpoint = sagemaker.describe_endpoint(EndpointName=name)
            if endpoint["EndpointStatus"] not in IN_PROGRESS:
                break
            time.sleep(_DELAY_SECONDS)
        if endpoint["EndpointStatus"] != "InService" or endpoint["EndpointConfigName"] != config:
            raise ResourceRefused(endpoint.get("FailureReason", endpoint["EndpointStatus"]), physical)

    def delete_endpoint(self, request: Request, physical: Physical) -> None:
        self._sagemaker(request).delete_endpoint(EndpointName=physical.attributes["EndpointName"])


def _named(request: Request, property_name: str) -> dict[str, str]:
    return {property_name: request.properties.get(property_name) or _made_name(request, 63)}


def _without(properties: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in names}


def _typed(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as the API wants it."""
    config = plain(config)
    if "DataCaptureConfig" in config:
        config["DataCaptureConfig"] = {"EnableCapture": True, **config["DataCaptureConfig"]}
    return config
