"""What the monitor finds, and how often it is wrong: ``python benchmarks/detection.py [--windows 200]``.

Draws windows from the distribution of their baseline and from shifted ones, judges them by the default limits, and
writes the tables of ``docs/detection.md``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cdk_ml_release.drift import comparison, violations
from cdk_ml_release.drift.constraints import Constraints
from cdk_ml_release.drift.drift_test import Judge, score
from cdk_ml_release.drift.observation import Observation
from cdk_ml_release.drift.reference import Reference
from cdk_ml_release.drift.table import Table
from cdk_ml_release.drift.window import Window
from cdk_ml_release.runtime import baseline
from cdk_ml_release.runtime.monitor_settings import MonitorSettings
from cdk_ml_release.runtime.schema import Schema

PAGE = Path(__file__).parent.parent / "docs" / "detection.md"
SETTINGS = MonitorSettings(endpoint_name="endpoint", bucket="bucket")
JUDGE = Judge(settings=SETTINGS, thresholds={})
WINDOW = Window.between("2026-03-01T09:00", "2026-03-01T10:00")
SCHEMA = Schema(
    features={"category": "category", "integer": "integer", **{f"number_{place}": "number" for place in range(8)}}
)
CATEGORIES, SHARES = ("a", "b", "c", "d"), (0.4, 0.3, 0.2, 0.1)
WANTED = 0.8
MOST_ROWS = 20_000
"""No shift of the tables needs more; a search that comes here ends."""

Random = np.random.Generator


def rows(random: Random, count: int) -> list[tuple[Any, ...]]:
    """Rows like those of every baseline: half of the numbers are normal, half are lognormal."""
    numbers = random.normal(size=(9, count))
    numbers[1:5] = np.exp(numbers[1:5] / 2)
    columns = [random.choice(CATEGORIES, count, p=SHARES).tolist(), random.poisson(9, count).astype(float).tolist()]
    return list(zip(*columns, *numbers.tolist(), strict=True))


def table(given: list[tuple[Any, ...]]) -> Table:
    """Rows as the monitor keeps them."""
    made = Table(SCHEMA.columns)
    for row in given:
        made.add(row)
    return made


def reference(given: list[tuple[Any, ...]]) -> Reference:
    """The baseline of rows."""
    columns = {name: list(values) for name, values in zip(SCHEMA.columns, zip(*given, strict=True), strict=True)}
    statistics = baseline.statistics(SCHEMA, columns)
    constraints = Constraints.from_json(json.dumps(baseline.constraints(statistics)), "constraints.json")
    return Reference(schema=SCHEMA, constraints=constraints, statistics=statistics, table=table(given))


def false_alarms(random: Random, before: int, count: int, windows: int) -> tuple[float, float, float, float]:
    """Of windows like their baselines, the shares with drift, with a drifted prediction and with a violation.

    Args:
        random: Draws all of them.
        before: The rows of each baseline.
        count: The rows of each window.
        windows: How many are drawn, each with a baseline of its own.

    Returns:
        Those three shares, after the share of single features that drifted.
    """
    features, drifted, predicted, violated = 0, 0, 0, 0
    for _ in range(windows):
        known, observation = reference(rows(random, before)), Observation(SCHEMA, WINDOW)
        observation.table, observation.rows = table(rows(random, count)), count
        found = comparison.compare(observation.table, known.table, SCHEMA.prediction, JUDGE)
        features += len(found.drifted)
        drifted += found.drift_share > SETTINGS.drift_share
        predicted += bool(found.prediction and found.prediction.drifted)
        violated += bool(violations.find(observation, known))
    return features / windows / len(SCHEMA.features), drifted / windows, predicted / windows, violated / windows


def shifted(shift: float) -> Callable[[Random, int], pd.Series[float]]:
    """What draws a normal number that has moved by so many standard deviations."""
    return lambda random, count: pd.Series(random.normal(shift, size=count))


def mixed(new: float) -> Callable[[Random, int], pd.Series[str]]:
    """What draws categories of which such a share is a new one."""
    weights = [*(share * (1 - new) for share in SHARES), new]
    return lambda random, count: pd.Series(random.choice([*CATEGORIES, "new"], count, p=weights), dtype="object")


def needed(kind: str, draw: Any, undrifted: Any, before: int, windows: int) -> int | None:
    """How many rows a window needs for the drift of a column to be found four times of five; None if none is enough."""

    def power(count: int) -> float:
        # The same draws for every size: with more rows the share does not fall but by chance.
        random = np.random.default_rng(count)
        found = 0
        for _ in range(windows):
            columns = undrifted(random, before), draw(random, count)
            chosen = JUDGE.choose("column", kind, *columns)  # type: ignore[arg-type]
            found += chosen is not None and score(*chosen, kind, *columns).drifted  # type: ignore[arg-type]
        return found / windows

    low, high = 4, 8
    while power(high) < WANTED:
        low, high = high, high * 2
        if high > MOST_ROWS:
            return None
    while high - low > max(1, low // 20):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= WANTED else (middle, high)
    return high


def by_violation(new: float) -> int:
    """How many rows a window needs for a new category to be in it, four times of five."""
    return math.ceil(math.log(1 - WANTED) / math.log(1 - new))


def alarm_table(windows: int) -> list[str]:
    """How often windows like their baseline set off an alarm."""
    lines = ["| baseline | window | a feature drifts | drift | prediction drift | violations |", "|" + "---:|" * 6]
    for before, count in ((800, 100), (800, 1000), (800, 20_000), (2000, 500), (2000, 5000), (5000, 20_000)):
        shares = false_alarms(np.random.default_rng(before + count), before, count, windows)
        lines.append(f"| {before:,} | {count:,} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
        print(lines[-1], flush=True)
    return lines


def power_table(windows: int) -> list[str]:
    """How many rows each kind of drift needs."""
    sizes = (800, 2000, 10_000)
    lines = [
        "| drift of one column | " + " | ".join(f"baseline of {size:,}" for size in sizes) + " | as a violation |",
        "|---|" + "---:|" * 4,
    ]
    cases: list[tuple[str, str, Any, Any, str]] = [
        (f"a number moves by {shift:g} standard deviations", "number", shifted(shift), shifted(0), "")
        for shift in (0.25, 0.5, 1.0)
    ]
    cases += [
        (f"a new category, {share:.0%} of all rows", "category", mixed(share), mixed(0), f"{by_violation(share)}")
        for share in (0.01, 0.05, 0.2)
    ]
    for told, kind, draw, undrifted, violation in cases:
        found = [needed(kind, draw, undrifted, size, windows) for size in sizes]
        cells = [f"{each:,}" if each is not None else "not found" for each in found]
        lines.append(f"| {told} | " + " | ".join(cells) + f" | {violation} |")
        print(lines[-1], flush=True)
    return lines


def write(name: str, lines: list[str]) -> None:
    """Put a table between its marks on the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->\n")
    if not begin or not end:
        sys.exit(f"{PAGE} has no marks <!-- {name} --> and <!-- end of {name} -->")
    PAGE.write_text("".join([before, begin, "\n", "\n".join(lines), "\n\n", end, after]), encoding="utf-8")


def main() -> None:
    """Measure and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--windows", type=int, default=200, help="drawn for each number in the tables")
    windows = parser.parse_args().windows
    write("false alarms", alarm_table(windows))
    write("records needed", power_table(windows))


if __name__ == "__main__":
    main()
