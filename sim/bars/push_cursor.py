"""A tape's cursor that knows only the rows that were pushed: what paper mode gives its venues when it plays a tape.

A row is pushed at its open, which is when a bar begins to fill orders. On real streams bars fill nothing, so there is
no cursor for bars that come from elsewhere than a tape.
"""

from __future__ import annotations

from collections.abc import Callable

from core.tape import Tape
from sim.bars.bar_cursor import TapeCursor


class PushCursor(TapeCursor):
    """The same way through the tape, with an end that moves. What it tells of the past is the tape's, bit by bit."""

    def __init__(self, tape: Tape, history: Tape | None = None) -> None:
        super().__init__(tape, history)
        self._rows = self._count
        self._count = 0
        self.revealed: Callable[[], None] | None = None
        """Told of each row that was pushed."""

    def push(self) -> None:
        """Reveal the next row. Raises IndexError behind the end of the tape."""
        if self._count == self._rows:
            raise IndexError(f"the tape has {self._rows} rows and all of them were pushed")
        self._count += 1
        if self.revealed is not None:
            self.revealed()

    def _row_at(self, ts: int) -> int:
        return min(super()._row_at(ts), self._count - 1)
