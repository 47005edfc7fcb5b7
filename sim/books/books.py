"""The books of all markets of a world and the one cursor over their rows (the world rule of the design, section 5).

`advance(until)` moves through the merged rows up to an engine time and stops at the first effect on an order of ours;
`settle(at)` hands effects to the markets they belong to. Between two effects everything runs inside the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from core.moments import INF
from sim.books import kernel
from sim.books.book_rows import Source, merged
from sim.books.chunk_shelf import ChunkShelf
from sim.books.kernel_state import (
    BLOCK,
    FILLS,
    FIRES,
    FULL_BOOK,
    INSURANCE,
    RULES,
    TRADE,
    Rows,
    State,
    new_state,
)
from sim.venue_order import VenueOrder

LEVELS = 1024
"""Levels a side to begin with; a deeper book doubles them."""
SLOTS = 32
"""Orders of ours to begin with; more double them."""


class Effect(NamedTuple):
    """A fill of a resting order by the market's rows."""

    slot: int
    size: int
    """Market's size units."""
    rule: str
    row: int
    """The row of the tape that caused it."""
    ahead: float
    """External quantity ahead just before, size units."""


class Books:
    """Arrays of the kernel, who owns which slot of them, and how far the tapes are read."""

    def __init__(
        self,
        functions: Any = kernel,
        shelf: ChunkShelf | None = None,
        in_order: Callable[[Rows], Rows] | None = None,
    ) -> None:
        """`functions`: `sim.books.kernel` or its compiled twin. Tapes are read off `shelf`; None: by us alone.

        `in_order` puts whole moments of rows in an order of its own; None: at one nanosecond that of the markets.
        """
        self.kernel = functions
        # The plain kernel is called the same way with whatever arrays.
        self._entry_for = getattr(functions, "entry_for", lambda rows, state: functions.advance)
        self._entry: Any = None
        """The kernel's `advance` for arrays like those in hand; None before it was asked for."""
        self.markets: list[Any] = []
        self._sources: list[Source] = []
        self.shelf = shelf or ChunkShelf()
        self._in_order = in_order
        self._chunks: Iterator[Rows] = iter(())
        self._rows = Rows(*(np.zeros(0, dtype=np.int64) for _ in Rows._fields))
        self._index = self._count = 0
        """The first of these rows that is not applied, and how many there are."""
        self._opened = False
        self._free: list[int] = list(range(SLOTS - 1, -1, -1))
        self.owners: dict[int, Any] = {}
        """By slot: the market whose order it is."""
        self.reducing: dict[int, Any] = {}
        """By slot: the market of an order that only reduces, so that its position limits what the kernel fills."""
        self._hold(new_state(0, LEVELS, SLOTS))
        self._groups: dict[tuple[str, str], int] = {}
        """Numbers of the groups of which only one order trades, by venue and name."""
        self.effect_at = INF
        """Engine time of an effect that waits to be settled; INF without one."""
        self.passed = -INF
        """Every row up to this engine time has been applied."""
        self._next_at = -INF
        """No row before this engine time is left to apply."""

    def add(self, market: Any, sources: list[tuple[Any, int, int]], received_after: int | None = None) -> int:
        """A market with its tapes (tape, price factor, size factor); returns its number. Before the first advance.

        `received_after`: rows count by their receipt plus this many nanoseconds instead of by engine time.
        """
        number = len(self.markets)
        self.markets.append(market)
        self._sources += [Source(tape, number, price, size, received_after) for tape, price, size in sources]
        self._hold(new_state(number + 1, LEVELS, SLOTS, self.state))
        return number

    def _hold(self, state: State) -> None:
        """These arrays from now on. Their columns are kept beside them: a record read by name costs ten times more."""
        self.state, self._entry = state, None
        self.keys = state.levels["key"]
        self.quantities = state.levels["qty"]
        self.counts = state.books["count"]
        self.firsts = state.books["first"]
        self.own_keys = state.own["key"]
        self.own_ahead = state.own["ahead"]
        self.own_next = state.own["next"]

    # --- time -------------------------------------------------------------------------------------------------------

    def advance(self, until: int) -> int:
        """Apply rows with engine time <= `until`; the time of the first effect, INF where there was none."""
        if self.effect_at != INF:
            return self.effect_at
        if until <= self.passed:
            return INF
        if until < self._next_at:
            self.passed = until
            return INF
        for market in self.reducing.values():
            market.before_rows()
        while self._index < self._count or self._load():
            if self._entry is None:
                self._entry = self._entry_for(self._rows, self.state)
            stop = self._entry(self._rows, self._index, until, self.state)
            self._index = index = stop if stop >= 0 else ~stop
            self._next_at = self._rows.at.item(index) if index < self._count else self.passed
            if stop < 0 and self.state.out[FULL_BOOK]:
                self.state.out[FULL_BOOK] = 0
                levels, slots = self.state.levels.shape[1], len(self.state.own)
                self._hold(new_state(len(self.markets), 2 * levels, slots, self.state))
            elif stop < 0:
                self.effect_at = self._rows.at.item(index - 1)
                return self.effect_at
            elif index < self._count:
                break
        self.passed = until
        return INF

    def settle(self, at: int) -> None:
        """Apply every row up to `at` and book every effect, row by row: one may change what the next can do."""
        if not self.markets or (at <= self.passed and self.effect_at == INF):
            return
        while self.advance(at) <= at:
            out, state = self.state.out, self.state
            effects = [
                Effect(slot, size, RULES[rule], row, ahead)
                for slot, size, rule, row, ahead in state.fills[: out[FILLS]].tolist()
            ]
            fired = state.fired[: out[FIRES]].tolist()
            out[:] = 0
            when, self.effect_at = self.effect_at, INF
            filled = [(self.owners[effect.slot], effect) for effect in effects]
            orders = [(market, market.filled(effect, when)) for market, effect in filled]
            for market, order in orders:
                market.after_fill(order, when)
            for slot in fired:
                if slot in self.owners:
                    self.owners[slot].fired(slot)

    def next_row_at(self) -> int:
        """Engine time of the next row; INF behind the last. For a venue that goes row by row, as in paper mode."""
        while self._index >= self._count:
            if not self._load():
                return INF
        return int(self._rows.at[self._index])

    def close(self, at: int) -> None:
        """The tapes are over at `at`: what arrives later finds no market."""
        self.settle(at)
        self.state.books["count"] = 0
        self.state.markets["last_price"] = 0

    def volume_between(self, market: int, after: int, until: int) -> int:
        """Printed volume of a market with after < engine time <= until, size units; reads ahead, changes nothing."""
        total = 0
        index = self._index
        while True:
            rows = self._rows
            stop = int(np.searchsorted(rows.at, until, side="right"))
            part = slice(index, stop)
            what = rows.what[part]
            chosen = (what >> 8 == market) & ((what >> 2) & 3 == TRADE)
            chosen &= (what >> 4) & (BLOCK | INSURANCE) == 0
            total += int(rows.size[part][chosen & (rows.at[part] > after)].sum())
            applied = self._index
            if stop < len(rows.at) or not self._grow():
                return total
            index = stop - applied  # rows that were applied are no longer in front

    def _load(self) -> bool:
        if not self._opened:
            self._opened = True
            self._chunks = merged(self._sources, self.shelf)
        rows = next(self._chunks, None)
        if rows is None:
            return False
        self._rows = rows if self._in_order is None else self._in_order(rows)
        self._index, self._count = 0, len(rows.at)
        return True

    def _grow(self) -> bool:
        """The next chunk behind the rows in hand, for those who look ahead."""
        left = Rows(*(column[self._index :] for column in self._rows))
        if not self._load():
            return False
        self._rows = Rows(*(np.concatenate(pair) for pair in zip(left, self._rows, strict=True)))
        self._count = len(self._rows.at)
        return True

    # --- slots of our orders ----------------------------------------------------------------------------------------

    def take_slot(self, market: Any, *, reduces: bool) -> int:
        """A row of `own` for an order of this market, for the market to fill in."""
        if not self._free:
            slots = len(self.state.own)
            self._hold(new_state(len(self.markets), self.state.levels.shape[1], 2 * slots, self.state))
            self._free = list(range(2 * slots - 1, slots - 1, -1))
        slot = self._free.pop()
        self.owners[slot] = market
        if reduces:
            self.reducing[slot] = market
        return slot

    def group_of(self, order: VenueOrder) -> int:
        """The number of an order's group (one cancels the other); 0 without one."""
        if order.terms.oco is None:
            return 0
        return self._groups.setdefault((order.terms.venue, order.terms.oco), len(self._groups) + 1)

    def give_back(self, slot: int) -> None:
        del self.owners[slot]
        self.reducing.pop(slot, None)
        self._free.append(slot)
