"""F0 to F7 and F12 to F14 of the fill contract written a second time, from its page alone: one market, its feed, our
requests, and the events these must cause.

Slow and plain on purpose: fractions, sorted lists, a copy of everything to rehearse a fill-or-kill. No line, array,
key or unit is shared with `sim`. Margin and filters are out of it: the worlds it meets have money and stay on the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from oracles.book import Book
from oracles.desk import BUY, SELL, SIDES, Desk, Legs
from oracles.order import ZERO, Order


@dataclass
class Models:
    """The keys of a scenario's `models`."""

    queue: str = "risk_averse"
    n: int = 2
    credit_ms: Fraction = Fraction(1000)
    crossed: str = "displayed"
    half_life_ms: Fraction | None = None


class BookVenue(Desk):
    """One symbol with a book, or with quotes."""

    def __init__(self, venue: str, step: Fraction, legs: Legs, models: Models, *, quotes: bool = False) -> None:
        super().__init__(venue, step, legs)
        self.models, self.quotes = models, quotes
        self.book = Book(models.queue, models.n, models.credit_ms, models.half_life_ms)

    # --- F0: what comes first at one moment -------------------------------------------------------------------------

    def play(self, tape: list[dict[str, Any]], requests: list[dict[str, Any]], until: int) -> None:
        arrivals = [(self.legs.arrival(request), request) for request in requests]
        submits = [request["submit"] for request in requests if "submit" in request]
        expiries = [Fraction(submit["good_till"]) for submit in submits if "good_till" in submit]
        moments = {Fraction(row["at"]) for row in tape} | {at for at, _ in arrivals} | set(expiries)
        moments |= {at + self.delay_ms for at in moments}
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
            for at, order in self.delayed:
                if at == self.now:
                    self.act(order)
            for at, request in arrivals:
                if at == self.now:
                    self.meet_request(request)
            self.seen[self.now] = self.look()

    def look(self) -> dict[str, Fraction]:
        """By the name of an order the quantity ahead of it; by side and price what is available there (F3)."""
        placed = [order for order in self.line if order.state == "resting" and order.ahead is not None]
        found = {order.name: order.ahead for order in placed}
        for side, word in ((BUY, "bids"), (SELL, "asks")):
            for price in self.book.prices(side):
                found[f"{word} {price}"] = self.book.available(self.book.level(side, price), self.now)
        return found

    def expire_dated(self) -> None:
        for order in list(self.line):
            if order.good_till is not None and order.good_till <= self.now:
                self.end(order, "expired", reason="gtd")

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
                found = sum((self.book.available(level, self.now) for level in levels), ZERO)
                qty = order.leaves if self.models.crossed == "full" and reached else min(order.leaves, found)
                rest = self.fill(order, order.price, qty, "crossed")
                for level in levels:
                    part = min(rest, self.book.available(level, self.now))
                    self.book.use(level, part, self.now)
                    rest -= part

    # --- taking -----------------------------------------------------------------------------------------------------

    def would_take(self, order: Order) -> bool:
        """F13: compared with what is displayed, and with what rests there of our own."""
        others = self.book.prices(-order.side) + [own.price for own in self.resting(-order.side)]
        return any(order.reaches(price) for price in others)

    def rest(self, order: Order) -> None:
        """F4: behind all that is displayed at its price. F7: behind the touch nobody knows."""
        order.state = "resting"
        order.ahead = self.book.level(order.side, order.price).displayed
        prices = self.book.prices(order.side)
        if self.quotes and prices and order.side * order.price < order.side * prices[0]:
            order.ahead = None
        if self.models.queue == "none":
            order.ahead = ZERO

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
        qty = self.fill(taker, price, min(most, self.book.available(level, self.now)), "walk")
        self.book.use(level, qty, self.now)
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
