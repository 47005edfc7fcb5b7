"""Changes of orders that work: by the venue's own amend, or by another order in the place of the first.

Where the venue would refuse the change (spot: another price; USD-M: an order that waits; our amend: another trigger)
the order is canceled, and what is left of it is asked for anew once the cancel is heard: so nothing is bought twice. A
reduce-only order is replaced in one go, as a position should not stand without its stop. Either way the place in the
queue is lost, and the new order has a new id and the same tag.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from core.order_kinds.emulation import Emulation, emulated
from core.orders import Order, OrderTerms
from core.proposals import Proposals

Terms = dict[str, Any]


class Amendments:
    """Asks for changes, and keeps those that wait for a cancel."""

    def __init__(self, proposals: Proposals, emulation: Emulation) -> None:
        self._proposals = proposals
        self._emulation = emulation
        self._waiting: dict[str, OrderTerms] = {}
        """By the id of the order that is to be replaced: what follows it; its quantity is the new total."""

    def ask(
        self, ts: int, order: Order, price: Decimal | None, qty: Decimal, trigger: Decimal | None
    ) -> tuple[Order | None, bool]:
        """Ask for a new price, total quantity and trigger: the order that took this one's place, if one did at once,
        and whether one will once a cancel is heard."""
        terms = order.terms
        same_trigger = trigger == terms.trigger_price
        dearer = price != order.price or qty > order.qty
        if same_trigger and self._emulation.amends(terms, waits=order.waits_for_trigger, dearer=dearer):
            self._proposals.amend(ts, order, price, qty)
            return None, False
        changes: Terms = {"price": price, "qty": qty, "parent": terms.parent or terms.id}
        changes |= {"trigger_price": trigger}
        changes |= {"emulated": terms.emulated if "amend" in (terms.emulated or "") else emulated(terms, "amend")}
        if terms in self._proposals.reducing:
            return self._proposals.stand_in(ts, order, **(changes | {"qty": qty - order.filled})), False
        self._waiting[terms.id] = msgspec.structs.replace(terms, **changes)
        self._proposals.cancel(ts, order)
        return None, True

    def on_canceled(self, ts: int, order: Order) -> Order | None:
        """The cancel of an order that is to be replaced was heard; returns the order that follows it."""
        terms = self._waiting.pop(order.terms.id, None)
        left = None if terms is None else terms.qty - order.filled
        if terms is None or left is None or left <= 0:
            return None
        terms = msgspec.structs.replace(terms, id=self._proposals.next_id(), qty=left)
        return self._proposals.place(ts, terms, self._proposals.trouble(terms))

    def snapshot(self) -> dict[str, OrderTerms]:
        """By the id of an order whose cancel is under way: what is to follow it."""
        return dict(self._waiting)

    def forget(self, order_id: str) -> None:
        """The order ended in another way, could not be canceled, or is no longer wanted: nothing follows it."""
        self._waiting.pop(order_id, None)
