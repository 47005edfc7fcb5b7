"""The orders a venue has open for us: which client ids are taken, how many there are, how often each was changed."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from core.events import PositionSide, Side
from core.exact import ZERO
from core.instruments import Instrument
from core.orders import OrderStatus
from core.venue_rules import VenueRules
from sim.venue_order import VenueOrder


class OpenOrders:
    """By symbol and in order of arrival; what is over is forgotten, but for the client ids a venue remembers."""

    def __init__(self, rules: VenueRules) -> None:
        self._rules = rules
        self._by_symbol: dict[str, dict[str, VenueOrder]] = {}
        self.clients: set[str] = set()
        """Client ids that are taken."""
        self._amends: dict[str, int] = {}
        self._count = 0
        """Open orders of all symbols."""
        self._reusable = rules.client_ids == "unique_open"
        self._reusable_when_filled = rules.client_ids == "reusable_when_filled"

    def add(self, order: VenueOrder) -> None:
        """An order is open."""
        order.listed = True
        self._count += 1
        self._by_symbol.setdefault(order.terms.symbol, {})[order.terms.id] = order
        self.clients.add(order.client_id)

    def remove(self, order: VenueOrder) -> None:
        """An order is over, whether it was ever open or ended as it entered."""
        if order.listed:
            order.listed = False
            self._count -= 1
            del self._by_symbol[order.terms.symbol][order.terms.id]
            self._amends.pop(order.terms.id, None)
            self.clients.discard(order.client_id)
        if not (self._reusable or (self._reusable_when_filled and order.status is OrderStatus.FILLED)):
            self.clients.add(order.client_id)

    def amended(self, order: VenueOrder) -> None:
        """An order was changed once more."""
        self._amends[order.terms.id] = self.amends(order) + 1

    # --- queries ----------------------------------------------------------------------------------------------------

    def amends(self, order: VenueOrder) -> int:
        return self._amends.get(order.terms.id, 0)

    def leaves(self, symbol: str, side: Side, position_side: PositionSide, *, reducing: bool = True) -> Decimal:
        """What open orders of one side may still trade; without those that only reduce where `reducing` is False."""
        of_symbol = self._by_symbol.get(symbol)
        if not of_symbol:
            return ZERO
        return sum(
            (
                order.leaves
                for order in of_symbol.values()
                if order.terms.side == side
                and order.terms.position_side == position_side
                and (reducing or not (order.terms.reduce_only or order.terms.close_position))
            ),
            start=ZERO,
        )

    def beside(self, order: VenueOrder) -> list[Decimal]:
        """What other orders of its side may trade, each: of those that do not only reduce, and wait for no trigger."""
        terms = order.terms
        return [
            other.leaves
            for other in self._by_symbol.get(terms.symbol, {}).values()
            if other is not order
            and other.terms.side == terms.side
            and other.terms.position_side == terms.position_side
            and not (other.only_reduces or other.waits_for_trigger)
        ]

    def too_many(self, order: VenueOrder, instrument: Instrument) -> tuple[str, int] | None:
        """The cap that one more order would break, and its number; a market order is never open."""
        if order.limit is None and not order.waits_for_trigger:
            return None
        rules = self._rules
        of_symbol = self._by_symbol.get(instrument.symbol, {})
        if order.waits_for_trigger:
            most = instrument.max_trigger_orders
            most = rules.max_trigger_orders if most is None else most
            if most is not None and len(of_symbol) >= most and _waiting(of_symbol.values()) >= most:
                return "max_trigger_orders", most
            if not rules.triggers_count:
                return None
        most = instrument.max_orders if instrument.max_orders is not None else rules.max_orders
        if most is None or self._count < most:
            return None
        groups = [of_symbol]
        if rules.max_orders_of == "account" and instrument.max_orders is None:
            groups = list(self._by_symbol.values())
        count = sum(map(len, groups))
        if not rules.triggers_count:
            count -= sum(_waiting(group.values()) for group in groups)
        return None if count < most else ("max_orders", most)


def _waiting(orders: Iterable[VenueOrder]) -> int:
    return sum(1 for order in orders if order.waits_for_trigger)
