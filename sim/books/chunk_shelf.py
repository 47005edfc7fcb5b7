"""Tapes that several cursors walk one behind the other, as the venue's books and ours do: a chunk is read once.

The newest chunks stay at hand. A cursor that falls further behind reads the tape on its own from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count, islice

from core.tape import Column, Rows

KEPT = 8
"""Chunks of a tape that stay at hand: some MB, half a minute of a busy book and more."""
Chunk = dict[str, Column]


class ChunkShelf:
    """The chunks of every tape that is walked."""

    def __init__(self) -> None:
        self._tapes: dict[tuple[int, int], _Newest] = {}

    def chunks(self, tape: Rows, rows: int) -> Iterator[Chunk]:
        """As the tape's own: from its first row on, `rows` at a time. Not to be written to."""
        key = (id(tape), rows)
        if key not in self._tapes:
            self._tapes[key] = _Newest(tape, rows)
        return self._tapes[key].walk()


class _Newest:
    """The chunks of one tape that were read last."""

    def __init__(self, tape: Rows, rows: int) -> None:
        self._tape, self._rows = tape, rows
        self._coming = tape.chunks(rows)
        self._read = 0
        """How many chunks were taken from the tape."""
        self._kept: deque[Chunk] = deque(maxlen=KEPT)

    def walk(self) -> Iterator[Chunk]:
        for number in count():
            behind = self._read - number
            if behind > len(self._kept):
                yield from islice(self._tape.chunks(self._rows), number, None)
                return
            if behind == 0:
                chunk = next(self._coming, None)
                if chunk is None:
                    return
                self._kept.append(chunk)
                self._read += 1
                behind = 1
            yield self._kept[-behind]
