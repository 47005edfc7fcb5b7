"""Icebergs: a limit order of which a part is shown at a time. No venue's own is used: these are the same everywhere.

Each part is an order of its own, with the wish's tag; when one has filled whole the next is asked for, and stands at
the end of the queue as a venue's own would. Assumes that nobody minds the round trip between two parts, in which
nothing is shown.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from core.events import OrderFilled
from core.exact import ZERO
from core.order_kinds.emulation import emulated
from core.orders import Order, OrderTerms
from core.proposals import Proposals


class Iceberg(msgspec.Struct):
    """What is left behind the part that is shown."""

    root: str
    """Id of the first part."""
    display: Decimal
    hidden: Decimal
    reduces: bool
    filled: Decimal = ZERO
    """By the parts before this one."""


class Change(NamedTuple):
    """What an amend of the whole means for the part that is shown."""

    qty: Decimal
    hidden: Decimal


class Icebergs:
    """The icebergs of the run, by the id of the part that is shown."""

    def __init__(self, proposals: Proposals) -> None:
        self._proposals = proposals
        self._shown: dict[str, Iceberg] = {}

    def place(self, ts: int, terms: OrderTerms, display: Decimal, trouble: str | None, *, reduces: bool) -> Order:
        """Propose the first part of an order with the terms of the whole."""
        display = self._proposals.instruments[terms.venue, terms.symbol].floor_qty(display)
        iceberg = Iceberg(terms.id, display, terms.qty, reduces)
        if not display and trouble is None:
            trouble = "`iceberg` shows less than one step"
        return self._next(ts, msgspec.structs.replace(terms, emulated=emulated(terms, "iceberg")), iceberg, trouble)

    def on_fill(self, fill: OrderFilled, order: Order) -> Order | None:
        """The next part, where one has filled whole and something is left."""
        iceberg = self._shown.get(fill.order_id)
        if iceberg is None or fill.leaves:
            return None
        del self._shown[fill.order_id]
        if not iceberg.hidden:
            return None
        iceberg.filled += order.filled
        new = {"id": self._proposals.next_id(), "price": order.price, "parent": iceberg.root}
        return self._next(fill.ts, msgspec.structs.replace(order.terms, **new), iceberg, None)

    def on_end(self, order_id: str) -> None:
        """A part was canceled, refused or expired: nothing comes after it."""
        self._shown.pop(order_id, None)

    def change(self, order: Order, total: Decimal) -> Change | None:
        """What is shown and what stays hidden when the whole is to have another quantity; None: it is no iceberg.

        More grows what is hidden; less is taken from there first.
        """
        iceberg = self._shown.get(order.terms.id)
        if iceberg is None:
            return None
        hidden = total - iceberg.filled - order.qty
        return Change(order.qty + min(ZERO, hidden), max(ZERO, hidden))

    def hide(self, order: Order, hidden: Decimal) -> None:
        """From now on so much waits behind the part that is shown."""
        self._shown[order.terms.id].hidden = order.hidden = hidden

    def stands_in(self, old: Order, new: Order) -> None:
        """Another order took the place of a part."""
        iceberg = self._shown.pop(old.terms.id, None)
        if iceberg is not None:
            iceberg.filled += old.filled
            new.hidden = iceberg.hidden
            self._shown[new.terms.id] = iceberg

    def snapshot(self) -> dict[str, Iceberg]:
        """What waits behind each part that is shown, by the id of the part."""
        return {order_id: msgspec.structs.replace(iceberg) for order_id, iceberg in self._shown.items()}

    def _next(self, ts: int, terms: OrderTerms, iceberg: Iceberg, trouble: str | None) -> Order:
        """The next part; a last one that would be too small to be an order comes with the one before it."""
        shown = min(iceberg.display, iceberg.hidden)
        left = iceberg.hidden - shown
        last = msgspec.structs.replace(terms, qty=left)
        if 0 < left < iceberg.display and self._proposals.trouble(last) is not None:
            shown = iceberg.hidden
        terms = msgspec.structs.replace(terms, qty=shown)
        iceberg.hidden -= shown
        if iceberg.reduces and trouble is None:
            order = self._proposals.reduce(ts, terms)
        else:
            order = self._proposals.place(ts, terms, trouble or self._proposals.trouble(terms))
        order.hidden = iceberg.hidden
        self._shown[order.terms.id] = iceberg
        return order
