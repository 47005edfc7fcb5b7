"""Small bars, or trades, into large bars: the same way in every mode."""

from __future__ import annotations

from core.events import Bar, TradeTick


class BarAggregator:
    """Builds bars of `interval_ns` from smaller ones, or from the trades, of one symbol.

    A large bar is complete when a small bar ends on its close. A hole in the small bars leaves the large bar with what
    there is; it then comes out with the first small bar after its close, never with invented rows. Small bars before
    the first that opens with a large one are not shown: what was cut at its front is no bar.

    From trades: a bar comes out with the first trade at or after its close (by venue time), `ts` is the receipt of that
    trade. An interval without trades has no bar. The interval that the trades begin in has none either, unless the
    first is on its open. A trade that is received after its bar was shown is in no bar.
    """

    __slots__ = ("_bars", "_close", "_prices", "_volume", "interval_ns")

    def __init__(self, interval_ns: int) -> None:
        self.interval_ns = interval_ns
        self._bars: list[Bar] = []
        self._close = 0
        self._prices: list[float] | None = None
        """Open, high, low and last price of the trades of the bar that ends at `_close`; None before the first bar."""
        self._volume = 0.0

    def add(self, bar: Bar) -> list[Bar]:
        """The large bars that this small one completes: none, one, or two after a hole."""
        if bar.interval_ns == self.interval_ns:
            return [bar]
        done: list[Bar] = []
        close = bar.open_time // self.interval_ns * self.interval_ns + self.interval_ns
        if not self._close and bar.open_time != close - self.interval_ns:
            return done
        if self._bars and close != self._close:
            done.append(self._finish(bar.ts))
        self._close = close
        self._bars.append(bar)
        if bar.ts_venue == close:
            done.append(self._finish(bar.ts))
        return done

    def add_trade(self, trade: TradeTick) -> list[Bar]:
        """The bar that this trade shows to be over, or none."""
        at, price = trade.ts_venue, trade.price
        if self._close - self.interval_ns <= at < self._close:
            if self._prices is not None:
                prices = self._prices
                if price > prices[1]:
                    prices[1] = price
                elif price < prices[2]:
                    prices[2] = price
                prices[3] = price
                self._volume += trade.qty
            return []
        if at < self._close:
            return []  # its bar was shown without it
        done = [] if self._prices is None else [self._made(trade, self._prices)]
        opened = at // self.interval_ns * self.interval_ns
        is_whole = self._close > 0 or at == opened
        self._close = opened + self.interval_ns
        self._prices = [price] * 4 if is_whole else None
        self._volume = trade.qty
        return done

    def _made(self, trade: TradeTick, prices: list[float]) -> Bar:
        first, high, low, last = prices
        return Bar(
            trade.ts, self._close, trade.venue, trade.symbol, self.interval_ns, first, high, low, last, self._volume
        )

    def _finish(self, ts: int) -> Bar:
        bars = self._bars
        merged = Bar(
            ts,
            self._close,
            bars[0].venue,
            bars[0].symbol,
            self.interval_ns,
            bars[0].open,
            max(b.high for b in bars),
            min(b.low for b in bars),
            bars[-1].close,
            sum(b.volume for b in bars),
        )
        self._bars = []
        return merged
