"""Words of CloudFormation's templates that the endpoint's resources share."""

from __future__ import annotations

from typing import Any

VARIANT = "AllTraffic"
"""The variant that answers requests: the same in every release, as SageMaker's deployment guardrails ask."""


def parameter(name: str) -> dict[str, str]:
    """The value of a parameter, or the id of a resource."""
    return {"Ref": name}


def attribute(resource: str, name: str) -> dict[str, list[str]]:
    """An attribute of a resource."""
    return {"Fn::GetAtt": [resource, name]}


def when(condition: str, value: Any) -> dict[str, list[Any]]:
    """A value that is there only under a condition."""
    return {"Fn::If": [condition, value, {"Ref": "AWS::NoValue"}]}


def endpoint_export(endpoint_name: str) -> str:
    """The export of an endpoint's stack that holds the endpoint's name: whoever imports it must be deleted first."""
    return f"{endpoint_name}-endpoint:EndpointName"
