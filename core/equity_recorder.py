"""Equity over time: a row per fill, funding and liquidation, and at each full interval, marked at our last known price.

A row at a full interval T shows what was known when everything of T had been heard: it is made with the first event
after T. While nothing is held such rows are not even counted one by one; what is collected becomes arrays of exact
integers, many rows at once.
"""

from __future__ import annotations

from array import array
from decimal import Decimal
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np

from core.bus import Subscription
from core.events import Bar, KeyedEvent
from core.instruments import Instrument, decimals_of
from core.metrics.equity import EquityCurve
from core.orders import ZERO
from core.portfolio import Portfolio
from core.trade import LEDGER

ROWS_MAXIMUM = 16_384
"""Rows collected before they become arrays: lists are quick to grow, arrays are small to keep."""
INT64_SAFE = 2**62
Key = tuple[str, str]
Ints: TypeAlias = "array[int] | list[int]"
"""Mantissas of rows to come: 64 bits each, or Python ints where one does not fit. A text: Python 3.11's own `array`
cannot be subscripted."""


class EquityRecorder:
    """Hears bars before the portfolio does (to close the interval that is over), fills and account events after it."""

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
        self._currency = currency
        self._interval = interval_ns
        self._columns = {
            key: _Column(instrument, price_scales.get(key, 0))
            for key, instrument in instruments.items()
            if instrument.quote == currency
        }
        self.scale = max(
            [8, *(c.price_scale + c.qty_scale for c in self._columns.values())]
            + [decimals_of(total) for total in portfolio.balances.values()]
        )
        self._due = -(-start // interval_ns) * interval_ns
        """The next full interval that has no row yet."""
        self._bars: Subscription | None = None
        self._ts = array("q")
        self._counted = 0
        """Rows that belong to a stretch which is over."""
        self._counts: list[int] = []
        self._cash: list[int] = []
        """Per stretch: how many rows it has, and the cash in all of them."""
        self._cash_now = 0
        self._held: list[tuple[Key, array[float]]] = []
        """Symbols held now, with the list their prices go to."""
        self.deposited = ZERO
        """What base assets held at the start were worth then, quote units: part of the initial equity."""
        bases = {(i.venue, i.base): i.symbol for i in reversed(instruments.values()) if i.kind == "spot"}
        for (venue, base), symbol in bases.items():
            held, mark = portfolio.deposits.get((venue, base)), portfolio.mark(venue, symbol)
            if held and mark is not None and base != currency and (venue, symbol) in self._columns:
                self.deposited += self._columns[venue, symbol].deposit(held, mark, self.scale)
        self._chunks: list[tuple[np.ndarray, ...]] = []
        self._refresh()

    def hear(self, bars: Subscription) -> None:
        """Our place on the bus for bars: it rests while nothing is held."""
        self._bars = bars
        bars.listen(bool(self._held))

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def on_bar(self, bar: Bar) -> None:
        """A row for every full interval that is over now, at the prices known before this bar.

        Needed only while something is held: a flat account's rows are all alike and made when the stretch ends.
        """
        if bar.ts > self._due:
            self._sample(bar.ts)

    def on_change(self, event: KeyedEvent) -> None:
        """A fill, funding or liquidation, booked already: the stretch before it ends, and it gets a row of its own."""
        if event.ts > self._due:
            self._sample(event.ts)
        self._end_stretch()
        self._refresh()
        self._add(event.ts)

    def finish(self, ts: int) -> EquityCurve:
        """All rows up to `ts` (inclusive), the last one at `ts` itself."""
        self._sample(ts + 1)
        if not self._ts or self._ts[-1] < ts:
            self._add(ts)
        self._compute()
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
    # A stretch is a run of rows between two changes: only time and prices differ, the rest is filled in at its end.

    def _sample(self, now: int) -> None:
        """Rows for every full interval before `now`, as the account stands."""
        due, step = self._due, self._interval
        if self._held:
            ts, marks = self._ts, self._portfolio.marks
            while due < now:
                ts.append(due)
                for key, price in self._held:
                    price.append(marks[key])
                due += step
        elif due < now:
            times = range(due, now, step)
            self._ts.extend(times)
            due = times[-1] + step
        self._due = due
        if len(self._ts) > ROWS_MAXIMUM:
            self._compute()

    def _add(self, ts: int) -> None:
        self._ts.append(ts)
        for key, price in self._held:
            price.append(self._portfolio.marks[key])

    def _end_stretch(self) -> None:
        """Note what the rows since the last change have in common."""
        count = len(self._ts) - self._counted
        if not count:
            return
        self._counted += count
        self._counts.append(count)
        self._cash.append(self._cash_now)
        for column in self._columns.values():
            column.qty.append(column.lots)
            column.cost.append(column.cost_now)
            if not column.lots:
                column.price.extend(repeat(0.0, count))

    def _compute(self) -> None:
        """Turn the rows collected so far into arrays of exact integers."""
        self._end_stretch()
        if not self._ts:
            return
        counts = np.array(self._counts)
        cash = np.repeat(_integers(self._cash), counts)
        equity: Any = cash
        unrealized: Any = np.zeros(len(cash), dtype=np.int64)
        exposure: Any = unrealized
        for column in self._columns.values():
            value = column.values(self.scale, counts)
            cost = np.repeat(_integers(column.cost), counts)
            if max(int(abs(a).max()) for a in (value, cost, equity)) >= INT64_SAFE // 4:
                value, cost, equity = value.astype(object), cost.astype(object), equity.astype(object)
            unrealized = unrealized + value - cost
            exposure = exposure + abs(value)
            equity = equity + (value if column.spot else value - cost)
            column.clear()
        self._chunks.append((np.array(self._ts, dtype=np.int64), equity, cash, unrealized, exposure))
        self._ts, self._counts, self._cash, self._counted = array("q"), [], [], 0
        self._held = [(key, column.price) for key, column in self._columns.items() if column.lots]

    def _refresh(self) -> None:
        """Take cash and positions as they are now, as integers of the curve's scale."""
        self._cash_now = int(self._portfolio.cash(self._currency).scaleb(self.scale, LEDGER))
        for column in self._columns.values():
            column.lots, column.cost_now = column.lots_deposited, column.cost_deposited
        for book in self._portfolio.books.values():
            own = self._columns.get((book.venue, book.symbol))
            if book.qty and own is not None:
                own.lots += int(book.qty.scaleb(own.qty_scale, LEDGER))
                own.cost_now += int(book.cost.scaleb(self.scale, LEDGER))
        self._held = [(key, column.price) for key, column in self._columns.items() if column.lots]
        if self._bars is not None:
            self._bars.listen(bool(self._held))


class _Column:
    """One symbol's share of the rows collected so far."""

    __slots__ = ("cost", "cost_deposited", "cost_now", "lots", "lots_deposited", "price", "price_scale", "qty",
                 "qty_scale", "spot")  # fmt: skip

    def __init__(self, instrument: Instrument, price_scale: int) -> None:
        self.spot = instrument.kind == "spot"
        self.price_scale = max(price_scale, decimals_of(instrument.tick))
        # A spot position is less its fees, which are quantized to 8 decimals; a contract's is whole steps.
        self.qty_scale = max(8, decimals_of(instrument.step)) if self.spot else decimals_of(instrument.step)
        self.lots = self.lots_deposited = 0
        self.cost_now = self.cost_deposited = 0
        self.clear()

    def deposit(self, qty: Decimal, mark: Decimal, scale: int) -> Decimal:
        """Hold this from before the first trade; returns what it is worth at `mark`."""
        self.lots_deposited = int(qty.scaleb(self.qty_scale, LEDGER))
        worth = LEDGER.multiply(Decimal(self.lots_deposited).scaleb(-self.qty_scale, LEDGER), mark)
        self.cost_deposited = int(worth.scaleb(scale, LEDGER))
        return worth

    def clear(self) -> None:
        self.qty: list[int] = []
        self.cost: list[int] = []
        """Per stretch."""
        self.price = array("d")
        """Per row; 0 where nothing is held."""

    def values(self, scale: int, counts: Any) -> Any:
        """qty x price per row, as mantissas of `scale`; `counts` says how many rows each stretch has."""
        prices = np.rint(np.array(self.price) * 10.0**self.price_scale).astype(np.int64)
        factor = 10 ** (scale - self.price_scale - self.qty_scale)
        qty = np.repeat(_integers(self.qty), counts)
        if int(abs(qty).max()) * int(prices.max()) * factor >= INT64_SAFE:
            return qty.astype(object) * prices.astype(object) * factor
        return qty * prices * factor


def _integers(values: list[int]) -> Any:
    """int64 where they fit, else Python ints."""
    fits = -INT64_SAFE < min(values) and max(values) < INT64_SAFE
    return np.array(values, dtype=np.int64 if fits else object)
