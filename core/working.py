"""Every order of the run and which of them are still open. Order events move them along the table of `core.orders`."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from core.errors import InvariantBroken
from core.events import OrderEvent
from core.exact import ZERO
from core.orders import TERMINAL, Order


class WorkingOrders:
    """All orders by id, and the open ones by symbol."""

    def __init__(self) -> None:
        self.all: dict[str, Order] = {}
        """Every order of the run, in order of creation."""
        self.open: dict[tuple[str, str], dict[str, Order]] = defaultdict(dict)
        """Those that are under way or working: by (venue, symbol), then by id, oldest first."""
        self._tags: dict[tuple[str, str], str] = {}
        self.illegal: list[str] = []
        """Order events that were no legal move, one sentence each; empty in a simulated run."""

    def add(self, order: Order) -> None:
        """Track a new order. Its tag, if any, names it until another order of the strategy takes the tag."""
        terms = order.terms
        self.all[terms.id] = order
        self.open[terms.venue, terms.symbol][terms.id] = order
        if terms.tag is not None:
            self._tags[terms.strategy, terms.tag] = terms.id

    def on_event(self, event: OrderEvent) -> None:
        """Move the order the event is about."""
        order = self.all.get(event.order_id)
        if order is None:
            raise InvariantBroken(f"an event for an order we never placed: {event!r}")
        if not order.apply(event):
            self.illegal.append(f"{type(event).__name__} for order {event.order_id}, which is {order.status}")
        if order.closed_at is not None:
            self.open[event.venue, event.symbol].pop(event.order_id, None)

    def snapshot(self) -> dict[str, Any]:
        """Open orders, encodable, oldest first."""
        return {"orders": [order for order in self.all.values() if order.status not in TERMINAL]}

    # --- queries ----------------------------------------------------------------------------------------------------

    def open_orders(self, venue: str, symbol: str, strategy: str | None = None) -> list[Order]:
        """Orders that are under way or working, oldest first; of one strategy, or of all."""
        orders = self.open.get((venue, symbol))
        if not orders:
            return []
        return [order for order in orders.values() if strategy is None or order.terms.strategy == strategy]

    def symbols(self) -> list[tuple[str, str]]:
        """(venue, symbol) of every market in which an order is open."""
        return [key for key, orders in self.open.items() if orders]

    def open_of(self, strategy: str) -> list[Order]:
        """Every open order of a strategy, oldest first."""
        return [o for orders in self.open.values() for o in orders.values() if o.terms.strategy == strategy]

    def under_way(
        self, venue: str, symbol: str, side: str, *, without: str | None = None, strategy: str | None = None
    ) -> Decimal:
        """Sum of what open orders of that side can still fill, base units; what icebergs hide is part of it."""
        total = ZERO
        for key, order in self.open.get((venue, symbol), {}).items():
            terms = order.terms
            if key != without and terms.side == side and (strategy is None or terms.strategy == strategy):
                total += order.leaves + order.hidden if order.hidden else order.leaves
        return total

    def named(self, strategy: str, name: str) -> Order | None:
        """An order of the strategy by its tag or its id."""
        order = self.all.get(self._tags.get((strategy, name), name))
        return order if order is not None and order.terms.strategy == strategy else None
