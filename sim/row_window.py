"""A few rows around a moment, of a tape that is read in order and never held whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from core.moments import INF
from core.tape import Column, Rows

CHUNK = 1 << 16
"""Rows read at once."""
KEPT = 1 << 14
"""Rows behind a moment that stay at hand: whoever looks back does so by seconds, not by hours."""
Part = tuple[Column, ...]
"""Ascending times first, then what stands beside them."""


class RowWindow:
    """Rows of a stream around the moment last asked for. Going back further than is kept begins the stream anew."""

    def __init__(self, opened: Callable[[], Iterator[Part]], columns: int, *, ahead: int = 0) -> None:
        """`opened` begins the stream; its parts have `columns` arrays. `ahead` rows behind a moment are at hand too."""
        self._opened = opened
        self._nothing: Part = tuple(np.zeros(0, dtype=np.int64) for _ in range(columns))
        self._ahead = ahead
        self._begin()

    def around(self, at: int) -> bool:
        """Have the last row at or before `at`, and the rows ahead of it. True where other rows are at hand now."""
        if self._since <= at < self._until:
            return False
        if at < self._since:
            self._begin()
        while at >= self._until and self._until != INF:
            self._read_on()
        return True

    def _begin(self) -> None:
        self._stream = self._opened()
        self.part = self._nothing
        """What is at hand."""
        self._since = -INF
        self._until = -INF

    def _read_on(self) -> None:
        """The next part of the stream behind the last rows of what is at hand."""
        following = next(self._stream, None)
        if following is None:
            self._until = INF
            return
        held = len(self.part[0])
        kept = max(KEPT, self._ahead + 1)
        if held > kept:
            self._since = int(self.part[0][held - kept])
        self.part = tuple(np.concatenate((old[-kept:], new)) for old, new in zip(self.part, following, strict=True))
        times = self.part[0]
        if len(times) > self._ahead:
            # The row there may not be the last of its moment.
            self._until = int(times[len(times) - 1 - self._ahead])


def by_receipt(tape: Rows, *names: str) -> Iterator[Part]:
    """(ts, columns of these names), in order of receipt."""
    for columns in tape.chunks(CHUNK, ("ts", *names)):
        yield columns["ts"], *(columns[name] for name in names)


def by_venue_time(tape: Rows, *names: str) -> Iterator[Part]:
    """(ts_venue, columns of these names), in order of venue time: rows wait until all before them are there."""
    disorder = tape.max_disorder_ns
    held: Part | None = None
    for columns in tape.chunks(CHUNK, ("ts_venue", *names)):
        part: Part = (columns["ts_venue"], *(columns[name] for name in names))
        if held is not None:
            part = tuple(np.concatenate(pair) for pair in zip(held, part, strict=True))
            held = None
        if disorder and len(part[0]):
            order = np.argsort(part[0], kind="stable")
            part = tuple(column[order] for column in part)
            cut = int(np.searchsorted(part[0], part[0][-1] - disorder, side="right"))
            held = tuple(column[cut:] for column in part)
            part = tuple(column[:cut] for column in part)
        if len(part[0]):
            yield part
    if held is not None and len(held[0]):
        yield held
