"""Where a symbol's price was during a run, thinned to what a drawing can show: the lowest and highest per stretch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from core.market.extremes import TapeExtremes
from core.trade import Trade

if TYPE_CHECKING:
    from core.run_parts import RunParts

STRETCHES_MAX = 1000
"""A drawing is about as many pixels wide."""
SYMBOLS_MAX = 8
"""A page with more of them is not read to its end."""


class PricePath(NamedTuple):
    """Stretches of equal length, oldest first; those without a price are left out."""

    venue: str
    symbol: str
    ends: list[int]
    """Int nanoseconds UTC, the venue's time."""
    lows: list[float]
    highs: list[float]


def price_paths(parts: RunParts, trades: Sequence[Trade], until: int) -> Iterator[PricePath]:
    """Of the markets with the most trades, from the start of the run. Reads each one's finest tape once more."""
    counts = Counter((trade.venue, trade.symbol) for trade in trades)
    markets = dict(counts.most_common(SYMBOLS_MAX))
    extremes = TapeExtremes(parts.tapes, parts.prices.series)
    for venue, symbol in parts.plan.instruments:
        if (venue, symbol) in markets and until > parts.start:
            intervals = [stream.interval_ns for stream in parts.plan.streams if stream.key == (venue, symbol)]
            edges = edges_of(parts.start, until, max(intervals, default=0))
            extremes.look_up(venue, symbol, edges)
            seen = [(b, extremes.between(venue, symbol, a, b)) for a, b in pairwise(edges)]
            known = [(end, *found) for end, found in seen if found is not None]
            ends = [row[0] for row in known]
            yield PricePath(venue, symbol, ends, [row[1] for row in known], [row[2] for row in known])


def edges_of(start: int, until: int, interval_ns: int) -> list[int]:
    """Borders of the stretches: whole bars where there are bars, which begin at the start of the run."""
    unit = max(interval_ns, 1)
    width = -(-(until - start) // (STRETCHES_MAX * unit)) * unit
    return [*range(start, until, width), until]
