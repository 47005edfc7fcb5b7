"""How long the newest row received at a time took to us: recorded receipt less venue time, over all rows of a venue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from core.tape import Rows
from sim.row_window import Part, RowWindow, by_receipt

LONG_AGO = -(2**62)


class FeedLegs:
    """`at(time)` is Lf; rows received at the same time count in the order they were given."""

    def __init__(self, streams: Sequence[Callable[[], Iterator[Part]]]) -> None:
        """Streams of (receipt, venue time), one per tape."""
        self._windows = [RowWindow(stream, 2) for stream in streams]

    @classmethod
    def of_tapes(cls, tapes: Iterable[Rows]) -> FeedLegs:
        """A bar's venue time is its close, and with it both times of a row."""
        return cls([partial(by_receipt, tape, "ts_venue") for tape in tapes])

    @classmethod
    def of_rows(cls, received: np.ndarray, took: np.ndarray) -> FeedLegs:
        """Rows in any order of receipt."""
        order = np.argsort(received, kind="stable")
        part = (received[order], received[order] - took[order])
        return cls([lambda: iter([part])])

    def at(self, time: int) -> int:
        """Lf in int nanoseconds of the newest row received by then; 0 before the first."""
        newest, took = LONG_AGO, 0
        for window in self._windows:
            window.around(time)
            received, happened = window.part
            row = int(np.searchsorted(received, time, side="right")) - 1
            if row >= 0 and received[row] >= newest:
                newest = int(received[row])
                took = newest - int(happened[row])
        return took
