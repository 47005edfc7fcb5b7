"""The lowest and highest price of a stretch of time, looked up in the tapes after the fact."""

from __future__ import annotations

from collections.abc import Iterable

from core.tape import Tape


class TapeExtremes:
    """Answers for bars: whole bars within the stretch count with low and high, the one it begins in with its close."""

    def __init__(self, tapes: Iterable[Tape]) -> None:
        self._tapes = {(tape.venue, tape.symbol): tape for tape in tapes if tape.kind == "bars"}

    def between(self, venue: str, symbol: str, since: int, until: int) -> tuple[float, float] | None:
        """(low, high) of what the venue traded from `since` to `until` (its time, int ns); None where no bar tells."""
        tape = self._tapes.get((venue, symbol))
        if tape is None:
            return None
        closes, unit = tape.columns["ts_venue"], 10.0**tape.price_scale
        first = int(closes.searchsorted(since + tape.interval_ns))
        stop = int(closes.searchsorted(until, side="right"))
        prices: list[float] = []
        if first and since <= closes[first - 1] <= until:
            prices.append(tape.columns["close"].item(first - 1) / unit)
        if first < stop:
            prices.append(tape.columns["low"][first:stop].min().item() / unit)
            prices.append(tape.columns["high"][first:stop].max().item() / unit)
        return (min(prices), max(prices)) if prices else None
