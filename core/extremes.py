"""The lowest and highest price of a stretch of time, looked up in the tapes after the fact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from core.tape import Rows, Tape

Extremes = tuple[float, float]
"""low, high."""


class TapeExtremes:
    """Answers for bars: whole bars within the stretch count with low and high, the one it begins in with its close."""

    def __init__(self, tapes: Iterable[Rows]) -> None:
        self._tapes = {(tape.venue, tape.symbol): tape.load() for tape in tapes if tape.kind == "bars"}
        self._known: dict[tuple[str, str, int, int], Extremes | None] = {}

    def between(self, venue: str, symbol: str, since: int, until: int) -> Extremes | None:
        """(low, high) of what the venue traded from `since` to `until` (its time, int ns); None where no bar tells."""
        key = (venue, symbol, since, until)
        if key not in self._known:
            self.look_up(venue, symbol, (since, until))
        return self._known[key]

    def look_up(self, venue: str, symbol: str, moments: Sequence[int]) -> None:
        """Find every stretch from one of these moments (in order of time) to the next: all at once is far cheaper."""
        since, until = np.array(moments[:-1], dtype=np.int64), np.array(moments[1:], dtype=np.int64)
        found: Iterable[Extremes | None] = [None] * len(since)
        tape = self._tapes.get((venue, symbol))
        if tape is not None and len(tape):
            found = _extremes(tape, since, until)
        for a, b, extremes in zip(moments[:-1], moments[1:], found, strict=True):
            self._known[venue, symbol, a, b] = extremes


def _extremes(tape: Tape, since: np.ndarray, until: np.ndarray) -> Iterable[Extremes | None]:
    closes = tape.columns["ts_venue"]
    first = closes.searchsorted(since + tape.interval_ns)
    stop = closes.searchsorted(until, side="right")
    # A price above all and one below all stand for "nothing seen yet".
    low = np.full(len(since), np.iinfo(np.int64).max)
    high = np.full(len(since), np.iinfo(np.int64).min)
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
    unit = 10.0**tape.price_scale
    pairs = zip((low / unit).tolist(), (high / unit).tolist(), strict=True)
    return (pair if pair[0] <= pair[1] else None for pair in pairs)
