"""Book messages of any venue gathered into rows, and joined by the venue's rule into the rows of a depth tape."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from adapters.decimals import BadCell, Column, Decimals
from adapters.recorded.book_sync import BookSync, Ids, Message, stitched
from adapters.ticks import NumberColumn, Ticks, bad_cell, last_of_message
from core.tape import SNAPSHOT

Levels = Sequence[tuple[str, ...]]
"""(price, size, ...) as text."""


class DepthRows:
    """Messages as they come; `ticks` joins them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.messages: list[Message] = []
        self.lines: list[int] = []
        self.receipts: list[int | None] = []
        self.bids: list[int] = []
        """Number of bid rows of each message; the rest of its rows are asks."""
        self._prices = NumberColumn()
        self._sizes = NumberColumn()

    def __len__(self) -> int:
        return len(self.messages)

    def add(
        self,
        line: int,
        receipt: int | None,
        ts_venue: int,
        ids: Ids,
        bids: Levels,
        asks: Levels,
        *,
        is_snapshot: bool = False,
    ) -> None:
        """One message in receipt order. A venue time of 0 is one that the message does not say. Raises DataError."""
        self.messages.append(Message(ids, is_snapshot, ts_venue, len(bids) + len(asks)))
        self.lines.append(line)
        self.receipts.append(receipt)
        self.bids.append(len(bids))
        try:
            self._prices.extend(level[0] for level in chain(bids, asks))
            self._sizes.extend(level[1] for level in chain(bids, asks))
        except BadCell as cell:
            raise self._bad(cell) from None

    def ticks(self, rule: BookSync, least_leg_ns: int | None) -> Ticks:
        """The rows of the book. Raises DataError for a price or size that is no number."""
        try:
            prices, sizes = self._prices.finish(), self._sizes.finish()
        except BadCell as cell:
            raise self._bad(cell) from None
        messages = self._timed(least_leg_ns or 0)
        walk = stitched(messages, rule)
        order = np.array(walk.order, dtype=np.int64)
        counts = np.array([message.rows for message in self.messages], dtype=np.int64)
        bids = np.array(self.bids, dtype=np.int64)
        rows = _rows_of(order, counts)
        at = np.repeat(order, counts[order])
        side = np.where(rows - (np.cumsum(counts) - counts)[at] < bids[at], 1, -1).astype(np.int8)
        snapshot = np.array([message.is_snapshot for message in self.messages], dtype=bool)
        flags = last_of_message(counts[order]) | np.where(snapshot[at], SNAPSHOT, 0).astype(np.int8)
        known_with = np.repeat(np.array(walk.known_with, dtype=np.int64), counts[order])
        receipts = None
        if None not in self.receipts:
            receipts = np.array(self.receipts, dtype=np.int64)[known_with]
        times = np.repeat(_venue_times(messages, walk.order), counts[order])
        return Ticks(
            self.name,
            np.array(self.lines, dtype=np.int64)[at],
            times,
            receipts,
            {"price": Decimals(prices.mantissas[rows], prices.scale)},
            {"size": Decimals(sizes.mantissas[rows], sizes.scale)},
            {"side": side, "flags": flags},
            walk.gaps,
            walk.notes,
            least_leg_ns,
        )

    def _timed(self, least_leg_ns: int) -> list[Message]:
        """Every message with a venue time: one that does not say it was made one quickest leg before its receipt."""
        return [
            message if message.ts_venue or receipt is None else message._replace(ts_venue=receipt - least_leg_ns)
            for message, receipt in zip(self.messages, self.receipts, strict=True)
        ]

    def _bad(self, cell: BadCell) -> Exception:
        lines = np.repeat(self.lines, [message.rows for message in self.messages])
        return bad_cell(self.name, lines, "price or size", cell)


def _rows_of(order: Column, counts: Column) -> Column:
    """Indexes of the rows of these messages, one message after the other."""
    starts = np.cumsum(counts) - counts
    taken = counts[order]
    offsets = np.cumsum(taken) - taken
    rows: Column = np.arange(int(taken.sum())) - np.repeat(offsets, taken) + np.repeat(starts[order], taken)
    return rows


def _venue_times(messages: list[Message], order: list[int]) -> Column:
    """Venue time of each message applied.

    A snapshot counts no later than the first difference after it: in venue order, too, it must come before what is
    built on it.
    """
    times = np.array([messages[at].ts_venue for at in order], dtype=np.int64)
    for position in range(len(order) - 2, -1, -1):
        if messages[order[position]].is_snapshot:
            times[position] = min(times[position], times[position + 1])
    return times
