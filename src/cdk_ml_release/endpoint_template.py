"""The stack of an endpoint: written with the app, deployed by every release with parameters of its own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from .jobs import has_local_storage

VARIANT = "AllTraffic"


@dataclass(frozen=True, kw_only=True)
class EndpointTemplate:
    """What of an endpoint is decided at synth.

    It is data, not a CDK stack: it is not deployed with the user's app, shares nothing with it, and an app of its own
    would take as long to synthesize as all the constructs of a release.
    """

    endpoint_name: str
    instance_type: str
    instance_count: int
    capture_percentage: int
    encrypted: bool

    def render(self) -> dict[str, Any]:
        """The template as a JSON value.

        Its parameters are ``ReleaseName`` (the name of model and configuration), ``ModelRoleArn``,
        ``ModelPackageArn`` and, as far as they are used, ``CaptureUri`` and ``KmsKeyArn``.
        """
        resources = {
            "Model": {"Type": "AWS::SageMaker::Model", "Properties": self._model()},
            "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": self._config()},
            "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": self._endpoint()},
        }
        outputs = {
            "EndpointName": {"Value": _attribute("Endpoint", "EndpointName")},
            "ConfigName": {"Value": _attribute("Config", "EndpointConfigName")},
        }
        used = re.findall(r'"Ref": "(\w+)"', json.dumps(resources))
        parameters = {name: {"Type": "String"} for name in used}
        return {"Parameters": parameters, "Resources": resources, "Outputs": outputs}

    def _model(self) -> dict[str, Any]:
        # Named after the release: SageMaker replaces neither model nor configuration in place.
        return {
            "ModelName": _parameter("ReleaseName"),
            "ExecutionRoleArn": _parameter("ModelRoleArn"),
            "Containers": [{"ModelPackageName": _parameter("ModelPackageArn")}],
        }

    def _config(self) -> dict[str, Any]:
        variant = {
            "VariantName": VARIANT,
            "ModelName": _attribute("Model", "ModelName"),
            "InstanceType": self.instance_type,
            "InitialInstanceCount": self.instance_count,
            "InitialVariantWeight": 1,
        }
        return {
            "EndpointConfigName": _parameter("ReleaseName"),
            "ProductionVariants": [variant],
            **({} if has_local_storage(self.instance_type) else self._key()),
            **({"DataCaptureConfig": self._capture()} if self.capture_percentage else {}),
        }

    def _capture(self) -> dict[str, Any]:
        return {
            "EnableCapture": True,
            "InitialSamplingPercentage": self.capture_percentage,
            "DestinationS3Uri": _parameter("CaptureUri"),
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            # Without these, what is captured is base64 and nobody can read it.
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
            **self._key(),
        }

    def _endpoint(self) -> dict[str, Any]:
        return {
            "EndpointName": self.endpoint_name,
            "EndpointConfigName": _attribute("Config", "EndpointConfigName"),
        }

    def _key(self) -> dict[str, Any]:
        return {"KmsKeyId": _parameter("KmsKeyArn")} if self.encrypted else {}


def _parameter(name: str) -> dict[str, str]:
    return {"Ref": name}


def _attribute(resource: str, name: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [resource, name]}
