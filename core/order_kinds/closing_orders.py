"""Close-position orders that are kept here: reduce-only, and as large as the strategy's book whenever it grows.

A venue's own closes the account's position. That is the strategy's book only where no other strategy trades the market;
elsewhere, and where the venue has none, the order is resized when we hear of a fill.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from core.events import OrderFilled, OrderRejected
from core.order_kinds.emulation import Emulation, emulated
from core.order_kinds.reducing_orders import against
from core.orders import Order, OrderTerms
from core.portfolio import Portfolio
from core.proposals import Proposals


class ClosingOrders:
    """Those that wait, by order id."""

    def __init__(
        self, proposals: Proposals, emulation: Emulation, portfolio: Portfolio, look_again: Callable[[int], None]
    ) -> None:
        """`look_again(ts)`: `attend` is to be called once all that is learned at `ts` is known."""
        self._proposals = proposals
        self._emulation = emulation
        self._portfolio = portfolio
        self._look_again = look_again
        self._orders: dict[str, Order] = {}

    def place(self, ts: int, terms: OrderTerms, trouble: str | None) -> Order:
        """Propose one; `terms` without a size."""
        book = self._proposals.reducing.book(terms)
        net = against(terms.side, self._portfolio.held(terms.venue, terms.symbol, terms.position_side))
        if trouble is None and not book:
            trouble = f"nothing of {terms.symbol} is held that a {terms.side} could close"
        if trouble is not None:
            return self._proposals.place(ts, terms, trouble)
        if self._emulation.closes_position(terms, book, net):
            terms = msgspec.structs.replace(terms, close_position=True)
            self._proposals.reducing.add(terms)
            return self._proposals.place(ts, terms, self._proposals.trouble(terms))
        terms = msgspec.structs.replace(terms, qty=book, emulated=emulated(terms, "close_position"))
        order = self._proposals.reduce(ts, terms)
        self._orders[terms.id] = order
        return order

    def on_fill(self, fill: OrderFilled) -> None:
        """A book may have grown."""
        if self._orders:
            self._look_again(fill.ts)

    def stands_in(self, old: Order, new: Order) -> None:
        """Another order took the place of one."""
        if self._orders.pop(old.terms.id, None) is not None:
            self._orders[new.terms.id] = new

    def on_rejected(self, event: OrderRejected, order: Order) -> None:
        """The price was there before a larger order arrived: the position goes at the market."""
        if event.order_id in self._orders and event.reason.startswith("trigger") and order.terms.parent is not None:
            self._proposals.exit(event.ts, order)

    def on_end(self, order_id: str) -> None:
        self._orders.pop(order_id, None)

    def snapshot(self) -> list[str]:
        """Ids of those that wait."""
        return list(self._orders)

    def attend(self, ts: int) -> list[tuple[Order, Order]]:
        """Make them as large as their books; returns (old, new) of those that grew."""
        grown = []
        for order in list(self._orders.values()):
            book = self._proposals.reducing.book(order.terms)
            if order.waits_for_trigger and not order.pending_cancel and book > order.leaves:
                root = order.terms.parent or order.terms.id
                grown.append((order, self._proposals.stand_in(ts, order, qty=book, parent=root)))
        return grown
