"""The baseline of a model: ``schema.json``, ``statistics.json`` and ``constraints.json``, as Model Monitor has them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import sample, storage
from .cells import ColumnType, Value
from .contract import RunFolder, StageFailed
from .sample import Columns
from .schema import Schema

INFERRED: Mapping[ColumnType, str] = {"number": "Fractional", "integer": "Integral", "category": "String"}
"""What Model Monitor calls the types."""

_BUCKETS = 10
# More values than this are no domain but identifiers; Model Monitor, too, lists "small cardinality" only.
_LARGEST_DOMAIN = 100
# The parameters with which Model Monitor's own sketches are made.
_SKETCH = {"c": 0.64, "k": 2048.0}

_MONITORING_CONFIG = {
    "evaluate_constraints": "Enabled",
    "emit_metrics": "Enabled",
    "datatype_check_threshold": 1.0,
    "domain_content_threshold": 1.0,
    "distribution_constraints": {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Robust",
        "categorical_comparison_threshold": 0.1,
        "categorical_drift_method": "LInfinity",
    },
}


def key(execution_id: str, name: str) -> str:
    """The key of one of the baseline's files, such as ``schema.json``."""
    return f"runs/{execution_id}/baseline/{name}"


def write(s3: Any, folder: RunFolder, schema: Schema) -> None:
    """Make the baseline of a run from its evaluated rows, and store it beside them.

    Args:
        s3: A client.
        folder: The run.
        schema: The columns of its model.

    Raises:
        StageFailed: if there are no evaluated rows, or one does not fit the schema.
    """
    path = "evaluation/predictions.jsonl"
    content = storage.read(s3, folder.bucket, f"{folder.prefix}/{path}") or b""
    columns = sample.read(schema, content.split(b"\n"), folder.uri(path))
    found = statistics(schema, columns)
    files = {"schema.json": schema.to_json(), "statistics.json": _text(found)}
    files["constraints.json"] = _text(constraints(found))
    for name, text in files.items():
        s3.put_object(
            Bucket=folder.bucket,
            Key=key(folder.execution_id, name),
            Body=text.encode(),
            ContentType="application/json",
        )


def statistics(schema: Schema, columns: Columns) -> dict[str, Any]:
    """What ``statistics.json`` says of the values of each feature and of the prediction."""
    features = (feature(name, kind, columns[name]) for name, kind in schema.columns.items())
    return statistics_of(features, len(columns[schema.prediction]))


def statistics_of(features: Iterable[dict[str, Any]], rows: int) -> dict[str, Any]:
    """What ``statistics.json`` says of so many rows, given what it says of each feature."""
    return {"version": 0.0, "dataset": {"item_count": rows}, "features": list(features)}


def feature(name: str, kind: ColumnType, values: Sequence[Value]) -> dict[str, Any]:
    """What ``statistics.json`` says of the values of one feature."""
    present = [value for value in values if value is not None]
    common = {"num_present": len(present), "num_missing": len(values) - len(present)}
    described: dict[str, Any] = {"name": name, "inferred_type": INFERRED[kind]}
    if kind == "category":
        return described | {"string_statistics": {"common": common, **_of_texts([str(value) for value in present])}}
    numbers = [value for value in present if not isinstance(value, str)]
    return described | {"numerical_statistics": {"common": common, **_of_numbers(numbers)}}


def constraints(found: Mapping[str, Any]) -> dict[str, Any]:
    """What ``constraints.json`` asks of data that is like what ``found`` was made of.

    Args:
        found: The statistics.
    """
    return {
        "version": 0.0,
        "features": [_constraint(each) for each in found["features"]],
        "monitoring_config": _MONITORING_CONFIG,
    }


def read_schema(content: bytes | None, uri: str) -> Schema:
    """The schema that a model was built with.

    Raises:
        StageFailed: if it is missing or damaged.
    """
    if content is None:
        raise StageFailed(f"the baseline has no {uri}: declare a schema on the repo and build the model again")
    try:
        return Schema.from_json(content)
    except ValueError as error:
        raise StageFailed(f"{uri} is damaged: {error}; build the model again") from None


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _of_texts(values: Sequence[str]) -> dict[str, Any]:
    counts = Counter(values)
    # Most frequent first; equally frequent ones in an order that does not depend on the rows'.
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    buckets = [{"value": value, "count": count} for value, count in ordered]
    return {"distinct_count": len(counts), "distribution": {"categorical": {"buckets": buckets}}}


def _of_numbers(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {}
    least, most, total = min(values), max(values), math.fsum(values)
    mean = total / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    described = {"mean": mean, "sum": total, "std_dev": deviation, "min": least, "max": most}
    kll = {"buckets": _buckets(values, least, most), "sketch": {"parameters": _SKETCH, "data": _sketch(values)}}
    return described | {"distribution": {"kll": kll}}


def _buckets(values: Sequence[float], least: float, most: float) -> list[dict[str, float]]:
    """How many values are in each tenth of their range, as Model Monitor counts them."""
    width = (most - least) / _BUCKETS
    counts = [0] * _BUCKETS
    for value in values:
        place = int((value - least) / width) if width else 0
        counts[min(place, _BUCKETS - 1)] += 1
    bounds = [least + width * place for place in range(_BUCKETS)] + [most]
    return [
        {"lower_bound": bounds[place], "upper_bound": bounds[place + 1], "count": count}
        for place, count in enumerate(counts)
    ]


def _sketch(values: Sequence[float]) -> list[list[float]]:
    """Quantiles in a sketch's form: the values of level n stand for 2**n each, together for all of them."""
    ordered = sorted(values)
    levels: list[list[float]] = []
    while len(ordered) > _SKETCH["k"]:
        levels.append(ordered[-1:] if len(ordered) % 2 else [])
        ordered = ordered[: len(ordered) // 2 * 2 : 2]
    return [*levels, ordered]


def _constraint(feature: Mapping[str, Any]) -> dict[str, Any]:
    described = feature.get("string_statistics") or feature["numerical_statistics"]
    present, missing = described["common"]["num_present"], described["common"]["num_missing"]
    asked: dict[str, Any] = {
        "name": feature["name"],
        "inferred_type": feature["inferred_type"],
        "completeness": present / (present + missing) if present + missing else 0.0,
    }
    if "string_statistics" not in feature:
        return asked | {"num_constraints": {"is_non_negative": described.get("min", -1.0) >= 0}}
    if described["distinct_count"] > _LARGEST_DOMAIN:
        return asked
    domain = sorted(bucket["value"] for bucket in described["distribution"]["categorical"]["buckets"])
    return asked | {"string_constraints": {"domains": domain}}
