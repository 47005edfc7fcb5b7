"""The equity curve: what the account was worth, as exact integers per row."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from core.errors import InvariantBroken
from core.exact import MATH

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

COLUMNS = ("equity", "cash", "unrealized", "exposure")
EVERY_ROW = slice(None)
CHUNK_ROWS = 65_536
"""Rows that are computed with at once: what lies between input and result stays in the processor's cache."""


class EquityCurve:
    """Rows sorted by time; several may share one. A value is mantissa x 10^-scale, in the run's currency.

    Columns are int64, or object arrays of Python ints where int64 would overflow.
    """

    __slots__ = ("cash", "equity", "exposure", "scale", "ts", "unrealized")

    def __init__(self, *, ts: Ints, scale: int, equity: Ints, cash: Ints, unrealized: Ints, exposure: Ints) -> None:
        """Raises InvariantBroken where the columns differ in length or time runs backwards."""
        self.ts = ts
        """When we knew, int nanoseconds UTC."""
        self.scale = scale
        self.equity = equity
        self.cash = cash
        self.unrealized = unrealized
        self.exposure = exposure
        """Gross notional of all positions at our last known marks."""
        lengths = {name: len(getattr(self, name)) for name in COLUMNS}
        if set(lengths.values()) != {len(ts)}:
            raise InvariantBroken(f"equity curve: {len(ts)} times, but columns of length {lengths}")
        if len(ts) > 1 and bool((ts[1:] < ts[:-1]).any()):
            row = int(np.flatnonzero(ts[1:] < ts[:-1])[0]) + 1
            raise InvariantBroken(f"equity curve: row {row} at {ts[row]} ns is before the row above, {ts[row - 1]} ns")

    def __len__(self) -> int:
        return len(self.ts)

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[slice]:
        """All rows, so many at a time."""
        return (slice(low, low + rows) for low in range(0, len(self.ts), rows))

    def floats(self, name: str, rows: Ints | slice = EVERY_ROW) -> Floats:
        """A column in the currency, as float64; of these rows alone where they are given."""
        column = getattr(self, name)[rows]
        if column.dtype == object:
            unit = 10**self.scale
            return np.array([mantissa / unit for mantissa in column.tolist()], dtype=np.float64)
        return np.asarray(column / 10.0**self.scale, dtype=np.float64)

    def last(self, name: str) -> Decimal | None:
        """The last row's value, exact; None on an empty curve."""
        column = getattr(self, name)
        return Decimal(int(column[-1])).scaleb(-self.scale, context=MATH) if len(column) else None

    def max(self, name: str) -> Decimal | None:
        """The largest value of a column, exact; None on an empty curve."""
        column = getattr(self, name)
        return Decimal(int(column.max())).scaleb(-self.scale, context=MATH) if len(column) else None
