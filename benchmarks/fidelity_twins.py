"""A twin of a real order: the same side, price, size and moment, put into the public view without the real one.

`batched` makes of the row-by-row view what a venue publishes: prints as they happen, depth every so many milliseconds.
`exposure` cuts from a view what can touch one order, with its own size taken out; `Desk` lets the twin rest there in
our kernel, under one queue model, and tells what it got and when.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmarks.fidelity_truth import DEPTH, PRINT, Resting, View
from core.tape import LAST
from sim.books import kernel_state
from sim.models.queue import L3Queue, NoQueue, QueueModel

MS = 1_000_000
BTC = 1e-8
LEVELS = 64
LOOK_BACK = 4_096
FOREVER = 1 << 62


class Exposure(NamedTuple):
    """What can touch one order, in order: its level without its own size, the other side at or through its price,
    and the prints that hit its side at its price or beyond."""

    side: int
    price: int
    displayed: int
    """Its level as the public saw it when the order came, without it."""
    rows: View
    ends: int
    """Rows before the real order's end; later ones only serve the question when the twin would have been filled."""
    changes: np.ndarray
    """Per row: the signed change of its level, for exact places."""

    @property
    def touched(self) -> bool:
        """Whether anything could have filled the order before its end: a print, or the other side at its price."""
        rows = self.rows
        own = (rows.kind == DEPTH) & (rows.price == self.price) & (rows.side == self.side)
        return bool((~own & (rows.size > 0))[: self.ends].any())


class Outcome(NamedTuple):
    fills: list[tuple[int, int, int, int]]
    """(row of the exposure, ms, size, rule of the fill)."""
    ahead: float
    """Quantity the model has ahead of the twin when the real order ends; NaN where the twin is no longer there."""


def batched(view: View, every_ms: int) -> View:
    """Depth only at multiples of `every_ms`: the levels that changed since, as they stand; prints stay as they are."""
    depth = np.flatnonzero(view.kind == DEPTH)
    boundary = -(-view.at_ms[depth] // every_ms) * every_ms
    level = np.stack([boundary, view.side[depth], view.price[depth]], axis=1)
    # The last change of each level in each batch: unique() keeps the first, so look from the end.
    _, last = np.unique(level[::-1], axis=0, return_index=True)
    kept = depth[::-1][last]
    at_ms = -(-view.at_ms[kept] // every_ms) * every_ms
    shown = np.searchsorted(view.at_ms, at_ms, side="right") - 1
    prints = np.flatnonzero(view.kind == PRINT)
    rows = np.concatenate([prints, kept])
    seq = np.concatenate([view.seq[prints], view.seq[shown]])
    order = np.lexsort((np.concatenate([np.zeros(len(prints)), np.ones(len(kept))]), seq))
    columns = [column[rows][order] for column in view]
    columns[0] = seq[order]
    columns[1] = np.concatenate([view.at_ms[prints], at_ms])[order]
    return View(*columns)


def exposure(view: View, order: Resting, until_ms: int, watch_ms: int = 0) -> Exposure:
    """What could touch an order from its arrival to its end, and no later than `until_ms`.

    Of an order that was filled also what came in the `watch_ms` after: its twin may be filled later than it was.
    """
    first = int(np.searchsorted(view.seq, order.seq))
    until = int(np.searchsorted(view.at_ms, until_ms, side="right"))
    ends = until if order.end_seq < 0 else min(until, int(np.searchsorted(view.seq, order.end_seq)))
    watched = int(np.searchsorted(view.at_ms, order.end_ms + watch_ms, side="right")) if order.fate == "filled" else 0
    window = slice(first, max(first, ends, min(until, watched)))
    own = (view.kind[window] == DEPTH) & (view.side[window] == order.side) & (view.price[window] == order.price)
    across = (view.side[window] == -order.side) & (order.side * (view.price[window] - order.price) <= 0)
    part = np.flatnonzero(own | across)
    rows = View(*(column[window][part] for column in view))
    own = own[part]
    displayed = shown_before(view, order)
    changes = np.zeros(len(part), dtype=np.int64)
    changes[own] = np.diff(np.concatenate([[displayed], rows.size[own]]))
    rows = rows._replace(size=np.where(own, rows.size - own_left(order, rows.seq), rows.size))
    ends = int(np.searchsorted(part + first, ends))
    return Exposure(order.side, order.price, displayed, rows, ends, changes)


def shown_before(view: View, order: Resting) -> int:
    """The level of an order as the view showed it last before the order came."""
    stop = int(np.searchsorted(view.seq, order.seq))
    for low in range(stop, 0, -LOOK_BACK):
        part = slice(max(0, low - LOOK_BACK), low)
        mine = (view.kind[part] == DEPTH) & (view.side[part] == order.side) & (view.price[part] == order.price)
        found = np.flatnonzero(mine)
        if len(found):
            return int(view.size[part][found[-1]])
    return 0


def own_left(order: Resting, seq: np.ndarray) -> np.ndarray:
    """What of the real order stands in the book after each of these events."""
    when = np.array([at for at, _, _ in order.fills], dtype=np.int64)
    gone = np.concatenate([[0], np.cumsum([size for _, _, size in order.fills], dtype=np.int64)]).astype(np.int64)
    left = order.size - gone[np.searchsorted(when, seq, side="right")]
    alive = seq >= order.seq
    if order.end_seq >= 0:
        alive &= seq < order.end_seq
    return np.where(alive, left, 0)


def cancels(view: View, order: Resting, seen: Exposure) -> tuple[np.ndarray, np.ndarray]:
    """Cancels at an order's level while others stood on both sides of it: B / (A + B) before, and whether behind it.

    A and B are the real quantities ahead and behind. `view` shows every change; `seen` is the order's exposure to it.
    """
    rows = View(*(column[: seen.ends] for column in seen.rows))
    printed = view.kind[np.maximum(rows.seq - 1, 0)] == PRINT
    chosen = (seen.changes[: seen.ends] < 0) & (rows.joined != order.seq) & ~printed
    when, ahead = np.array(order.ahead, dtype=np.int64).T
    front = ahead[np.searchsorted(when, rows.seq[chosen]) - 1]
    back = rows.size[chosen] - seen.changes[: seen.ends][chosen] - front
    both = (front > 0) & (back > 0)
    return (back / np.maximum(front + back, 1))[both], (rows.joined[chosen] > order.seq)[both]


class Desk:
    """One market of the kernel in which one twin after the other rests alone."""

    def __init__(self, functions: Any, model: QueueModel) -> None:
        """`functions`: `sim.books.kernel` or its compiled twin."""
        self._functions, self._model = functions, model
        self._exact = isinstance(model, L3Queue)

    def rest(self, order: Resting, seen: Exposure) -> Outcome:
        """Let the twin rest until it is filled or the exposure is over."""
        state, own = self._arrived(order, seen), 0
        rows, number = self._rows(order, seen)
        fills, ahead, index = [], float("nan"), 0
        for end in (seen.ends, len(seen.rows.seq)):
            stop = int(np.searchsorted(number, end))
            part = kernel_state.Rows(*(column[:stop] for column in rows))
            while index < stop and state.own[own]["leaves"] > 0:
                index = self._functions.advance(part, index, FOREVER, state)
                if index < 0:  # something happened
                    index = ~index
                for fill in state.fills[: state.out[kernel_state.FILLS]]:
                    row = int(number[index - 1])
                    fills.append((row, int(seen.rows.at_ms[row]), int(fill["size"]), int(fill["rule"])))
                state.out[:] = 0
            if end == seen.ends and state.own[own]["leaves"] > 0:
                ahead = float(state.own[own]["ahead"])
        return Outcome(fills, ahead)

    def _arrived(self, order: Resting, seen: Exposure) -> kernel_state.State:
        """A book of one level, as it was displayed, and our order behind it in slot 0."""
        state = kernel_state.new_state(1, LEVELS, 1)
        market, side = state.markets[0], 0 if order.side > 0 else 1
        market["step"] = 1
        market["queue"] = self._model.code
        market["power"] = self._model.exponent
        market["credit_ns"] = self._model.credit_ms
        market["unit"] = BTC
        market["finest"] = kernel_state.L3 if self._exact else kernel_state.DEPTH
        key = order.price if order.side > 0 else -order.price
        if seen.displayed:
            state.levels[side, 0]["key"], state.levels[side, 0]["qty"] = key, seen.displayed
            state.books[side]["count"] = 1
        own = state.own[0]
        own["buys"], own["key"], own["leaves"], own["placed"] = order.side, key, order.size, order.seq
        own["ahead"] = 0.0 if isinstance(self._model, NoQueue) else float(seen.displayed)
        own["next"] = kernel_state.NOBODY
        state.books[side]["first"] = 0
        return state

    def _rows(self, order: Resting, seen: Exposure) -> tuple[kernel_state.Rows, np.ndarray]:
        """The kernel's rows, and which row of the exposure each of them is."""
        rows = seen.rows
        own = (rows.kind == DEPTH) & (rows.side == order.side)
        kind = np.where(rows.kind == PRINT, kernel_state.TRADE, kernel_state.DEPTH)
        size = rows.size
        number = np.arange(len(size))
        if self._exact:
            kind = np.where(own, kernel_state.L3, kind)
            size = np.where(own, seen.changes, size)
            number = np.flatnonzero(~own | (rows.joined != order.seq))
        flags = np.where(rows.kind == PRINT, 0, LAST)
        what = (flags * 4 + kind) * 4 + rows.side + 1
        columns = (rows.at_ms * MS, what, rows.price, size, np.arange(len(size)), rows.joined)
        return kernel_state.Rows(*(np.ascontiguousarray(column[number]) for column in columns)), number
