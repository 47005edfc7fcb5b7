"""How Bybit's order book messages follow each other (v5 documentation, read 2026-07)."""

from __future__ import annotations

from adapters.recorded.book_sync import Ids, InStream, Step


class BybitSync(InStream):
    """`u` counts on by one in the differences of one depth; a snapshot (also `u` = 1, a restart) replaces the book."""

    def update(self, ids: Ids) -> Step:
        if ids.last == self.last_id:
            return Step.OLD
        if ids.last != self.last_id + 1:
            return Step.GAP
        self.last_id = ids.last
        return Step.APPLY
