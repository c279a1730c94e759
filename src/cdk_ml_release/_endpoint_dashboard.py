"""The dashboard of an endpoint: traffic, errors, latency, capacity, and when which version came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ._template import VARIANT
from .hosting import Asynchronous, Hosting, RealTime

_VERSIONS = "@versions@"


Widget = tuple[str, Sequence[Any]]
"""The title of a graph and its metrics, as CloudWatch's dashboards have them."""


def resource(endpoint_name: str, hosting: Hosting, more: Sequence[Widget] = ()) -> dict[str, Any]:
    """The dashboard, named after the endpoint; the parameter ``Versions`` is the list of its annotations.

    Args:
        endpoint_name: The endpoint.
        hosting: How the model is served.
        more: Graphs to show below the others.
    """
    served = ["EndpointName", endpoint_name, "VariantName", VARIANT]

    def sagemaker(name: str, statistic: str, label: str) -> list[Any]:
        return ["AWS/SageMaker", name, *served, {"stat": statistic, "label": label}]

    errors = [sagemaker(f"Invocation{kind}Errors", "Sum", label) for kind, label in _ERRORS.items()]
    latency = [sagemaker("ModelLatency", each, f"model {each}") for each in ("p50", "p90", "p99")]
    widgets: list[Widget] = [
        ("Requests", [sagemaker("Invocations", "Sum", "requests")]),
        ("Errors", errors),
        ("Latency in microseconds", [*latency, sagemaker("OverheadLatency", "p99", "overhead p99")]),
        ("Capacity", _capacity(endpoint_name, hosting, served)),
        *more,
    ]
    body = json.dumps({"widgets": [_widget(*each, place=index) for index, each in enumerate(widgets)]})
    text = body.replace(f'"{_VERSIONS}"', "${Versions}")
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": endpoint_name,
            "DashboardBody": {"Fn::Sub": text},
        },
    }


_ERRORS = {"4XX": "4xx, bad requests", "5XX": "5xx, failures", "Model": "the model's"}


def _capacity(endpoint_name: str, hosting: Hosting, served: Sequence[str]) -> list[Any]:
    instances = ["CPUUtilization", "MemoryUtilization", "DiskUtilization"]
    match hosting:
        case Asynchronous():
            backlog = ["AWS/SageMaker", "ApproximateBacklogSize", "EndpointName", endpoint_name]
            return [[*backlog, {"stat": "Maximum", "label": "waiting requests"}], *_used(instances, served)]
        case RealTime():
            each = ["AWS/SageMaker", "InvocationsPerInstance", *served]
            return [[*each, {"stat": "Sum", "label": "requests per instance"}], *_used(instances, served)]
    return [["AWS/SageMaker", "ModelSetupTime", *served, {"stat": "p99", "label": "cold start p99, microseconds"}]]


def _used(names: Sequence[str], served: Sequence[str]) -> list[Any]:
    """Use of the instances in percent, on an axis of its own."""
    return [
        ["/aws/sagemaker/Endpoints", name, *served, {"stat": "Maximum", "label": name, "yAxis": "right"}]
        for name in names
    ]


def _widget(title: str, metrics: Sequence[Any], *, place: int) -> dict[str, Any]:
    return {
        "type": "metric",
        "x": 12 * (place % 2),
        "y": 6 * (place // 2),
        "width": 12,
        "height": 6,
        "properties": {
            "title": title,
            "view": "timeSeries",
            "region": "${AWS::Region}",
            "period": 60,
            "metrics": list(metrics),
            "annotations": {"vertical": _VERSIONS},
        },
    }
