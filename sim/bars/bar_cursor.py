"""A venue's way through a tape of bars, by engine time: rows as plain ints, and what the last day was like.

The inside hears the same bars at their close, from `sim.feed`; the cursor never hands a row to it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from core.moments import DAY_NS, INF
from core.tape import Tape


class BarRow(msgspec.Struct, frozen=True, gc=False):
    """One bar as the venue walks it: int mantissas."""

    row: int
    open_time: int
    open: int
    high: int
    low: int
    close: int
    volume: int

    def scaled(self, factor: int) -> BarRow:
        """The same prices in a finer unit."""
        return BarRow(
            self.row,
            self.open_time,
            self.open * factor,
            self.high * factor,
            self.low * factor,
            self.close * factor,
            self.volume,
        )


class TapeCursor:
    """A venue's way through a tape of bars, by engine time. Rows are read as plain ints."""

    def __init__(self, tape: Tape, history: Tape | None = None) -> None:
        """`history` is what lies before the tape at the same source: `day_before` looks back into it, nobody else.

        A row's number, and so a fill's cause, counts within the tape itself.
        """
        self.interval_ns = tape.interval_ns
        self.price_scale = tape.price_scale
        self.size_scale = tape.size_scale
        self.tape_id = tape.tape_id[:16]
        """First 16 of the tape's hash: what a fill names as its cause."""
        columns = tape.columns
        self._opens = columns["ts_venue"] - tape.interval_ns
        self._closes, self._volumes = columns["close"], columns["volume"]
        self._open_of: Callable[[int], int] = self._opens.item
        self._numbers_of = tuple(columns[name].item for name in ("open", "high", "low", "close", "volume"))
        """How a row's numbers are read: by column, as plain ints."""
        self._count = len(tape)
        self._next = 0
        self._history = history
        self._past: tuple[np.ndarray, np.ndarray, int] | None = None

    def at(self, ts: int) -> BarRow | None:
        row, count, open_of, interval_ns = self._next, self._count, self._open_of, self.interval_ns
        if row < count:  # usually the next one, or the one after a few regular steps
            row += (ts - open_of(row)) // interval_ns
        if not 0 <= row < count or not 0 <= ts - open_of(row) < interval_ns:
            row = self._row_at(ts)
            if row < 0 or ts >= open_of(row) + interval_ns:
                self._next = row + 1
                return None
        self._next = row + 1
        return self._read(row)

    def next_open(self) -> int:
        return self._open_of(self._next) if self._next < self._count else INF

    def take(self) -> BarRow:
        self._next += 1
        return self._read(self._next - 1)

    def close_before(self, in_hole: bool) -> int | None:
        """Close of the bar before the current one, or before the hole we stand in, mantissa; None at the first."""
        row = self._next - (1 if in_hole else 2)
        return int(self._closes[row]) if row >= 0 else None

    def day_before(self, row: int) -> tuple[float, float] | None:
        """Realised volatility and volume of the 24 h before a row's open, scaled up where less than a day is known.

        sigma = sqrt(sum of squared log returns), volume in base units. None with fewer than two bars before the row.
        """
        bars = max(1, DAY_NS // self.interval_ns)
        if self._past is None:
            self._past = self._sums(bars)
        squares, volumes, before = self._past
        row += before
        first = max(0, row - bars)
        if row - first < 2:
            return None
        whole = bars / (row - first)
        # The first return that is known of is unknown itself and counts as 0.
        return (
            float(((squares[row] - squares[first]) * whole) ** 0.5),
            float((volumes[row] - volumes[first]) * whole),
        )

    def _sums(self, bars: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Running sums of squared returns and of volume, and how many rows of the history come first in them."""
        closes, volumes, before = self._closes, self._volumes, 0
        if self._history is not None:
            # One row more than a day: the first return of the day needs the close before it.
            closes_before = self._history.columns["close"][-(bars + 1) :]
            before = len(closes_before)
            closes = np.concatenate((closes_before, closes))
            volumes = np.concatenate((self._history.columns["volume"][-(bars + 1) :], volumes))
        logs = np.log(closes.astype(np.float64))
        returns = np.diff(logs, prepend=logs[:1])
        sizes = volumes / 10.0**self.size_scale
        return (
            np.concatenate(([0.0], np.cumsum(returns * returns))),
            np.concatenate(([0.0], np.cumsum(sizes))),
            before,
        )

    def _row_at(self, ts: int) -> int:
        """The last row that opens at or before `ts`."""
        return int(self._opens.searchsorted(ts, "right")) - 1

    def _read(self, row: int) -> BarRow:
        opened, high, low, close, volume = self._numbers_of
        return BarRow(row, self._open_of(row), opened(row), high(row), low(row), close(row), volume(row))
