"""The lowest and highest price of stretches of time, looked up in the tapes after the fact.

A stretch begins with a fill and ends with the next, or with the run. What it saw is told by the finest that knows what
traded: prints, else bars, else the middle of the quotes, else the middle of our book at the moments at which somebody
looked at it.

- Bars: whole bars within the stretch count with low and high, the one it begins in with its close.
- All else: what came after its beginning, up to and with its end. A market event comes before the fill it causes, so
  the print that fills an entry was not seen by the position, and the one that fills the exit was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from core.market.price_series import LookedUp, PriceSeries, scale_of, told
from core.tape import Column, Rows, Tape

Extremes = tuple[float, float]
"""low, high."""
FINEST = ("trades", "bars", "quotes")
NEVER_BELOW, NEVER_ABOVE = np.iinfo(np.int64).max, np.iinfo(np.int64).min
"""A low above all prices and a high below all stand for "nothing seen yet"."""


class TapeExtremes:
    """Answers by (venue, symbol) from their tapes; from `series` where there is nothing but a book."""

    def __init__(self, tapes: Sequence[Rows], series: Mapping[tuple[str, str], PriceSeries] | None = None) -> None:
        self._series: dict[tuple[str, str], PriceSeries] = dict(series or {})
        for kind in reversed(FINEST):  # the finest comes last, and stays
            self._series |= {(tape.venue, tape.symbol): tape for tape in tapes if tape.kind == kind}
        self._known: dict[tuple[str, str, int, int], Extremes | None] = {}

    def between(self, venue: str, symbol: str, since: int, until: int) -> Extremes | None:
        """(low, high) of what the venue saw from `since` to `until` (its time, int ns); None where nothing tells."""
        key = (venue, symbol, since, until)
        if key not in self._known:
            self.look_up(venue, symbol, (since, until))
        return self._known[key]

    def look_up(self, venue: str, symbol: str, moments: Sequence[int]) -> None:
        """Find every stretch from one of these moments (in order of time) to the next: all at once is far cheaper."""
        series = self._series.get((venue, symbol))
        found: Iterable[Extremes | None] = [None] * (len(moments) - 1)
        if series is not None:
            edges = np.array(moments, dtype=np.int64)
            if isinstance(series, LookedUp) or series.kind != "bars":
                lows, highs = _of_ticks(series, edges)
            else:
                lows, highs = _of_bars(series.load(), edges)
            found = _pairs(lows, highs, scale_of(series))
        for a, b, extremes in zip(moments[:-1], moments[1:], found, strict=True):
            self._known[venue, symbol, a, b] = extremes


def _of_bars(tape: Tape, edges: Column) -> tuple[Column, Column]:
    since, until = edges[:-1], edges[1:]
    closes = tape.columns["ts_venue"]
    low, high = np.full(len(since), NEVER_BELOW), np.full(len(since), NEVER_ABOVE)
    if not len(tape):
        return low, high
    first = closes.searchsorted(since + tape.interval_ns)
    stop = closes.searchsorted(until, side="right")
    whole = np.flatnonzero(first < stop)
    if len(whole):
        ends = np.stack((first[whole], stop[whole]), axis=1).ravel()
        if ends[-1] == len(tape):  # to the end of the tape, which needs no mark
            ends = ends[:-1]
        low[whole] = np.minimum.reduceat(tape.columns["low"], ends)[::2]
        high[whole] = np.maximum.reduceat(tape.columns["high"], ends)[::2]
    begun = closes[first - 1]
    cut = np.flatnonzero((first > 0) & (since <= begun) & (begun <= until))
    price = tape.columns["close"][first[cut] - 1]
    low[cut], high[cut] = np.minimum(low[cut], price), np.maximum(high[cut], price)
    return low, high


def _of_ticks(series: PriceSeries, edges: Column) -> tuple[Column, Column]:
    """One pass over the series, whose rows may be out of the venue's order."""
    count = len(edges) - 1
    low, high = np.full(count, NEVER_BELOW), np.full(count, NEVER_ABOVE)
    for times, prices in told(series, "ts_venue"):
        stretch = edges.searchsorted(times) - 1
        within = (stretch >= 0) & (stretch < count)
        np.minimum.at(low, stretch[within], prices[within])
        np.maximum.at(high, stretch[within], prices[within])
    return low, high


def _pairs(lows: Column, highs: Column, scale: int) -> Iterable[Extremes | None]:
    unit = 10.0**scale
    pairs = zip((lows / unit).tolist(), (highs / unit).tolist(), strict=True)
    return (pair if pair[0] <= pair[1] else None for pair in pairs)
