"""Our last known price of each symbol: during the run as a float, afterwards as a series that equity is marked at.

A symbol's price is told by one kind of its data: trades where somebody hears them (the last price), else bars (the
close), else quotes where somebody hears them (the middle of bid and ask), else our book, whose middle is known at the
moments at which somebody looked.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from core.events import QuoteTick, TradeTick
from core.moments import INF
from core.tape import Column, Rows

Key = tuple[str, str]
"""(venue, symbol)"""
CHUNK = 1 << 16
"""Rows of a series read at once."""
COLUMNS_OF = {
    "bars": ("close",),
    "trades": ("price",),
    "quotes": ("bid_price", "bid_size", "ask_price", "ask_size"),
}
"""Where each kind that can tell a price says it."""


class Prices:
    """Writes `marks`, the prices of now, and keeps or finds the series of every symbol."""

    def __init__(
        self,
        tapes: Sequence[Rows],
        heard: Collection[tuple[str, str, str]],
        marks: dict[Key, float],
        feed_ns: Mapping[str, int],
    ) -> None:
        """`heard` are the streams somebody hears; `feed_ns` per venue is how long after its `ts` we know of a row."""
        self._marks = marks
        self._feed_ns = feed_ns
        self.series: dict[Key, PriceSeries] = {}
        self._looked: dict[Key, LookedUp] = {}
        self._by_quotes: set[Key] = set()
        by_key: dict[Key, dict[str, Rows]] = {}
        for tape in tapes:
            by_key.setdefault((tape.venue, tape.symbol), {})[tape.kind] = tape
        for key, kinds in by_key.items():
            if "trades" in kinds and (*key, "trades") in heard:
                self.series[key] = kinds["trades"]
            elif "bars" in kinds:
                self.series[key] = kinds["bars"]
            elif "quotes" in kinds and (*key, "quotes") in heard:
                self._by_quotes.add(key)
                self.series[key] = kinds["quotes"]
            elif finest := kinds.get("depth") or kinds.get("quotes"):
                self.series[key] = self._looked[key] = LookedUp(finest.price_scale + 1)
            elif "trades" in kinds:
                self.series[key] = kinds["trades"]

    @property
    def unheard(self) -> Collection[Key]:
        """Symbols whose price comes with no event: somebody has to look at their book."""
        return self._looked.keys()

    def first(self, key: Key) -> float | None:
        """The first price of a symbol's series, before any is heard; None where there is none."""
        series = self.series.get(key)
        if series is None or isinstance(series, LookedUp):
            return None
        if series.kind == "bars":
            opens = next(series.chunks(1, ("open",)), None)
            return None if opens is None else float(opens["open"][0] / 10.0**series.price_scale)
        prices = next((prices for _, prices in told(series) if len(prices)), None)
        return None if prices is None else float(prices[0] / 10.0 ** scale_of(series))

    # --- handlers ---------------------------------------------------------------------------------------------------

    def on_trade(self, tick: TradeTick) -> None:
        self._marks[tick.venue, tick.symbol] = tick.price

    def on_quote(self, quote: QuoteTick) -> None:
        """Of symbols whose price quotes tell; one without a side says nothing."""
        if (quote.venue, quote.symbol) in self._by_quotes and quote.bid_qty > 0 and quote.ask_qty > 0:
            self._marks[quote.venue, quote.symbol] = (quote.bid + quote.ask) / 2

    def on_top(self, top: QuoteTick) -> None:
        """The top of our book, looked at now, of a symbol in `unheard`."""
        middle = (top.bid + top.ask) / 2
        self._marks[top.venue, top.symbol] = middle
        self._looked[top.venue, top.symbol].note(top.ts - self._feed_ns.get(top.venue, 0), middle)


class LookedUp:
    """Prices at the moments at which somebody looked."""

    def __init__(self, price_scale: int) -> None:
        self.price_scale = price_scale
        self._times, self._prices = array("q"), array("q")

    def note(self, ts: int, price: float) -> None:
        self._times.append(ts)
        self._prices.append(round(price * 10**self.price_scale))

    def columns(self) -> tuple[Column, Column]:
        """Receipt times and prices, as mantissas."""
        return np.array(self._times, dtype=np.int64), np.array(self._prices, dtype=np.int64)


PriceSeries = Rows | LookedUp
"""A tape that tells a symbol's price, or what was found where nobody tells it."""


class PriceReader:
    """What a series says at times that are asked for in ascending order; it is read once, from its first row on."""

    def __init__(self, series: PriceSeries) -> None:
        self.scale = scale_of(series)
        """Prices are mantissa x 10^-scale."""
        self._parts = told(series)
        self._times = self._prices = np.zeros(0, dtype=np.int64)
        self._before: int | None = None
        """The price before the rows in hand."""
        self._over = False

    def at(self, times: Column) -> tuple[Column, Column]:
        """The price received last at or before each of `times` (mantissas), and whether one is known by then."""
        prices, known = np.zeros(len(times), dtype=np.int64), np.zeros(len(times), dtype=bool)
        done = 0
        while done < len(times):
            # A time at or behind the last row in hand may belong to a row of the next part.
            stop = len(times) if self._over else int(np.searchsorted(times, self._times[-1:].max(initial=-INF)))
            if stop > done:
                row = np.searchsorted(self._times, times[done:stop], side="right") - 1
                here = row >= 0
                known[done:stop] = here if self._before is None else True
                if len(self._prices):
                    prices[done:stop] = np.where(here, self._prices[row], self._before or 0)
                done = stop
            elif not self._over:
                self._read_on()
        return prices, known

    def _read_on(self) -> None:
        part = next(self._parts, None)
        if part is None:
            self._over = True
        elif len(part[0]):
            if len(self._prices):
                self._before = int(self._prices[-1])
            self._times, self._prices = part


def scale_of(series: PriceSeries) -> int:
    """Decimals of a series; the middle of two prices has one more."""
    is_middle = not isinstance(series, LookedUp) and series.kind == "quotes"
    return series.price_scale + is_middle


def told(series: PriceSeries, clock: Literal["ts", "ts_venue"] = "ts") -> Iterator[tuple[Column, Column]]:
    """Times and prices of a series, part by part; `clock` says whose time, ours or the venue's.

    What was looked up has one time only.
    """
    if isinstance(series, LookedUp):
        yield series.columns()
        return
    names = COLUMNS_OF[series.kind]
    for columns in series.chunks(CHUNK, (clock, *names)):
        if series.kind != "quotes":
            yield columns[clock], columns[names[0]]
            continue
        whole = (columns["bid_size"] > 0) & (columns["ask_size"] > 0)
        # Exact: the sum of two prices times five, with one more decimal.
        yield columns[clock][whole], (columns["bid_price"][whole] + columns["ask_price"][whole]) * 5
