"""F0 to F7 and F12 to F14 of the fill contract written a second time, from its page alone: one market, its feed, our
requests, and the events these must cause.

Slow and plain on purpose: fractions, sorted lists, a copy of everything to rehearse a fill-or-kill. No line, array,
key or unit is shared with `sim`. Margin and filters are out of it: the worlds it meets have money and stay on the grid.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from oracles.book import Book
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
class Models:
    """The keys of a scenario's `models`, and the step."""

    step: Fraction
    queue: str = "risk_averse"
    n: int = 2
    credit_ms: Fraction = Fraction(1000)
    crossed: str = "displayed"
    entry_ms: Fraction = ZERO
    cancel_ms: Fraction = ZERO
    amend_ms: Fraction = ZERO
    response_ms: Fraction = ZERO
    arrived: dict[str, Fraction] = field(default_factory=dict)
    """The last arrival of each session (F1)."""

    def arrival(self, request: dict[str, Any]) -> Fraction:
        """F1: max(send + Le, previous arrival on the same session)."""
        leg = self.cancel_ms if "cancel" in request else self.amend_ms if "amend" in request else self.entry_ms
        session = request.get("session", "main")
        self.arrived[session] = max(Fraction(request["at"]) + leg, self.arrived.get(session, ZERO))
        return self.arrived[session]


class BookVenue:
    """Plays one market: `told` are the events, in order, as mappings with a scenario's keys and times in ms."""

    def __init__(self, venue: str, models: Models, *, quotes: bool = False) -> None:
        self.venue, self.words, self.models, self.quotes = venue, VENUES[venue], models, quotes
        self.book = Book(models.queue, models.n, models.credit_ms)
        self.orders: dict[str, Order] = {}
        self.line: list[Order] = []
        """Our live orders by time priority: one that loses its place goes to the end."""
        self.last: Fraction | None = None
        self.now = ZERO
        self.told: list[dict[str, Any]] = []

    # --- F0: what comes first at one moment -------------------------------------------------------------------------

    def play(self, tape: list[dict[str, Any]], requests: list[dict[str, Any]], until: int) -> None:
        arrivals = [(self.models.arrival(request), request) for request in requests]
        submits = [request["submit"] for request in requests if "submit" in request]
        expiries = [Fraction(submit["good_till"]) for submit in submits if "good_till" in submit]
        moments = {Fraction(row["at"]) for row in tape} | {at for at, _ in arrivals} | set(expiries)
        for self.now in sorted(at for at in moments if at <= until):
            rows = [row for row in tape if row["at"] == self.now]
            fired: list[Order] = []
            for row in rows:
                if "trade" in row:
                    fired += self.meet_print(row["trade"])
            for row in rows:
                if "trade" not in row:
                    self.meet_book(row)
            self.expire_dated()
            for order in fired:
                self.fire(order)
            for at, request in arrivals:
                if at == self.now:
                    self.meet_request(request)

    def expire_dated(self) -> None:
        for order in list(self.line):
            if order.good_till is not None and order.good_till <= self.now:
                self.end(order, "expired", reason="gtd")

    def places(self) -> dict[str, Fraction]:
        """A of F4 of each order that rests and whose place is known."""
        return {order.name: order.ahead for order in self.line if order.state == "resting" and order.ahead is not None}

    # --- market data ------------------------------------------------------------------------------------------------

    def meet_print(self, trade: dict[str, Any]) -> list[Order]:
        """F5 for the orders it passed, then F4 at its price, from one budget; F12: the stops it calls."""
        if trade.get("block") or trade.get("insurance"):
            return []
        hit, price, qty = -SIDES[trade["side"]], Fraction(trade["price"]), Fraction(trade["qty"])
        budget = qty
        for order in self.resting(hit):
            if order.side * order.price > order.side * price:
                order.ahead = ZERO
                budget -= self.fill(order, order.price, budget, "through")
        if not trade.get("rpi"):
            self.eat_queue(self.resting(hit, price), budget)
            self.book.print(hit, price, qty, self.now)
        self.last = price
        called = [order for order in self.line if order.state == "waiting" and order.is_called_by(price)]
        for order in called:
            order.state = "called"
        return called

    def eat_queue(self, queue: list[Order], budget: Fraction) -> None:
        """F4: [external ahead][own][external between][own 2] ... from the front."""
        external = ZERO
        places = {order: order.ahead for order in queue}
        for order, ahead in places.items():
            if ahead is None:
                continue
            between = min(budget, max(ZERO, ahead - external))
            external += between
            budget -= between
            budget -= self.fill(order, order.price, budget, "queue")
        for order, ahead in places.items():
            order.ahead = None if ahead is None else max(ZERO, ahead - external)

    def meet_book(self, row: dict[str, Any]) -> None:
        """F3 and F4 level by level, or F7 for a quote; then F6."""
        if "quote" in row:
            for side, word in ((BUY, "bid"), (SELL, "ask")):
                if word in row["quote"]:
                    price, qty = row["quote"][word]
                    self.see_touch(side, Fraction(price), Fraction(qty))
        else:
            for side, word in ((BUY, "bids"), (SELL, "asks")):
                levels = {Fraction(price): Fraction(qty) for price, qty in row["depth"].get(word, [])}
                omitted = self.book.prices(side) if row["depth"].get("snapshot") else []
                for price, qty in (dict.fromkeys(omitted, ZERO) | levels).items():
                    self.book.update(side, price, qty, self.now, self.resting(side, price))
        if self.models.crossed != "none":
            self.cross()

    def see_touch(self, side: int, price: Fraction, qty: Fraction) -> None:
        """F7: the touch is all that is known of a side. When it moves, nobody is ahead of an order it moved away
        through; the place of one behind it is unknown; one it meets has all ahead that is displayed, or less."""
        if self.book.prices(side) == [price]:
            self.book.update(side, price, qty, self.now, self.resting(side, price))
            return
        self.book.replace(side, price, qty)
        for order in self.resting(side):
            if self.models.queue == "none" or side * order.price > side * price:
                order.ahead = ZERO
            elif order.price == price:
                order.ahead = qty if order.ahead is None else min(order.ahead, qty)
            else:
                order.ahead = None

    def cross(self) -> None:
        """F6: the update put the other side at or through our price."""
        for side in (BUY, SELL):
            for order in self.resting(side):
                reached = [price for price in self.book.prices(-side) if order.reaches(price)]
                levels = [self.book.level(-side, price) for price in reached]
                found = sum((level.available for level in levels), ZERO)
                qty = order.leaves if self.models.crossed == "full" and reached else min(order.leaves, found)
                rest = self.fill(order, order.price, qty, "crossed")
                for level in levels:
                    part = min(rest, level.available)
                    level.use(part)
                    rest -= part

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
                rises = (order.side > 0) == order.type.startswith("stop")
                self.end(order, "rejected", code=self.words.trigger_at_once[0 if rises else 1])
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
        """F12: no entry latency, the child enters at the same time, after the data."""
        if order.over:
            return
        self.line.remove(order)
        self.line.append(order)
        self.tell(order, "triggered")
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
        if order.over:
            return
        if order.tif in ("ioc", "market"):
            self.end(order, "expired", reason="ioc" if order.tif == "ioc" else "no_liquidity")
        else:
            self.rest(order)

    def rest(self, order: Order) -> None:
        """F4: behind all that is displayed at its price. F7: behind the touch nobody knows."""
        order.state = "resting"
        order.ahead = self.book.level(order.side, order.price).displayed
        prices = self.book.prices(order.side)
        if self.quotes and prices and order.side * order.price < order.side * prices[0]:
            order.ahead = None
        if self.models.queue == "none":
            order.ahead = ZERO

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

    # --- taking -----------------------------------------------------------------------------------------------------

    def would_take(self, order: Order) -> bool:
        """F13: compared with what is displayed, and with what rests there of our own."""
        others = self.book.prices(-order.side) + [own.price for own in self.resting(-order.side)]
        return any(order.reaches(price) for price in others)

    def can_fill_whole(self, order: Order) -> bool:
        rehearsal = copy.deepcopy(self)
        same = copy.deepcopy(order)
        rehearsal.walk(same)
        return same.filled == same.qty

    def walk(self, taker: Order) -> None:
        """F2: best price first within the limit; F14: ours are met at their place in the queue."""
        own = {order.price for order in self.resting(-taker.side)}
        for price in sorted(own | set(self.book.prices(-taker.side)), key=lambda price: taker.side * price):
            if not taker.reaches(price):
                return
            for maker in self.resting(-taker.side, price):
                self.take(taker, price, maker.ahead or ZERO)
                if not taker.over and taker.leaves > 0:
                    self.meet_own(taker, maker)
                if taker.over:
                    return
            self.take(taker, price, taker.leaves)
            if taker.over:
                return

    def take(self, taker: Order, price: Fraction, most: Fraction) -> None:
        """F2 and F3: what is available; it no longer stands ahead of ours."""
        level = self.book.level(-taker.side, price)
        qty = self.fill(taker, price, min(most, level.available), "walk")
        level.use(qty)
        for own in self.resting(-taker.side, price):
            own.ahead = None if own.ahead is None else max(ZERO, own.ahead - qty)

    def meet_own(self, taker: Order, maker: Order) -> None:
        """F14: the taker's mode decides; the resting order's event comes first."""
        qty = min(taker.leaves, maker.leaves)
        if taker.stp == "none":
            self.fill(maker, maker.price, qty, "self")
            self.fill(taker, maker.price, qty, "self", liquidity="taker")
            return
        if taker.stp in ("decrement", "transfer"):
            maker.prevented += qty
            taker.prevented += qty
            ended = [order for order in (maker, taker) if order.leaves == 0]
        else:
            both = {"expire_maker": [maker], "expire_taker": [taker], "expire_both": [maker, taker]}
            ended = both[taker.stp]
            for order in ended:
                order.prevented += order.leaves
        for order in ended:
            self.end(order, "expired", reason="stp")

    # --- small things -----------------------------------------------------------------------------------------------

    def resting(self, side: int, price: Fraction | None = None) -> list[Order]:
        """Ours of that side, best price first, then time."""
        found = [order for order in self.line if order.state == "resting" and order.side == side]
        return sorted((o for o in found if price is None or o.price == price), key=lambda order: -side * order.price)

    def fill(self, order: Order, price: Fraction, most: Fraction, rule: str, liquidity: str | None = None) -> Fraction:
        """Floored to the step; what was filled."""
        qty = math.floor(min(order.leaves, most) / self.models.step) * self.models.step
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
        local_at = self.now + self.models.response_ms
        self.told.append({"order": name, "event": event, "engine_at": self.now, "local_at": local_at, **more})
