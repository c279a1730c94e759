"""What was seen of one model version in a window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from ..runtime.rows import Misfit
from ..runtime.schema import Schema
from . import capture
from .capture import Exchange
from .table import Table
from .window import Window

_MOST_TOLD = 5


class Observation:
    """The rows of a window that fit the schema, and an account of those that do not."""

    def __init__(self, schema: Schema, window: Window, sample: int = 0, minimum: int = 1) -> None:
        """Begin without records.

        Args:
            schema: The columns of the model version.
            window: Records of another time are passed over.
            sample: How many rows are kept for the comparison at most; 0 for all. Everything is counted.
            minimum: With fewer rows, whether they fit or not, nothing is said of the quality of the data.
        """
        self._minimum = minimum
        self.table = Table(schema.columns, sample, seed=window.label)
        self.rows = 0
        """How many rows were captured, those that do not fit among them."""
        self.oldest: datetime | None = None
        self.newest: datetime | None = None
        self.misfits: list[str] = []
        """The first few rows that do not fit, in words."""
        self.kinds: Counter[tuple[str, str]] = Counter()
        """How many rows do not fit, by what kind of misfit and which column is to blame."""
        self._schema = schema
        self._window = window

    @property
    def unfit(self) -> int:
        """How many rows do not fit."""
        return self.rows - self.table.seen

    @property
    def judged(self) -> bool:
        """Whether there are enough rows to judge the quality of the data."""
        return self.rows >= self._minimum

    def add(self, lines: Iterable[bytes], where: str) -> None:
        """Add captured lines.

        Args:
            lines: One record each.
            where: The file that they are from, for those who look for a misfit.
        """
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                exchange = capture.parse(line)
            except capture.Unreadable as reason:
                self._refuse([Misfit(row=1, reason=str(reason))], f"line {number} of {where}")
                self.rows += 1
                continue
            if self._window.holds(exchange.time):
                self._add(exchange, f"line {number} of {where}")

    def _add(self, exchange: Exchange, where: str) -> None:
        if exchange.time is not None:
            self.newest = max(exchange.time, self.newest or exchange.time)
            self.oldest = min(exchange.time, self.oldest or exchange.time)
        asked = self._schema.read(exchange.request.text, exchange.request.encoding)
        answered = self._schema.read_output(exchange.answer.text, exchange.answer.encoding, asked.count)
        self.rows += asked.count
        for position, row in asked.fitting.items():
            if position in answered.fitting:
                self.table.add((*row, *answered.fitting[position]))
        # A row is unfit once, whether it is the request, the answer, or both.
        unasked = {misfit.row for misfit in asked.misfits}
        self._refuse([*asked.misfits, *(each for each in answered.misfits if each.row not in unasked)], where)

    def _refuse(self, misfits: Iterable[Misfit], where: str) -> None:
        for misfit in misfits:
            self.kinds[misfit.kind, misfit.column] += 1
            if len(self.misfits) < _MOST_TOLD:
                self.misfits.append(f"{misfit} ({where})")
