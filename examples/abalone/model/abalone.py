"""What the four programs share: the columns, how rows are read, and where SageMaker keeps its folders."""

import csv
import os
import reprlib
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

# The matrices are small: threads cost more than they save, and `serve` already runs one process per core.
# Has to be set before numpy is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
from numpy.typing import NDArray

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))

SEXES = ("F", "I", "M")
MEASUREMENTS = (
    "length",
    "diameter",
    "height",
    "whole_weight",
    "shucked_weight",
    "viscera_weight",
    "shell_weight",
)
FEATURES = ("sex", *MEASUREMENTS)
COLUMNS = (*FEATURES, "rings")

LARGEST = 1000.0  # the archive's largest value is 29; beyond this it is a typo, whatever the unit
YEARS_BEFORE_FIRST_RING = 1.5

Table: TypeAlias = NDArray[np.float64]

_SEX_CODES = {sex: float(code) for code, sex in enumerate(SEXES)}


class Refused(Exception):
    """The input cannot be used. The message says where and why; no traceback is needed."""


def encode_sex(table: Table) -> Table:
    """Replace the first column, a position in ``SEXES``, by one 0/1 column for each sex.

    A step of the estimator, which refers to it by module and name: keep both.
    """
    return np.hstack([table[:, :1] == np.arange(len(SEXES)), table[:, 1:]])


def read_lines(text: str, columns: Sequence[str], where: str = "row") -> tuple[list[list[str]], Table]:
    """Read CSV text without a header.

    Args:
        text: One row to a line; line ends after the last row are ignored.
        columns: The columns that each row must have, in order.
        where: What a refusal calls a row, in front of its number.

    Returns:
        The fields as they were written, and the same rows as a table of numbers.

    Raises:
        Refused: naming the first malformed row and its column.
    """
    lines = csv.reader(text.rstrip().splitlines(), skipinitialspace=True)
    try:
        rows = list(lines)
    except csv.Error as error:
        raise Refused(f"{where} {lines.line_num}: {error}") from error
    if "_" in text:  # float() takes 0_5 for 5
        explain(rows, columns, where)
    return rows, to_table(rows, columns, where)


def to_table(rows: Sequence[Sequence[Any]], columns: Sequence[str], where: str = "row") -> Table:
    """Turn rows of fields into a table of numbers, the sex as its position in ``SEXES``.

    Raises:
        Refused: naming the first malformed row and its column.
    """
    if not rows:
        return np.empty((0, len(columns)))
    try:
        # Column by column: for many rows that is much quicker than row by row.
        sexes, *numbers = zip(*rows, strict=True)
        table = np.array([[_SEX_CODES[sex] for sex in sexes], *(list(map(float, column)) for column in numbers)]).T
    except (KeyError, TypeError, ValueError, OverflowError):
        table = np.empty((0, 0))
    if table.shape[1] == len(columns) and ((table >= 0) & (table <= LARGEST)).all():
        return table
    # Every row is good in nearly every request, so the culprit is looked for only when there is one.
    explain(rows, columns, where)
    raise AssertionError("a table was refused, but none of its fields")


def explain(rows: Iterable[Sequence[Any]], columns: Sequence[str], where: str) -> None:
    """Raise ``Refused`` for the first malformed field of ``rows``, if there is one."""
    for number, row in enumerate(rows, start=1):
        for column, field in zip(columns, row, strict=False):
            if not _is_good(column, field):
                rule = f"one of {', '.join(SEXES)}" if column == "sex" else f"a number from 0 to {LARGEST:g}"
                shown = reprlib.repr(field)
                raise Refused(f"{where} {number}, column '{column}': must be {rule}, got {shown}")
        if len(row) < len(columns):
            what = f"column '{columns[len(row)]}' is missing"
        elif len(row) > len(columns):
            what = f"unexpected value after column '{columns[-1]}'"
        else:
            continue
        raise Refused(f"{where} {number}: {what}, expected {len(columns)} columns, got {len(row)}")


def _is_good(column: str, field: Any) -> bool:
    if column == "sex":
        return isinstance(field, str) and field in SEXES
    try:
        return "_" not in str(field) and 0 <= float(field) <= LARGEST
    except (TypeError, ValueError, OverflowError):
        return False


def read_folder(folder: Path) -> tuple[list[list[str]], Table]:
    """Read every labelled row of every file below ``folder``, hidden files excepted.

    Raises:
        Refused: when there is no row, or naming the first malformed row by file, line and column.
    """
    rows: list[list[str]] = []
    tables = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        name = path.relative_to(folder)
        try:
            lines, table = read_lines(path.read_text(encoding="utf-8"), COLUMNS, where=f"{name}, line")
        except UnicodeDecodeError as error:
            raise Refused(f"{name}: not a text file") from error
        rows += lines
        tables.append(table)
    if not rows:
        raise Refused(f"no data: {folder} has no rows")
    return rows, np.concatenate(tables)


def age(table: Table) -> Table:
    """The age in years of each labelled row."""
    return table[:, len(FEATURES)] + YEARS_BEFORE_FIRST_RING


def run(job: Callable[[], None], *, failure_file: Path | None = None) -> int:
    """Run ``job`` and return its exit status.

    A refusal is an answer: one line, status 1. Anything else is a bug and keeps its traceback.
    ``failure_file`` is where a training job leaves the reason that DescribeTrainingJob shows.
    """
    try:
        job()
    except Exception as error:
        reason = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
        if failure_file:
            failure_file.parent.mkdir(parents=True, exist_ok=True)
            failure_file.write_text(" ".join(reason.split()))
        if not isinstance(error, Refused):
            raise
        print(reason, file=sys.stderr)
        return 1
    return 0
