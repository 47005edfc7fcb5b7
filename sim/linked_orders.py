"""Orders that a match makes void: those that only reduce a position that is gone, and groups of which one alone trades.

Both are the venue's own doing (F14, venues.md section 3): what is void expires at the moment of the match.
"""

from __future__ import annotations

from typing import Any

from sim.venue_order import VenueOrder


class LinkedOrders:
    """The linked orders of one venue, in order of arrival."""

    def __init__(self, matching: Any) -> None:
        self._matching = matching
        self.reducers: dict[str, VenueOrder] = {}
        """Open orders that only reduce, by our id."""
        self._groups: dict[str, list[VenueOrder]] = {}
        """One-cancels-the-other: when one of a group trades or is triggered, the others are void."""
        self.due: dict[str, VenueOrder] = {}
        """By group: the order of it that has traded, while the others wait for the end of its match."""
        self._happened: set[str] = set()
        """Groups that did: orders of theirs may still be on their way to the venue."""

    def comes_late(self, order: VenueOrder) -> bool:
        """True where one of its group has traded or fired before it came; else the order joins the group."""
        assert order.terms.oco is not None, "the exchange asks of such orders alone"
        if order.terms.oco in self._happened:
            return True
        self._groups.setdefault(order.terms.oco, []).append(order)
        return False

    def has_traded(self, order: VenueOrder) -> None:
        """A resting order of a group met a taker of ours: the others end when that taker's match is over."""
        assert order.terms.oco is not None, "told of such orders alone"
        self.due[order.terms.oco] = order

    def after_match(self, order: VenueOrder, at: int) -> None:
        """What a match of this order leaves void ends, and what is due of others that it met."""
        if order.terms.oco is not None and (order.filled or order.triggered):
            self.due[order.terms.oco] = order
        due, self.due = self.due, {}
        for group, first in due.items():
            self._happened.add(group)
            for other in self._groups.pop(group, ()):
                if other is not first and other.is_open:
                    self._matching.expire(other, at, "oco")
        if self.reducers:
            self.void_reducers(at, order.terms.symbol)

    def void_reducers(self, at: int, symbol: str | None = None) -> None:
        """Reduce-only orders without a position to reduce end; of one symbol where it is named."""
        for order in list(self.reducers.values()):
            if order.terms.close_position and order.waits_for_trigger:
                continue  # it has no size of its own before it fires
            if symbol in (None, order.terms.symbol) and order.is_open and not self._matching.may_fill(order):
                self._matching.expire(order, at, "reduce_only")

    def is_void(self, order: VenueOrder) -> bool:
        """Whether another order of its group has traded already: of those only one does."""
        group = self._groups.get(order.terms.oco, ()) if order.terms.oco is not None else ()
        return any(other.filled or other.triggered for other in group if other is not order)
