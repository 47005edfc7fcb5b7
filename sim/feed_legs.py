"""How long the newest row received at a time took to us: recorded receipt less venue time, over all rows of a venue."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from core.tape import Tape


class FeedLegs:
    """`at(time)` is Lf; rows received at the same time count in the order they were given."""

    def __init__(self, received: np.ndarray, took: np.ndarray) -> None:
        order = np.argsort(received, kind="stable")
        self._received = received[order]
        self._took = took[order]

    @classmethod
    def of_tapes(cls, tapes: Iterable[Tape]) -> FeedLegs:
        """A bar's venue time is its close, and with it both times of a row."""
        times = [(tape.columns["ts"], tape.columns["ts_venue"]) for tape in tapes]
        received = np.concatenate([ts for ts, _ in times]) if times else np.zeros(0, dtype=np.int64)
        happened = np.concatenate([at for _, at in times]) if times else np.zeros(0, dtype=np.int64)
        return cls(received, received - happened)

    def at(self, time: int) -> int:
        """Lf in int nanoseconds of the newest row received by then; 0 before the first."""
        row = int(np.searchsorted(self._received, time, side="right")) - 1
        return int(self._took[row]) if row >= 0 else 0
