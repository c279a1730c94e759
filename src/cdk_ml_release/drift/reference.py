"""What a window is compared with: the baseline of the model version that answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..runtime import baseline, sample
from ..runtime.contract import StageFailed
from ..runtime.schema import Schema
from .constraints import Constraints
from .files import Files
from .table import Table


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A baseline: the schema, what data must keep, what it was like, and the rows themselves."""

    schema: Schema
    constraints: Constraints
    statistics: Mapping[str, Any]
    table: Table

    @classmethod
    def of_run(cls, files: Files, execution_id: str) -> Reference:
        """The baseline that a run has stored.

        Raises:
            StageFailed: naming the file that is missing or damaged.
        """
        run = f"runs/{execution_id}"
        return cls.read(files, f"{run}/baseline/", f"{run}/evaluation/predictions.jsonl")

    @classmethod
    def read(cls, files: Files, folder: str, rows: str) -> Reference:
        """Read a baseline.

        Args:
            files: Where it is.
            folder: What the names of its files begin with.
            rows: The name of the evaluated rows.

        Raises:
            StageFailed: naming the file that is missing or damaged.
        """
        name = f"{folder}schema.json"
        schema = baseline.read_schema(files.read(name), files.uri(name))
        constraints = Constraints.from_json(*_stored(files, f"{folder}constraints.json"))
        statistics = _document(*_stored(files, f"{folder}statistics.json"))
        if files.read(rows) is None:
            raise StageFailed(f"the baseline has no {files.uri(rows)}: build the model again")
        columns = sample.read(schema, files.lines(rows), files.uri(rows))
        table = Table(schema.columns)
        for row in zip(*columns.values(), strict=True):
            table.add(row)
        return cls(schema=schema, constraints=constraints, statistics=statistics, table=table)

    def range_of(self, name: str) -> tuple[float, float, int] | None:
        """The smallest and the largest number of a column, and how many there are; None if it has none."""
        for feature in self.statistics["features"]:
            described = feature.get("numerical_statistics", {})
            if feature.get("name") == name and "min" in described:
                return described["min"], described["max"], described["common"]["num_present"]
        return None


def _stored(files: Files, name: str) -> tuple[bytes, str]:
    content = files.read(name)
    if content is None:
        raise StageFailed(f"the baseline has no {files.uri(name)}: build the model again")
    return content, files.uri(name)


def _document(content: bytes, uri: str) -> Mapping[str, Any]:
    try:
        found: Any = json.loads(content)
        for feature in found["features"]:
            described = feature.get("numerical_statistics", {})
            if "min" in described:
                float(described["min"]), float(described["max"]), int(described["common"]["num_present"])
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise StageFailed(f"{uri} is damaged: {error!r}; build the model again") from None
    return dict(found)
