"""Build the monitor's image and write what CloudFormation deploys the monitor with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import aws, endpoint_stack, program
from .container import image
from .monitor_stage import NAMESPACE, MonitorStage

_PATIENCE = aws.Pace(first_seconds=0.5, longest_seconds=15.0, limit_seconds=3600.0)


def monitor(
    env: Mapping[str, str], client: Callable[[str], Any] = aws.client, pace: aws.Pace = _PATIENCE
) -> dict[str, str]:
    """Write ``template.json`` and ``configuration.json`` into the artifact.

    Args:
        env: The environment of the CodeBuild project.
        client: Gives the client of an AWS service.
        pace: How often to look whether the stack can be deployed to, and for how long.

    Returns:
        ``IMAGE_URI``: the monitor's image by digest.
    """
    settings, home = MonitorStage.from_environment(env), Path(env["ML_HOME"])
    uri = image(client("ecr"), settings.repository_uri, settings.image_tag, home / "monitor")
    endpoint_stack.ready(client("cloudformation"), settings.stack_name, pace)
    artifact = home / "artifact"
    artifact.mkdir(exist_ok=True)
    template = (home / "monitor.template.json").read_text(encoding="utf-8")
    (artifact / "template.json").write_text(template, encoding="utf-8")
    parameters = {"ImageUri": uri, **settings.parameters}
    (artifact / "configuration.json").write_text(json.dumps({"Parameters": parameters}), encoding="utf-8")
    sign_of_life(client("cloudwatch"), settings.endpoint_name)
    return {"IMAGE_URI": uri}


def sign_of_life(cloudwatch: Any, endpoint_name: str) -> None:
    """Keep the alarm on a silent monitor, which is created next, from going off before the first window is over."""
    datum = {
        "MetricName": "Completed",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint_name}],
        "Value": 1.0,
        "Unit": "Count",
    }
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=[datum])


if __name__ == "__main__":
    sys.exit(program.run(monitor))
