"""Write ``runtime/shapes.json``: the part of botocore's SageMaker model that job requests are checked against.

The constructs check the request documents at synth, where botocore need not be installed; so the facts travel with
the package, and with them the version of botocore that they come from. Run it again when botocore was updated and a
test says that the facts have changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore
from botocore.loaders import Loader

OPERATIONS = (
    *("CreateProcessingJob", "CreateTrainingJob", "CreateTransformJob"),
    *("CreateDataQualityJobDefinition", "CreateModelQualityJobDefinition"),
)
TARGET = Path(__file__).parent.parent / "src/cdk_ml_release/runtime/shapes.json"
RULES = ("required", "min", "max", "pattern", "enum")


def collect(shapes: dict[str, Any], name: str, found: dict[str, Any]) -> None:
    """Add a shape, and every shape that it is made of, to ``found``."""
    if name in found:
        return
    shape = shapes[name]
    found[name] = {"type": shape["type"]} | {rule: shape[rule] for rule in RULES if rule in shape}
    parts = {part: shape[part]["shape"] for part in ("member", "key", "value") if part in shape}
    members = {member: of["shape"] for member, of in shape.get("members", {}).items()}
    found[name] |= parts
    if members:
        found[name]["members"] = members
    for part in (*parts.values(), *members.values()):
        collect(shapes, part, found)


def render() -> str:
    """The file's text, from the botocore that is installed."""
    model = Loader().load_service_model("sagemaker", "service-2")
    found: dict[str, Any] = {}
    for operation in OPERATIONS:
        collect(model["shapes"], model["operations"][operation]["input"]["shape"], found)
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found))
    return f'{{\n "botocore": "{botocore.__version__}",\n "shapes": {{\n{lines}\n }}\n}}\n'


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
