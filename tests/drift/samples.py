"""Baselines and windows in memory."""

from __future__ import annotations

import json

from cdk_ml_release.drift.constraints import Constraints
from cdk_ml_release.drift.reference import Reference
from cdk_ml_release.drift.table import Table
from cdk_ml_release.runtime import baseline


def table(schema, rows):
    """Rows of features and prediction as a table."""
    made = Table(schema.columns)
    for row in rows:
        made.add(row)
    return made


def reference(schema, rows):
    """The baseline of such rows."""
    columns = {name: [row[place] for row in rows] for place, name in enumerate(schema.columns)}
    statistics = baseline.statistics(schema, columns)
    constraints = Constraints.from_json(json.dumps(baseline.constraints(statistics)), "constraints.json")
    return Reference(schema=schema, constraints=constraints, statistics=statistics, table=table(schema, rows))
