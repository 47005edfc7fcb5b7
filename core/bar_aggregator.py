"""Small bars into large ones, the same way in every mode."""

from __future__ import annotations

from core.events import Bar


class BarAggregator:
    """Builds bars of `interval_ns` from smaller ones of one symbol.

    A large bar is complete when a small bar ends on its close. A hole in the small bars leaves the large bar with what
    there is; it then comes out with the first small bar after its close, never with invented rows. Small bars before
    the first that opens with a large one are not shown: what was cut at its front is no bar.
    """

    __slots__ = ("_bars", "_close", "interval_ns")

    def __init__(self, interval_ns: int) -> None:
        self.interval_ns = interval_ns
        self._bars: list[Bar] = []
        self._close = 0

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
