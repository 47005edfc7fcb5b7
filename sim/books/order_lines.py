"""Our working orders of one market as the kernel has them: a record each, and lines that lead from one to the next.

Bids and asks stand best price first, then by time; what waits for the last price stands in order of arrival.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np

from core.events import PositionSide
from core.moments import INF
from sim.books.book_rows import MANTISSA_MAX
from sim.books.books import Books
from sim.books.kernel_state import GROWTHS, NOBODY
from sim.venue_order import VenueOrder

ROOMS: dict[PositionSide, int] = {"net": 0, "long": 1, "short": 2}
BIDS, ASKS, WAITING = 0, 1, 2
NO_GROWTHS = np.zeros(GROWTHS, dtype=np.int64)


class OrderLines:
    """Who stands where. A slot is the number of an order's record."""

    def __init__(self, market: Any, books: Books, number: int) -> None:
        """`market` is told what the books do to a slot of its own; `number` is its number there."""
        self._market = market
        self._books = books
        self._number = number
        self.slots: dict[str, int] = {}
        """By an order's id."""
        self.orders: dict[int, VenueOrder] = {}
        """By slot."""
        self.resting: tuple[list[int], list[int]] = ([], [])
        """Slots of bids and of asks; not to be changed by who asks."""
        self._lines: tuple[list[int], ...] = (*self.resting, [])
        self._places: tuple[list[int], ...] = ([], [], [])
        """What the slots of each line are sorted by: minus the key, 0 where they wait."""
        self._line_of: dict[int, int] = {}
        """Which line a slot is in; a trigger that waits for another price than the last is in none."""

    def add(self, order: VenueOrder, leaves: int, placed: int, ahead: float) -> None:
        """An order comes to rest, or begins to wait; `leaves` and `ahead` in size units, the rest as in the record."""
        waits = order.waits_for_trigger
        key = 0 if waits else fitting(order.sign * order.limit_mantissa)
        slot = self._books.take_slot(self._market, reduces=order.only_reduces)
        own = self._books.state.own
        head = (self._number, order.sign, key, leaves, order.only_reduces, ROOMS[order.terms.position_side], placed, 0)
        # All fields at once, in the order of `kernel_state.OWN`: one by one they cost ten times more.
        own[slot] = (*head, NOBODY, 0, 0, 0, 0, 0, 0, 0, 0, self._books.group_of(order), ahead, NO_GROWTHS)
        self.slots[order.terms.id], self.orders[slot] = slot, order
        if not waits:
            self._line_up(slot, BIDS if order.sign > 0 else ASKS, -key)
            return
        self._wait(order, own[slot])
        if order.terms.trigger_by in (None, "last"):
            self._line_up(slot, WAITING, 0)

    def remove(self, order: VenueOrder) -> bool:
        """The order is over, or it must be placed anew. Whether it was here."""
        slot = self.slots.pop(order.terms.id, None)
        if slot is None:
            return False
        del self.orders[slot]
        self._books.give_back(slot)
        which = self._line_of.pop(slot, None)
        if which is not None:
            place = self._lines[which].index(slot)
            del self._lines[which][place], self._places[which][place]
            self._chain(which, place)
        return True

    def _line_up(self, slot: int, which: int, rank: int) -> None:
        """Behind everyone as good or better."""
        place = bisect_right(self._places[which], rank)
        self._places[which].insert(place, rank)
        self._lines[which].insert(place, slot)
        self._line_of[slot] = which
        self._chain(which, place)

    def _chain(self, which: int, place: int) -> None:
        """A line has changed at `place`: the records around it lead on as the line does, for the kernel to follow."""
        books, line = self._books, self._lines[which]
        slot = line[place] if place < len(line) else NOBODY
        if place:
            books.own_next[line[place - 1]] = slot
        elif which == WAITING:
            books.state.markets[self._number]["first_stop"] = slot
        else:
            books.firsts[2 * self._number + which] = slot
        if slot != NOBODY:
            books.own_next[slot] = line[place + 1] if place + 1 < len(line) else NOBODY

    def _wait(self, order: VenueOrder, own: Any) -> None:
        """A trigger that waits for the last price; others are pulled by mark or index prices."""
        own["rises"] = order.trigger_sign
        own["trigger"] = fitting(order.trigger)
        own["trail"] = fitting(order.trail)
        own["trail_ppm"] = order.trail_ppm
        if order.trail or order.trail_ppm:
            sign = order.trigger_sign
            if not order.trigger:  # no activation price: the first print activates it
                own["trigger"] = 0 if sign < 0 else INF
            last = int(self._books.state.markets[self._number]["last_price"])
            own["active"] = last > 0 and sign * last <= sign * int(own["trigger"])
            own["best"] = last


def fitting(number: int) -> int:
    """What the arrays hold of it: a price or size beyond any of a tape stands for the largest there is."""
    return min(max(number, -MANTISSA_MAX), MANTISSA_MAX)
