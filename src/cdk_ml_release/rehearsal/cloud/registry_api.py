"""ECR's side of a docker push: the layer calls that moto lacks. The layers themselves stay on this machine."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from .calls import Call
from .gateway import Service


def services() -> dict[tuple[str, str], Service]:
    """The operations of an upload, answered as if every layer arrived whole."""
    return {
        ("ecr", "BatchCheckLayerAvailability"): _check,
        ("ecr", "InitiateLayerUpload"): lambda call: {"uploadId": str(uuid.uuid4()), "partSize": 10_485_760},
        ("ecr", "UploadLayerPart"): _part,
        ("ecr", "CompleteLayerUpload"): _complete,
    }


def _check(call: Call) -> Mapping[str, Any]:
    digests = call.parameters.get("layerDigests", ())
    return {
        "layers": [{"layerDigest": digest, "layerAvailability": "UNAVAILABLE"} for digest in digests],
        "failures": [],
    }


def _part(call: Call) -> Mapping[str, Any]:
    given = call.parameters
    return {
        "registryId": given.get("registryId", ""),
        "repositoryName": given["repositoryName"],
        "uploadId": given["uploadId"],
        "lastByteReceived": given["partLastByte"],
    }


def _complete(call: Call) -> Mapping[str, Any]:
    given = call.parameters
    return {
        "repositoryName": given["repositoryName"],
        "uploadId": given["uploadId"],
        "layerDigest": given["layerDigests"][0],
    }
