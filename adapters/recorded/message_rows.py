"""Rows that are one recorded message (or one part of it) each, as they come."""

from __future__ import annotations

import numpy as np

from adapters.decimals import BadCell
from adapters.recorded.recordings import Line, nanoseconds
from adapters.ticks import NumberColumn, Ticks, bad_cell

PRICE_BARS = ("open", "high", "low", "close")


class MessageRows:
    """Line, venue time, receipt and numbers of rows; `ticks` makes columns of them."""

    def __init__(self, name: str, columns: tuple[str, ...]) -> None:
        self.name = name
        self.lines: list[int] = []
        self.times: list[int] = []
        self.receipts: list[int | None] = []
        self.numbers = {column: NumberColumn() for column in columns}

    def __len__(self) -> int:
        return len(self.lines)

    def add(self, line: Line, time: int, *cells: str) -> None:
        """One row; `time` in the venue's unit, 0 where it does not say. Raises DataError."""
        self.lines.append(line.number)
        self.times.append(nanoseconds(time))
        self.receipts.append(line.receipt)
        for (name, column), cell in zip(self.numbers.items(), cells, strict=True):
            try:
                column.append(cell)
            except BadCell as bad:
                raise bad_cell(self.name, self.lines, name, bad) from None

    def ticks(self, prices: tuple[str, ...], sizes: tuple[str, ...], least_leg_ns: int | None) -> Ticks:
        """The rows as columns. Raises DataError for a cell that is no number."""
        done = {}
        for name, column in self.numbers.items():
            try:
                done[name] = column.finish()
            except BadCell as bad:
                raise bad_cell(self.name, self.lines, name, bad) from None
        return Ticks(
            self.name,
            np.array(self.lines, dtype=np.int64),
            np.array(self.times, dtype=np.int64),
            None if None in self.receipts else np.array(self.receipts, dtype=np.int64),
            {name: done[name] for name in prices},
            {name: done[name] for name in sizes},
            least_leg_ns=least_leg_ns,
        )

    def price_ticks(self, least_leg_ns: int | None) -> Ticks:
        """Single prices (column `close`) as rows of marks or indexes: all four prices of a bar equal."""
        ticks = self.ticks(("close",), (), least_leg_ns)
        ticks.prices = dict.fromkeys(PRICE_BARS, ticks.prices["close"])
        return ticks
