"""How Binance's depth differences follow each other (documentation of the two markets, read 2026-07)."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.recorded.book_sync import Ids, Step


class SpotSync:
    """Spot: ids count on without a hole. A snapshot older than the first waiting difference must be fetched again."""

    replaces = False

    def __init__(self) -> None:
        self.last_id = -1

    def snapshot(self, last_id: int, waiting: Sequence[Ids]) -> list[int] | None:
        if waiting and last_id < waiting[0].first:
            return None
        trial = SpotSync()
        trial.last_id = last_id
        steps = [trial.update(ids) for ids in waiting]
        if Step.GAP in steps:
            return None
        self.last_id = trial.last_id
        return [at for at, step in enumerate(steps) if step is Step.APPLY]

    def update(self, ids: Ids) -> Step:
        if ids.last <= self.last_id:
            return Step.OLD
        if ids.first > self.last_id + 1:
            return Step.GAP
        self.last_id = ids.last
        return Step.APPLY

    def adopt(self, ids: Ids) -> None:
        self.last_id = ids.last


class FuturesSync:
    """USD-M and COIN-M: each difference names the last id of the one before (`pu`); ids in between may be missing."""

    replaces = False

    def __init__(self) -> None:
        self.last_id = -1
        self._first_due = False
        """The next difference is the first after a snapshot: it must enclose the snapshot's id."""

    def snapshot(self, last_id: int, waiting: Sequence[Ids]) -> list[int] | None:
        trial = FuturesSync()
        trial.last_id, trial._first_due = last_id, True
        steps = [trial.update(ids) for ids in waiting]
        if Step.GAP in steps:
            return None
        self.last_id, self._first_due = trial.last_id, trial._first_due
        return [at for at, step in enumerate(steps) if step is Step.APPLY]

    def update(self, ids: Ids) -> Step:
        if self._first_due:
            if ids.last < self.last_id:
                return Step.OLD
            follows = ids.first <= self.last_id <= ids.last
        else:
            # The page resyncs on any other `pu`. A difference that came twice brings nothing new and breaks nothing.
            if ids.last <= self.last_id:
                return Step.OLD
            follows = ids.previous == self.last_id
        if not follows:
            return Step.GAP
        self.adopt(ids)
        return Step.APPLY

    def adopt(self, ids: Ids) -> None:
        self.last_id, self._first_due = ids.last, False
