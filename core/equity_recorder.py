"""Equity over time: a row per fill, funding and liquidation, and at each full interval, marked at our last known price.

During a run only the account's state after each change is noted. The rows in between need no watching: the tapes say
what was known when, so `finish` computes all of them at once, in exact integers. A row at a full interval T shows what
was known when everything of T had been heard.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from core.events import KeyedEvent
from core.instruments import Instrument, decimals_of
from core.metrics.equity import EquityCurve
from core.orders import ZERO
from core.portfolio import Portfolio
from core.tape import Tape
from core.trade import LEDGER

INT64_SAFE = 2**62
Key = tuple[str, str]


class EquityRecorder:
    """Hears fills and account events, after the portfolio has booked them. `finish` gives the curve."""

    def __init__(
        self,
        portfolio: Portfolio,
        instruments: dict[Key, Instrument],
        tapes: dict[Key, Tape],
        feed_ns: dict[str, int],
        *,
        currency: str,
        interval_ns: int,
        start: int,
    ) -> None:
        """`feed_ns` per venue: how long after its `ts` a row of a tape reaches us."""
        self._portfolio = portfolio
        self._currency = currency
        self._interval = interval_ns
        self._start = start
        self._columns = {
            key: _Column(instrument, tapes.get(key), feed_ns.get(key[0], 0))
            for key, instrument in instruments.items()
            if instrument.quote == currency
        }
        self.scale = max(
            [8, *(c.price_scale + c.qty_scale for c in self._columns.values())]
            + [decimals_of(total) for total in portfolio.balances.values()]
        )
        self.deposited = ZERO
        """What base assets held at the start were worth then, quote units: part of the initial equity."""
        bases = {(i.venue, i.base): i.symbol for i in reversed(instruments.values()) if i.kind == "spot"}
        for (venue, base), symbol in bases.items():
            held, mark = portfolio.deposits.get((venue, base)), portfolio.mark(venue, symbol)
            if held and mark is not None and base != currency and (venue, symbol) in self._columns:
                self.deposited += self._columns[venue, symbol].deposit(held, mark, self.scale)
        self._changes: list[int] = []
        """`ts` of every change."""
        self._cash = [portfolio.cash(currency)]
        """At the start and after every change; the columns' lists go the same way."""
        for key, column in self._columns.items():
            column.note(ZERO, ZERO, portfolio.marks.get(key, 0.0))

    def on_change(self, event: KeyedEvent) -> None:
        """A fill, funding or liquidation, booked already: note cash, positions and the prices known now."""
        portfolio = self._portfolio
        self._changes.append(event.ts)
        self._cash.append(portfolio.cash(self._currency))
        for key, column in self._columns.items():
            books = portfolio.books_of(key)
            if len(books) == 1:
                qty, cost = books[0].qty, books[0].cost
            else:
                qty = cost = ZERO
                for book in books:
                    qty, cost = LEDGER.add(qty, book.qty), LEDGER.add(cost, book.cost)
            column.note(qty, cost, portfolio.marks.get(key, 0.0))

    def finish(self, ts: int) -> EquityCurve:
        """All rows up to `ts` (inclusive), the last one at `ts` itself."""
        times, states = self._rows(ts)
        cash = _integers([int(total.scaleb(self.scale, LEDGER)) for total in self._cash])[states]
        equity: Any = cash
        unrealized: Any = np.zeros(len(times), dtype=np.int64)
        exposure: Any = unrealized
        own = np.flatnonzero(self._is_change)
        for column in self._columns.values():
            value, cost = column.worth(times, states, own, self.scale)
            if max((int(abs(a).max()) for a in (value, cost, equity) if len(a)), default=0) >= INT64_SAFE // 4:
                value, cost, equity = value.astype(object), cost.astype(object), equity.astype(object)
            unrealized = unrealized + value - cost
            exposure = exposure + abs(value)
            equity = equity + (value if column.spot else value - cost)
        return EquityCurve(
            ts=times, scale=self.scale, equity=equity, cash=cash, unrealized=unrealized, exposure=exposure
        )

    def _rows(self, end: int) -> tuple[Any, Any]:
        """Times of all rows in order, and which state each shows. At one time a change precedes the interval's row."""
        step = self._interval
        grid = np.arange(-(-self._start // step) * step, end + 1, step, dtype=np.int64)
        changes = np.array(self._changes, dtype=np.int64)
        times = np.concatenate((changes, grid))
        states = np.concatenate((np.arange(1, len(changes) + 1), np.searchsorted(changes, grid, side="right")))
        is_change = np.arange(len(times)) < len(changes)
        if not len(times) or int(times.max()) < end:
            times, states = np.append(times, end), np.append(states, len(changes))
            is_change = np.append(is_change, False)
        order = np.argsort(times, kind="stable")  # changes stand first above, and stay first at their time
        self._is_change = is_change[order]
        return times[order], states[order]


class _Column:
    """One symbol: what was held after each change, and its price over time."""

    def __init__(self, instrument: Instrument, tape: Tape | None, feed_ns: int) -> None:
        self.spot = instrument.kind == "spot"
        self._tape = tape
        self._feed_ns = feed_ns
        self.price_scale = max(tape.price_scale if tape is not None else 0, decimals_of(instrument.tick))
        # A spot position is less its fees, which are quantized to 8 decimals; a contract's is whole steps.
        self.qty_scale = max(8, decimals_of(instrument.step)) if self.spot else decimals_of(instrument.step)
        self._deposit = (ZERO, ZERO)
        self._qty: list[Decimal] = []
        self._cost: list[Decimal] = []
        self._marks: list[float] = []

    def deposit(self, qty: Decimal, mark: Decimal, scale: int) -> Decimal:
        """Hold this from before the first trade; returns what it is worth at `mark`."""
        whole = int(qty.scaleb(self.qty_scale, LEDGER))
        worth = LEDGER.multiply(Decimal(whole).scaleb(-self.qty_scale, LEDGER), mark)
        self._deposit = (Decimal(whole).scaleb(-self.qty_scale, LEDGER), worth)
        return worth

    def note(self, qty: Decimal, cost: Decimal, mark: float) -> None:
        """The state after a change."""
        self._qty.append(qty)
        self._cost.append(cost)
        self._marks.append(mark)

    def worth(self, times: Any, states: Any, changes: Any, scale: int) -> tuple[Any, Any]:
        """Per row: qty x price and cost, as mantissas of `scale`. `changes` are the rows that show a change itself."""
        qty, cost = self._deposit
        lots = _integers([int(LEDGER.add(q, qty).scaleb(self.qty_scale, LEDGER)) for q in self._qty])[states]
        costs = _integers([int(LEDGER.add(c, cost).scaleb(scale, LEDGER)) for c in self._cost])[states]
        marks = np.rint(np.array(self._marks) * 10.0**self.price_scale).astype(np.int64)
        prices = marks[states]
        if self._tape is not None:
            unit = 10 ** (self.price_scale - self._tape.price_scale)
            heard = np.searchsorted(self._tape.columns["ts"] + self._feed_ns, times, side="right") - 1
            known = heard >= 0
            prices[known] = self._tape.columns["close"][heard[known]] * unit
        # A change may come between two bars of one nanosecond: there the price is the one that was known.
        prices[changes] = marks[states[changes]]
        factor = 10 ** (scale - self.price_scale - self.qty_scale)
        if int(abs(lots).max()) * int(prices.max()) * factor >= INT64_SAFE:
            return lots.astype(object) * prices.astype(object) * factor, costs
        return lots * prices * factor, costs


def _integers(values: list[int]) -> Any:
    """int64 where they fit, else Python ints."""
    fits = min(values) > -INT64_SAFE and max(values) < INT64_SAFE
    return np.array(values, dtype=np.int64 if fits else object)
