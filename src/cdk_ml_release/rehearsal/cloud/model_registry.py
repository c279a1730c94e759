"""The model registry: what moto gets wrong of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from .calls import Call
from .gateway import ApiError, Gateway, Service


def services(gateway: Gateway) -> dict[tuple[str, str], Service]:
    """The operations that are answered here, on the versions that moto holds."""

    def update(call: Call) -> Mapping[str, Any]:
        given = call.parameters
        arn = given["ModelPackageArn"]
        backend = sagemaker_backends[gateway.account][gateway.region]
        package = backend.model_packages.get(backend.model_package_name_mapping.get(arn, arn))
        if package is None:
            raise ApiError("ValidationException", f"ModelPackage {arn} does not exist.")
        if "ModelApprovalStatus" in given:
            package.set_model_approval_status(given["ModelApprovalStatus"])
        if "ApprovalDescription" in given:
            package.approval_description = given["ApprovalDescription"]
        # moto forgets all of them unless the request names them again.
        properties = {**(package.customer_metadata_properties or {}), **given.get("CustomerMetadataProperties", {})}
        for name in given.get("CustomerMetadataPropertiesToRemove", ()):
            properties.pop(name, None)
        package.customer_metadata_properties = properties
        package.modifications_done()
        return {"ModelPackageArn": arn}

    return {("sagemaker", "UpdateModelPackage"): update}
