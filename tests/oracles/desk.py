"""What a venue does with requests whatever its market is made of: answers, ends, amends, and who is first in line."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from oracles.order import ZERO, Order, order_of

BUY, SELL = 1, -1
SIDES = {"buy": BUY, "sell": SELL}


@dataclass(frozen=True)
class Words:
    """What section 4 says a venue answers."""

    stp: str
    post_only: int | None
    """None: accepted, then canceled."""
    fok: int | None
    """None: accepted, then expired."""
    trigger_at_once: tuple[int, int]
    """The trigger should be met by a rise, by a fall."""
    unknown: tuple[int, int, int]
    """On cancel: never heard of, filled, ended in another way (which Bybit calls Cancelled)."""


VENUES = {
    "binance-spot": Words("expire_maker", -2010, None, (-2010, -2010), (-2011, -2011, -2011)),
    "binance-usdm": Words("expire_maker", -5022, -5021, (-2021, -2021), (-2011, -2011, -2011)),
    "bybit-linear": Words("none", None, None, (110092, 110093), (110001, 110008, 110010)),
}


@dataclass
class Legs:
    """F1: constant latency, ms."""

    entry_ms: Fraction = ZERO
    cancel_ms: Fraction = ZERO
    amend_ms: Fraction = ZERO
    response_ms: Fraction = ZERO
    arrived: dict[str, Fraction] = field(default_factory=dict)
    """The last arrival of each session."""

    def arrival(self, request: dict[str, Any]) -> Fraction:
        """F1: max(send + Le, previous arrival on the same session)."""
        leg = self.cancel_ms if "cancel" in request else self.amend_ms if "amend" in request else self.entry_ms
        session = request.get("session", "main")
        self.arrived[session] = max(Fraction(request["at"]) + leg, self.arrived.get(session, ZERO))
        return self.arrived[session]


class Desk:
    """Takes requests; `told` are the events, in order, as mappings with a scenario's keys and times in ms.

    Its markets say where an order would take, what it takes, what becomes of the rest, and the last price.
    """

    def __init__(self, venue: str, step: Fraction, legs: Legs) -> None:
        self.venue, self.words, self.step, self.legs = venue, VENUES[venue], step, legs
        self.orders: dict[str, Order] = {}
        self.line: list[Order] = []
        """Our live orders by time priority: one that loses its place goes to the end."""
        self.delay_ms = ZERO
        """F12: how long a fired order takes to act."""
        self.delayed: list[tuple[Fraction, Order]] = []
        self.last: Fraction | None = None
        self.now = ZERO
        self.told: list[dict[str, Any]] = []
        self.seen: dict[Fraction, dict[str, Fraction]] = {}
        """Moment to what a book is then: A of F4 of each order whose place is known, and what each price has left."""

    # What a market is asked:

    def would_take(self, order: Order) -> bool:
        """F13."""
        raise NotImplementedError

    def walk(self, taker: Order) -> None:
        """F2, or F8's taker."""
        raise NotImplementedError

    def rest(self, order: Order) -> None:
        """F4, or F8's resting order."""
        raise NotImplementedError

    # --- requests ---------------------------------------------------------------------------------------------------

    def meet_request(self, request: dict[str, Any]) -> None:
        if "submit" in request:
            self.submit(order_of(request["submit"], self.words.stp))
        elif "cancel" in request:
            self.cancel(request["cancel"]["id"])
        else:
            change = request["amend"]
            self.amend(change["id"], change.get("qty"), change.get("price"))

    def submit(self, order: Order) -> None:
        self.orders[order.name] = order
        if order.trigger is not None:
            if self.last is not None and order.is_called_by(self.last):
                self.end(order, "rejected", code=self.words.trigger_at_once[0 if order.called_by_rise else 1])
                return
            order.state = "waiting"
            self.line.append(order)
            self.tell(order, "accepted")
            return
        if order.post_only and self.words.post_only is not None and self.would_take(order):
            self.end(order, "rejected", code=self.words.post_only)
        elif order.tif == "fok" and self.words.fok is not None and not self.can_fill_whole(order):
            self.end(order, "rejected", code=self.words.fok)
        else:
            self.line.append(order)
            self.tell(order, "accepted")
            self.enter(order)

    def fire(self, order: Order) -> None:
        """F12: no entry latency, the child enters at the same time, after the data; or after a delay."""
        if order.over:
            return
        order.state = "new"
        self.tell(order, "triggered")
        if self.delay_ms:
            self.delayed.append((self.now + self.delay_ms, order))
        else:
            self.act(order)

    def act(self, order: Order) -> None:
        """The child enters, last in line, unless it was ended meanwhile."""
        if not order.over:
            self.line.remove(order)
            self.line.append(order)
            self.enter(order)

    def enter(self, order: Order) -> None:
        """F13, F2, and what becomes of the rest."""
        if order.post_only and self.would_take(order):
            self.end(order, "canceled", reason="post_only")
            return
        if order.tif == "fok" and not self.can_fill_whole(order):
            self.end(order, "expired", reason="fok")
            return
        self.walk(order)
        if not order.over:
            self.leave(order)

    def leave(self, order: Order) -> None:
        """F2: GTC rests, IOC and MARKET expire."""
        if order.tif in ("ioc", "market"):
            self.end(order, "expired", reason="no_liquidity" if order.price is None else "ioc")
        else:
            self.rest(order)

    def cancel(self, name: str) -> None:
        order = self.orders.get(name)
        if order is None or order.state == "rejected":
            self.tell_name(name, "cancel_rejected", code=self.words.unknown[0])
        elif order.over:
            self.tell_name(name, "cancel_rejected", code=self.words.unknown[1 if order.state == "filled" else 2])
        else:
            self.end(order, "canceled", reason="request")

    def amend(self, name: str, qty: str | None, price: str | None) -> None:
        """Section 1: Binance spot lowers the quantity alone, USD-M always re-queues, Bybit unless it only lowers."""
        order = self.orders.get(name)
        if order is None or order.over:
            self.tell_name(name, "amend_rejected")
            return
        new_qty = order.qty if qty is None else Fraction(qty)
        new_price = order.price if price is None else Fraction(price)
        same_price = new_price == order.price
        less = new_qty < order.qty
        if (same_price and new_qty == order.qty) or (self.venue == "binance-spot" and not (same_price and less)):
            self.tell_name(name, "amend_rejected")
        elif new_qty <= order.filled + order.prevented:
            if self.venue == "binance-usdm":
                self.end(order, "canceled", reason="amend")
            else:
                self.tell_name(name, "amend_rejected", code=110064 if self.venue == "bybit-linear" else -2038)
        elif same_price and less and self.venue != "binance-usdm":
            order.qty = new_qty
            self.tell(order, "amended", price=order.price, qty=order.qty)
        else:
            self.requeue(order, new_qty, new_price)

    def requeue(self, order: Order, qty: Fraction, price: Fraction) -> None:
        moved = copy.copy(order)
        moved.price = price
        if order.post_only and self.words.post_only is not None and self.would_take(moved):
            self.tell_name(order.name, "amend_rejected", code=self.words.post_only)
            return
        order.qty, order.price, order.state = qty, price, "new"
        self.line.remove(order)
        self.line.append(order)
        self.tell(order, "amended", price=price, qty=qty)
        self.enter(order)

    def can_fill_whole(self, order: Order) -> bool:
        rehearsal = copy.deepcopy(self)
        same = copy.deepcopy(order)
        rehearsal.walk(same)
        return same.filled == same.qty

    # --- small things -----------------------------------------------------------------------------------------------

    def resting(self, side: int, price: Fraction | None = None) -> list[Order]:
        """Ours of that side, best price first, then time."""
        found = [order for order in self.line if order.state == "resting" and order.side == side]
        return sorted((o for o in found if price is None or o.price == price), key=lambda order: -side * order.price)

    def fill(self, order: Order, price: Fraction, most: Fraction, rule: str, liquidity: str | None = None) -> Fraction:
        """Floored to the step; what was filled. A step but for 1e-9 is one: half-lives, logarithms are irrational."""
        qty = math.floor(min(order.leaves, most) / self.step + Fraction(1, 10**9)) * self.step
        if qty <= 0:
            return ZERO
        order.filled += qty
        side = liquidity or ("taker" if rule == "walk" else "maker")
        if order.leaves == 0:
            order.state = "filled"
            if order in self.line:
                self.line.remove(order)
        self.tell(order, "filled", price=price, qty=qty, rule=rule, liquidity=side, filled=order.filled)
        return qty

    def end(self, order: Order, how: str, **why: Any) -> None:
        order.state = how
        if order in self.line:
            self.line.remove(order)
        self.tell(order, how, **why)

    def tell(self, order: Order, event: str, **more: Any) -> None:
        self.tell_name(order.name, event, leaves=order.leaves, **more)

    def tell_name(self, name: str, event: str, **more: Any) -> None:
        at = Fraction(math.floor(self.now * 10**6), 10**6)  # venues know nanoseconds
        times = {"engine_at": at, "local_at": at + self.legs.response_ms}
        self.told.append({"order": name, "event": event, **times, **more})
