"""Volatility and volume of the day before a moment, from prints: what the impact law is scaled by on books (F11)."""

from __future__ import annotations

import numpy as np

from core.moments import MINUTE_NS
from core.tape import BLOCK, INSURANCE, Rows
from sim.models.impact import Day

MINUTES = 1440
CHUNK = 1 << 17


class TrailingDay:
    """Prints by whole minutes. The tape is read once, when somebody first asks; only past minutes are looked at."""

    def __init__(self, prints: Rows | None) -> None:
        self._prints = prints
        self._sums: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def before(self, at: int) -> Day | None:
        """(sigma: fraction, volume: base units) of the 24 h before the minute of `at`, scaled up where less is known.

        sigma = sqrt(sum of squared log returns between the minutes' last prints). None with fewer than two minutes.
        """
        if self._prints is None:
            return None
        if self._sums is None:
            self._sums = _sums(self._prints)
        minutes, squares, volumes = self._sums
        now = at // MINUTE_NS
        low, high = np.searchsorted(minutes, [now - MINUTES, now]).tolist()
        if high - low < 2:
            return None
        whole = MINUTES / (now - int(minutes[low]))
        return (
            float(((squares[high] - squares[low]) * whole) ** 0.5),
            float((volumes[high] - volumes[low]) * whole),
        )


def _sums(prints: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minutes that printed, and before each of them the sums of squared returns and of volume."""
    last: dict[int, int] = {}
    volume: dict[int, float] = {}
    for columns in prints.chunks(CHUNK):
        on_book = columns["flags"] & (BLOCK | INSURANCE) == 0
        minutes, price = columns["ts_venue"][on_book] // MINUTE_NS, columns["price"][on_book]
        known, place = np.unique(minutes, return_inverse=True)
        closes = np.zeros(len(known), dtype=np.int64)
        closes[place] = price  # of several, the last stays
        sizes = np.bincount(place, columns["size"][on_book] / 10.0**prints.size_scale, minlength=len(known))
        last |= zip(known.tolist(), closes.tolist(), strict=True)
        for minute, size in zip(known.tolist(), sizes.tolist(), strict=True):
            volume[minute] = volume.get(minute, 0.0) + size
    order = sorted(last)
    logs = np.log(np.array([last[minute] for minute in order], dtype=np.float64))
    returns = np.diff(logs, prepend=logs[:1])
    sizes = np.array([volume[minute] for minute in order])
    return (
        np.array(order, dtype=np.int64),
        np.concatenate(([0.0], np.cumsum(returns * returns))),
        np.concatenate(([0.0], np.cumsum(sizes))),
    )
