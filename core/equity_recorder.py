"""Equity over time: a row per fill, funding and liquidation, and at each full interval, marked at our last known price.

During a run only the account's state after each change is noted. The rows in between need no watching: the tapes say
what was known when, so `finish` computes all of them at once, in exact integers. A row at a full interval T shows what
was known when everything of T had been heard.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from itertools import repeat
from operator import mul
from typing import Any

import numpy as np

from core.events import KeyedEvent, PositionSide
from core.exact import MATH, ZERO
from core.instruments import Instrument, decimals_of
from core.market.price_series import PriceReader, PriceSeries, scale_of
from core.metrics.equity import COLUMNS, EquityCurve
from core.portfolio import Portfolio

INT64_SAFE = 2**62
PLEDGED = "pledged"
"""In the place of a position's side: an asset that is only held, and has the price of a contract's base."""
CHUNK_ROWS = 16_384
"""Rows computed at once: what lies between input and result stays in the processor's cache."""
Key = tuple[str, str]


class EquityRecorder:
    """Hears fills and account events, after the portfolio has booked them. `finish` gives the curve."""

    def __init__(
        self,
        portfolio: Portfolio,
        instruments: dict[Key, Instrument],
        prices: Mapping[Key, PriceSeries],
        feed_ns: dict[str, int],
        *,
        currency: str,
        interval_ns: int,
        start: int,
        sides: tuple[PositionSide, ...] = ("net",),
    ) -> None:
        """`prices` tell each symbol's; `feed_ns` per venue: how long after its `ts` a row of them reaches us.

        `sides` of a symbol that are positions of their own: exposure counts each.
        """
        self._portfolio = portfolio
        self._currency = currency
        self._interval = interval_ns
        self._start = start

        def column_of(key: Key, instrument: Instrument, *, pledged: bool = False) -> _Column:
            rate = portfolio.quote_rate(*key, currency)
            return _Column(instrument, prices.get(key), feed_ns.get(key[0], 0), rate, pledged=pledged)

        self._columns: dict[tuple[str, str, str], _Column] = {
            (*key, side): column_of(key, instrument) for key, instrument in instruments.items() for side in sides
        }
        held = {key: total for key, total in portfolio.deposits.items() if total and key[1] != currency}
        pledged = {key: i for key, i in portfolio.valued.items() if i.kind == "linear" and key in held}
        for (venue, _), instrument in pledged.items():
            key = (venue, instrument.symbol)
            self._columns[*key, PLEDGED] = column_of(key, instrument, pledged=True)
        finest = max(column.rate_scale for column in self._columns.values())
        self.scale = max(
            [8 + finest, *(c.price_scale + c.qty_scale + c.rate_scale for c in self._columns.values())]
            + [decimals_of(total) + finest for total in portfolio.balances.values()]
        )
        self.deposited = ZERO
        """What assets with a symbol's price were worth at the start, the run's currency: part of the initial equity."""
        for (venue, base), instrument in portfolio.valued.items():
            mark = portfolio.mark(venue, instrument.symbol)
            kind = "net" if instrument.kind == "spot" else PLEDGED
            if (venue, base) in held and mark is not None:
                self.deposited += self._columns[venue, instrument.symbol, kind].deposit(held[venue, base], mark)
        self.final_prices: dict[Key, Decimal] = {}
        """What each symbol is worth in the last row, once `finish` has made it."""
        self.deposit_gains: dict[Key, Decimal] = {}
        """What assets held at the start have gained by then, run's currency, under the symbol that prices them."""
        self._changes: list[int] = []
        """`ts` of every change."""
        self._cash = [portfolio.cash(currency)]
        """At the start and after every change; the columns' lists go the same way."""
        self._followed = [
            (key[:2], key[2], portfolio.books_of(key[:2]), column) for key, column in self._columns.items()
        ]
        for key, _, _, column in self._followed:
            column.note(ZERO, ZERO, portfolio.marks.get(key, 0.0))

    def on_change(self, event: KeyedEvent) -> None:
        """A fill, funding or liquidation, booked already: note cash, positions and the prices known now."""
        portfolio = self._portfolio
        self._changes.append(event.ts)
        self._cash.append(portfolio.cash(self._currency))
        marks, paid_in_kind = portfolio.marks, portfolio.paid_in_kind
        for key, side, books, column in self._followed:
            qty = cost = ZERO
            for book in books:
                if book.position_side == side:
                    # The first of a side is taken as it is: to add it to nothing would round nothing either.
                    qty = MATH.add(qty, book.qty) if qty else book.qty
                    cost = MATH.add(cost, book.cost) if cost else book.cost
            if paid_in_kind and column.asset in paid_in_kind:
                # Fees that are in no book: they went at what they were worth then.
                paid, worth = paid_in_kind[column.asset]
                qty, cost = MATH.subtract(qty, paid), MATH.subtract(cost, worth)
            column.note(qty, cost, marks.get(key, 0.0))

    def finish(self, ts: int) -> EquityCurve:
        """All rows up to `ts` (inclusive), the last one at `ts` itself."""
        times, is_change = self._rows(ts)
        all_cash = _mantissas(self._cash, self.scale)
        for column in self._columns.values():
            column.prepare(self.scale)
        columns: dict[str, Any] = {name: np.empty(len(times), dtype=np.int64) for name in COLUMNS}
        before = 0
        for low in range(0, len(times), CHUNK_ROWS):
            rows = slice(low, low + CHUNK_ROWS)
            states = before + np.cumsum(is_change[rows])
            before = states[-1]
            parts = self._worth(times[rows], states, is_change[rows], all_cash[states])
            for name, part in zip(COLUMNS, parts, strict=True):
                if part.dtype == object and columns[name].dtype != object:
                    columns[name] = columns[name].astype(object)
                columns[name][rows] = part
        for (venue, symbol, _), column in self._columns.items():
            self.final_prices[venue, symbol] = price = column.final_price
            qty, worth = column.deposited
            paid, was = self._portfolio.paid_in_kind.get(column.asset, (ZERO, ZERO))
            if qty or paid:
                left = MATH.subtract(column.in_currency(MATH.subtract(qty, paid), price), worth)
                self.deposit_gains[venue, symbol] = MATH.add(left, was)
        return EquityCurve(ts=times, scale=self.scale, **columns)

    def _worth(self, times: Any, states: Any, is_change: Any, cash: Any) -> tuple[Any, Any, Any, Any]:
        """The columns of some rows. `states` says after how many changes each row stands."""
        equity: Any = cash
        unrealized: Any = np.zeros(len(times), dtype=np.int64)
        exposure: Any = unrealized
        own = np.flatnonzero(is_change)
        for column in self._columns.values():
            value, cost = column.worth(times, states, own, self.scale)
            if max(int(abs(a).max()) for a in (value, cost, equity)) >= INT64_SAFE // 4:
                value, cost, equity = value.astype(object), cost.astype(object), equity.astype(object)
            profit = value - cost
            unrealized = unrealized + profit
            exposure = exposure if column.pledged else exposure + abs(value)
            equity = equity + (value if column.spot else profit)
        return equity, cash, unrealized, exposure

    def _rows(self, end: int) -> tuple[Any, Any]:
        """Times of all rows in order, and which of them show a change. At one time a change precedes the interval's."""
        step = self._interval
        grid = np.arange(-(-self._start // step) * step, end + 1, step, dtype=np.int64)
        changes = np.array(self._changes, dtype=np.int64)
        if max(grid[-1:].max(initial=-1), changes[-1:].max(initial=-1)) < end:
            grid = np.append(grid, end)
        is_change = np.zeros(len(changes) + len(grid), dtype=bool)
        is_change[np.searchsorted(grid, changes) + np.arange(len(changes))] = True
        times = np.empty(len(is_change), dtype=np.int64)
        times[is_change], times[~is_change] = changes, grid
        return times, is_change


class _Column:
    """One symbol: what was held after each change, and its price over time."""

    def __init__(
        self, instrument: Instrument, series: PriceSeries | None, feed_ns: int, rate: Decimal, *, pledged: bool
    ) -> None:
        """`rate`: what one quote unit is worth in the run's currency. `pledged`: an asset only held, no exposure."""
        self.spot = pledged or instrument.kind == "spot"
        """Whether all that is held is worth something, not only what it has gained."""
        self.pledged = pledged
        self.asset = (instrument.venue, instrument.base) if self.spot else ("", "")
        """(venue, asset) of what is held; nothing of the kind for a contract."""
        self._rate = rate
        self.rate_scale = decimals_of(rate)
        self._series = series
        self._reader: PriceReader | None = None
        self._feed_ns = feed_ns
        self.price_scale = max(scale_of(series) if series is not None else 0, decimals_of(instrument.tick))
        # A spot position is less its fees, which are quantized to 8 decimals; a contract's is whole steps.
        self.qty_scale = max(8, decimals_of(instrument.step)) if self.spot else decimals_of(instrument.step)
        self.final_price = ZERO
        """In the last row that `worth` was asked for."""
        self.deposited = (ZERO, ZERO)
        """What was held from before the first trade, and what that was worth."""
        self._held: list[Decimal] = []
        self._spent: list[Decimal] = []
        self._known = array("d")
        """Quantity, cost and price after each change."""
        self._lots = self._costs = self._prices = np.empty(0, dtype=np.int64)

    def note(self, qty: Decimal, cost: Decimal, price: float) -> None:
        """After a change, what is held, what it cost, and our last known price."""
        self._held.append(qty)
        self._spent.append(cost)
        self._known.append(price)

    def deposit(self, qty: Decimal, mark: Decimal) -> Decimal:
        """Hold this from before the first trade; returns what it is worth at `mark`, in the run's currency."""
        held = Decimal(int(qty.scaleb(self.qty_scale, MATH))).scaleb(-self.qty_scale, MATH)
        self.deposited = (held, self.in_currency(held, mark))
        return self.deposited[1]

    def in_currency(self, qty: Decimal, price: Decimal) -> Decimal:
        """What a quantity is worth at a price, in the run's currency."""
        return MATH.multiply(MATH.multiply(qty, price), self._rate)

    def prepare(self, scale: int) -> None:
        """Turn what was noted into columns by state, for `worth`, and begin the prices anew."""
        self._reader = None if self._series is None else PriceReader(self._series)
        qty, cost = self.deposited
        held, spent = self._held, self._spent
        if qty or cost or self._rate != 1:
            held = [MATH.add(q, qty) for q in held]
            spent = [MATH.add(MATH.multiply(c, self._rate), cost) for c in spent]
        self._lots, self._costs = _mantissas(held, self.qty_scale), _mantissas(spent, scale)
        self._prices = np.rint(np.array(self._known) * 10.0**self.price_scale).astype(np.int64)

    def worth(self, times: Any, states: Any, changes: Any, scale: int) -> tuple[Any, Any]:
        """Per row: qty x price and cost, as mantissas of `scale`. `changes` are the rows that show a change itself.

        Asked for in order of time.
        """
        lots, prices = self._lots[states], self._prices[states]
        if self._reader is not None:
            closes, known = self._reader.at(times - self._feed_ns)
            told = closes * 10 ** (self.price_scale - self._reader.scale)
            told = told if known.all() else np.where(known, told, prices)
            # A change may come between two bars of one nanosecond: there the price is the one that was known.
            told[changes] = prices[changes]
            prices = told
        self.final_price = Decimal(int(prices[-1])).scaleb(-self.price_scale, MATH)
        rate = int(self._rate.scaleb(self.rate_scale, MATH))
        factor = rate * 10 ** (scale - self.price_scale - self.qty_scale - self.rate_scale)
        if int(abs(lots).max()) * int(prices.max()) * factor >= INT64_SAFE:
            return lots.astype(object) * prices.astype(object) * factor, self._costs[states]
        return lots * prices * factor, self._costs[states]


def _mantissas(values: Sequence[Decimal], scale: int) -> Any:
    """Values x 10^scale: int64 where they fit, else Python ints."""
    with localcontext(MATH):
        whole = list(map(int, map(mul, values, repeat(Decimal(10**scale)))))
    fits = min(whole) > -INT64_SAFE and max(whole) < INT64_SAFE
    return np.array(whole, dtype=np.int64 if fits else object)
