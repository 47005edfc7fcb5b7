"""Marks finer than those recorded: a market's own bars, shifted by the last basis that is known.

Where mark bars are longer than the trade bars, a mark bar's path says nothing about when inside of it the mark was
where. The mark then follows the trades: trade price + (mark - trade price at the close of the last mark bar, before
that at the open of the first). Assumes: the basis stands still until the next mark bar closes. Source: venues.md
section 8.
"""

from __future__ import annotations

import numpy as np

from core.tape import Tape

PRICES = ("open", "high", "low", "close")


def shifted(bars: Tape, marks: Tape) -> Tape:
    """The bars as marks. Before the first mark bar has opened the basis is 0."""
    scale = max(bars.price_scale, marks.price_scale)
    to_bars, to_marks = 10 ** (scale - bars.price_scale), 10 ** (scale - marks.price_scale)
    closes = bars.columns["ts_venue"]
    last = np.searchsorted(marks.columns["ts_venue"], closes - bars.interval_ns, side="right") - 1
    known = last >= 0
    settled_at = marks.columns["ts_venue"][np.maximum(last, 0)]
    traded = np.searchsorted(closes, settled_at, side="right") - 1
    known &= traded >= 0
    mark = marks.columns["close"][np.maximum(last, 0)] * to_marks
    trade = bars.columns["close"][np.maximum(traded, 0)] * to_bars
    basis = np.where(known, mark - trade, 0)
    opens, begins = closes - bars.interval_ns, marks.columns["ts_venue"][0] - marks.interval_ns
    before = int(np.searchsorted(opens, begins, side="right")) - 1
    if before >= 0:
        first = marks.columns["open"][0] * to_marks - bars.columns["open"][before] * to_bars
        basis[(last < 0) & (opens >= begins)] = first
    columns = {name: bars.columns[name] * to_bars + basis for name in PRICES}
    return Tape(
        kind="marks",
        venue=bars.venue,
        symbol=bars.symbol,
        columns={"ts_venue": closes.copy(), "ts": bars.columns["ts"].copy(), **columns},
        price_scale=scale,
        size_scale=0,
        interval_ns=bars.interval_ns,
        source=f"{bars.source} shifted by the basis of {marks.source}",
    )
