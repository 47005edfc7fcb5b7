"""How Bybit's order book messages follow each other (v5 documentation, read 2026-07)."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.book_sync import Ids, Step


class BybitSync:
    """`u` counts on by one in the differences of one depth; a snapshot (also `u` = 1, a restart) replaces the book."""

    replaces = True

    def __init__(self) -> None:
        self.last_id = -1

    def snapshot(self, last_id: int, waiting: Sequence[Ids]) -> list[int] | None:
        """Always fits: it is a message of the same stream, so whatever waits came before it."""
        self.last_id = last_id
        return []

    def update(self, ids: Ids) -> Step:
        if ids.last == self.last_id:
            return Step.OLD
        if ids.last != self.last_id + 1:
            return Step.GAP
        self.last_id = ids.last
        return Step.APPLY

    def adopt(self, ids: Ids) -> None:
        self.last_id = ids.last
