"""The metrics that SageMaker publishes of an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from aws_cdk import Duration

from ._template import VARIANT

if TYPE_CHECKING:
    from aws_cdk import aws_cloudwatch as cloudwatch


class MetricOptions(TypedDict, total=False):
    """How a metric is read.

    Attributes:
        statistic: Such as ``Sum``, ``Average`` or ``p99``.
        period: What one value stands for.
    """

    statistic: str
    period: Duration


def endpoint_metric(
    endpoint_name: str,
    name: str,
    statistic: str,
    options: MetricOptions,
    *,
    account: str | None = None,
    region: str | None = None,
) -> cloudwatch.Metric:
    """A metric of the variant that answers, over five minutes unless ``options`` say otherwise.

    Args:
        endpoint_name: The endpoint.
        name: The metric's name.
        statistic: How it is read unless ``options`` say otherwise.
        options: What the caller chose.
        account: Where the endpoint is, if that is another account.
        region: Where it is, if that is another region.
    """
    from aws_cdk import aws_cloudwatch as cloudwatch

    return cloudwatch.Metric(
        namespace="AWS/SageMaker",
        metric_name=name,
        dimensions_map={"EndpointName": endpoint_name, "VariantName": VARIANT},
        # Source: the SageMaker guide; the others are published without a unit.
        unit=cloudwatch.Unit.MICROSECONDS if name.endswith("Latency") else None,
        statistic=options.get("statistic", statistic),
        period=options.get("period", Duration.minutes(5)),
        account=account,
        region=region,
    )
