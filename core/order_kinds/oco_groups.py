"""One cancels the other: of a group of orders, the first that trades or is triggered takes the others back.

A venue that has such groups keeps them; here they are kept for the others, at the price of a round trip: within it two
of a group may happen, and only reduce-only orders are safe from that. What the venue keeps is looked after as well: an
order that came to a group when it had happened already is taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from core.events import OrderFilled, OrderTriggered
from core.orders import TERMINAL, Order, OrderTerms
from core.proposals import Proposals

GroupKey = tuple[str, str, str, str]
"""(strategy, venue, symbol, the strategy's name of the group)"""


class OcoGroup(msgspec.Struct):
    """Orders of which one is to happen."""

    id: str
    """Of its first order: what the venue calls the group. A name that is used again makes a new one."""
    orders: list[Order]
    first: str = ""
    """Id of the order that happened."""


class OcoGroups:
    """The groups of the run."""

    def __init__(self, proposals: Proposals, look_again: Callable[[int], None]) -> None:
        """`look_again(ts)`: `attend` is to be called once all that is learned at `ts` is known."""
        self._proposals = proposals
        self._look_again = look_again
        self._groups: dict[GroupKey, OcoGroup] = {}
        self._of: dict[str, OcoGroup] = {}
        """By order id."""
        self._happened: dict[str, OcoGroup] = {}
        """By group id: still to be attended to."""

    def id_of(self, name: str, terms: OrderTerms) -> str:
        """The id of the group that an order with these terms is to join."""
        group = self._groups.get(_key(name, terms))
        if group is None or group.first or all(order.status in TERMINAL for order in group.orders):
            return terms.id
        return group.id

    def join(self, name: str, group_id: str, order: Order) -> None:
        """The order was proposed."""
        key = _key(name, order.terms)
        group = self._groups.get(key)
        if group is None or group.id != group_id:
            group = self._groups[key] = OcoGroup(group_id, [])
        self.add(group, order)

    def add(self, group: OcoGroup, order: Order) -> None:
        group.orders.append(order)
        self._of[order.terms.id] = group

    def on_event(self, event: OrderFilled | OrderTriggered) -> None:
        """An order traded or was triggered: if it is the first of its group, the others go."""
        group = self._of.get(event.order_id)
        if group is not None and not group.first:
            group.first = event.order_id
            self._happened[group.id] = group
            self._look_again(event.ts)

    def on_end(self, order_id: str) -> None:
        """An order is over."""
        group = self._of.pop(order_id, None)
        if group is not None:
            group.orders = [order for order in group.orders if order.terms.id != order_id]

    def stands_in(self, old: Order, new: Order) -> None:
        """Another order took the place of one."""
        group = self._of.get(old.terms.id)
        if group is not None and not group.first:
            self.add(group, new)

    def snapshot(self) -> list[dict[str, Any]]:
        """Groups of which an order may still act, encodable, with the ids of those orders."""
        alive = {group.id for group in self._of.values()}
        return [
            {"key": key, "id": group.id, "first": group.first, "orders": [order.terms.id for order in group.orders]}
            for key, group in self._groups.items()
            if group.id in alive
        ]

    def attend(self, ts: int) -> None:
        """Take back what is left of the groups that have happened."""
        happened, self._happened = self._happened, {}
        for group in happened.values():
            for order in group.orders:
                if order.terms.id != group.first and order.status not in TERMINAL:
                    self._proposals.cancel(ts, order)


def _key(name: str, terms: OrderTerms) -> GroupKey:
    return terms.strategy, terms.venue, terms.symbol, name
