"""Equity over time: a row per fill, funding and liquidation, and at each full interval, marked at our last known price.

A row at a full interval T shows what was known when everything of T had been heard: it is made with the first event after
T. While nothing is held such rows are not even counted one by one; while something is held its marks are collected and a
stretch of rows is computed at once, in exact integers, when the position changes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from core.events import Bar, KeyedEvent, OrderFilled
from core.instruments import Instrument, decimals_of
from core.metrics.equity import EquityCurve
from core.portfolio import Portfolio

STRETCH_MAXIMUM = 16_384
"""Rows collected before they are computed, so that memory stays flat in a long position."""
INT64_SAFE = 2**62
Key = tuple[str, str]


class EquityRecorder:
    """Hears bars, fills and account events, after the portfolio. `finish` gives the curve."""

    def __init__(
        self,
        portfolio: Portfolio,
        instruments: dict[Key, Instrument],
        price_scales: dict[Key, int],
        *,
        currency: str,
        interval_ns: int,
        start: int,
    ) -> None:
        self._portfolio = portfolio
        self._instruments = instruments
        self._price_scales = price_scales
        self._currency = currency
        self._interval = interval_ns
        self.scale = max(
            [8]
            + [max(price_scales.get(k, 0), decimals_of(i.tick)) + decimals_of(i.step) for k, i in instruments.items()]
            + [decimals_of(total) for total in portfolio.balances.values()]
        )
        self._due = -(-start // interval_ns) * interval_ns
        """The next full interval that has no row yet."""
        self._begin = self._due
        self._last: dict[Key, float] = {}
        self._held: list[Key] = []
        self._marks: dict[Key, list[float]] = {}
        self._cash = 0
        self._chunks: list[tuple[np.ndarray, ...]] = []
        self._refresh()

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def on_bar(self, bar: Bar) -> None:
        """Rows for full intervals that are over now, then remember the new price."""
        if bar.ts > self._due:
            self._sample(bar.ts)
        self._last[bar.venue, bar.symbol] = bar.close

    def on_change(self, event: KeyedEvent) -> None:
        """A fill, funding or liquidation, booked already: the stretch before it ends, and it gets a row of its own."""
        if event.ts > self._due:
            self._sample(event.ts)
        self._flush()
        if type(event) is OrderFilled:
            self._last.setdefault((event.venue, event.symbol), float(event.price))
        self._refresh()
        self._append(np.array([event.ts], dtype=np.int64), {k: [self._last[k]] for k in self._held})

    def finish(self, ts: int) -> EquityCurve:
        """All rows up to `ts` (inclusive), the last one at `ts` itself."""
        self._sample(ts + 1)
        self._flush()
        if not self._chunks or int(self._chunks[-1][0][-1]) < ts:
            self._append(np.array([ts], dtype=np.int64), {k: [self._last[k]] for k in self._held})
        columns = [np.concatenate([chunk[i] for chunk in self._chunks]) for i in range(5)]
        return EquityCurve(
            ts=columns[0],
            scale=self.scale,
            equity=columns[1],
            cash=columns[2],
            unrealized=columns[3],
            exposure=columns[4],
        )

    # --- rows -------------------------------------------------------------------------------------------------------

    def _sample(self, now: int) -> None:
        """Take note of every full interval before `now`."""
        count = -(-(now - self._due) // self._interval)
        if count <= 0:
            return
        for key in self._held:
            marks, price = self._marks[key], self._last[key]
            if count == 1:
                marks.append(price)
            else:
                marks.extend([price] * count)
        self._due += count * self._interval
        if self._due - self._begin > STRETCH_MAXIMUM * self._interval:
            self._flush()

    def _flush(self) -> None:
        """Compute the rows of the stretch that ends here."""
        if self._due > self._begin:
            self._append(np.arange(self._begin, self._due, self._interval, dtype=np.int64), self._marks)
            self._begin = self._due
            self._marks = {key: [] for key in self._held}

    def _append(self, ts: np.ndarray, marks: dict[Key, list[float]]) -> None:
        rows = len(ts)
        equity: Any = np.full(rows, self._cash, dtype=self._dtype(self._cash))
        cash = equity
        unrealized: Any = np.zeros(rows, dtype=np.int64)
        exposure: Any = np.zeros(rows, dtype=np.int64)
        for key in self._held:
            qty, cost, spot = self._state[key]
            unit = self.scale - decimals_of(self._instruments[key].step)
            price_scale = max(self._price_scales.get(key, 0), decimals_of(self._instruments[key].tick))
            prices = np.rint(np.array(marks[key]) * 10.0**price_scale).astype(np.int64)
            factor = qty * 10 ** (unit - price_scale)
            largest = abs(factor) * int(prices.max()) + abs(cost) + abs(self._cash)
            if largest >= INT64_SAFE or equity.dtype == object:
                prices = prices.astype(object)
            value = prices * factor
            unrealized = unrealized + value - cost
            exposure = exposure + abs(value)
            equity = equity + (value if spot else value - cost)
        self._chunks.append((ts, equity, cash, unrealized, exposure))

    def _refresh(self) -> None:
        """Take cash and positions as they are now, as integers of the curve's scale."""
        portfolio = self._portfolio
        self._cash = self._integer(portfolio.cash(self._currency))
        self._state: dict[Key, tuple[int, int, bool]] = {}
        for book in portfolio.books.values():
            instrument = self._instruments[book.venue, book.symbol]
            if not book.qty or instrument.quote != self._currency:
                continue
            key = (book.venue, book.symbol)
            qty, cost, spot = self._state.get(key, (0, 0, instrument.kind == "spot"))
            lots = int(book.qty.scaleb(decimals_of(instrument.step)))
            self._state[key] = (qty + lots, cost + self._integer(book.cost), spot)
        self._held = list(self._state)
        self._marks = {key: [] for key in self._held}

    def _integer(self, value: Decimal) -> int:
        return int(value.scaleb(self.scale))

    @staticmethod
    def _dtype(value: int) -> Any:
        return np.int64 if abs(value) < INT64_SAFE else object
