"""The rows of a window as columns, in little memory."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..runtime.cells import ColumnType, Value

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

_MISSING_CATEGORY = -1


class _Numbers:
    """Eight bytes for each number."""

    def __init__(self) -> None:
        self.values = array("d")

    def put(self, place: int, value: Value) -> None:
        number = math.nan if value is None or isinstance(value, str) else value
        if place == len(self.values):
            self.values.append(number)
        else:
            self.values[place] = number

    def read(self) -> list[Value]:
        return [None if math.isnan(value) else value for value in self.values]

    def series(self) -> pd.Series[float]:
        import pandas as pd

        return pd.Series(self.values, dtype="float64")


class _Categories:
    """Eight bytes for each value, and each text once."""

    def __init__(self) -> None:
        self.codes = array("q")
        self.texts: list[str] = []
        self._known: dict[str, int] = {}

    def put(self, place: int, value: Value) -> None:
        code = _MISSING_CATEGORY if value is None else self._code(str(value))
        if place == len(self.codes):
            self.codes.append(code)
        else:
            self.codes[place] = code

    def _code(self, text: str) -> int:
        if text not in self._known:
            self._known[text] = len(self.texts)
            self.texts.append(text)
        return self._known[text]

    def read(self) -> list[Value]:
        return [None if code == _MISSING_CATEGORY else self.texts[code] for code in self.codes]

    def series(self) -> pd.Series[str]:
        import pandas as pd

        return pd.Series(self.read(), dtype="object")


class Table:
    """Rows of the features and the prediction: all that were added, or an even sample of them."""

    def __init__(self, columns: Mapping[str, ColumnType], most: int = 0, seed: str = "") -> None:
        """Begin without rows.

        Args:
            columns: The columns, in the order in which rows have them.
            most: How many rows are kept; 0 for all.
            seed: What the choice depends on: the same seed chooses the same rows.
        """
        self.kinds = dict(columns)
        self.seen = 0
        """How many rows were added, whether kept or not."""
        self._most = most
        self._random = random.Random(seed)
        self._columns: dict[str, _Numbers | _Categories] = {
            name: _Categories() if kind == "category" else _Numbers() for name, kind in columns.items()
        }
        self._kept = 0

    def __len__(self) -> int:
        return self._kept

    @property
    def sampled(self) -> bool:
        """Whether there were more rows than are kept."""
        return self.seen > self._kept

    def add(self, row: Sequence[Value]) -> None:
        """Add a row."""
        self.seen += 1
        place = self._kept
        if self._most and place == self._most:
            # Each of the rows so far is kept with the same probability.
            place = self._random.randrange(self.seen)
            if place >= self._most:
                return
        else:
            self._kept += 1
        for column, value in zip(self._columns.values(), row, strict=True):
            column.put(place, value)

    def column(self, name: str) -> list[Value]:
        """The values of a column."""
        return self._columns[name].read()

    def frame(self) -> pd.DataFrame:
        """All columns, as pandas has them."""
        import pandas as pd

        return pd.DataFrame({name: column.series() for name, column in self._columns.items()})
