"""F8, F10, F11 and F12 of the fill contract written a second time, from its page alone: one market known by its bars.

A bar is walked along its path, from one thing that happens to an order of ours to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from oracles.bar_path import Path, Stretch, order_of_vertices
from oracles.desk import Desk, Legs
from oracles.impact import Bar, Impact, taker_price
from oracles.order import ZERO, Order


@dataclass
class Models:
    """The keys of a scenario's `models`."""

    tick: Fraction
    path: str
    participation: Fraction
    market_participation: Fraction
    remainder: str
    half_spread: float | None
    """A fraction; None: no spread at all."""
    impact: Impact | None


class BarVenue(Desk):
    """One symbol with bars."""

    def __init__(self, venue: str, step: Fraction, legs: Legs, models: Models, position: Fraction) -> None:
        super().__init__(venue, step, legs)
        self.models, self.held_before = models, position
        self.path: Path | None = None
        self.is_open = False
        """Not where the data have a hole: there is no market."""
        self.volume = ZERO
        self.reference = ZERO
        """What a taker's price starts from."""
        self.since: dict[Order, Fraction] = {}
        """From when on the path counts for an order."""
        self.claims: list[tuple[Fraction, Fraction]] = []
        """Parts of the path whose volume orders of ours have had."""
        self.taken = ZERO
        """What takers had of this bar."""
        self.carried: list[Order] = []

    # --- time -------------------------------------------------------------------------------------------------------

    def play(self, tape: list[dict[str, Any]], requests: list[dict[str, Any]]) -> None:
        arrivals = [(self.legs.arrival(request), request) for request in requests]
        closed = ZERO
        for row in tape:
            bar, at = row["bar"], Fraction(row["at"])
            self.meet_requests([one for one in arrivals if closed <= one[0] < at])
            self.open_bar(bar, at)
            closed = at + bar["interval_ms"]
            self.meet_requests([one for one in arrivals if at <= one[0] < closed])
            self.walk_until(closed, including=True)
            self.path, self.is_open, self.last = None, False, Fraction(bar["close"])
            if self.models.impact is not None:
                self.models.impact.past.append(Bar(at, closed, self.last, Fraction(bar["volume"])))
        self.meet_requests([one for one in arrivals if one[0] >= closed])

    def meet_requests(self, arrivals: list[tuple[Fraction, dict[str, Any]]]) -> None:
        """Those of one bar, or of one hole; what the path does before each comes first."""
        for moment in sorted({at for at, _ in arrivals}):
            self.walk_until(moment, including=self.path is None or moment > self.path.points[0].at)
            self.now = moment
            if self.path is not None:
                self.reference = self.path.point(moment).price
                if moment > self.path.points[0].at:  # at the open the last price is the one before it
                    self.last = self.reference
            for at, request in arrivals:
                if at == moment:
                    self.meet_request(request)
            for order in self.line:
                self.since.setdefault(order, moment)

    def open_bar(self, bar: dict[str, Any], at: Fraction) -> None:
        """What was carried here comes first; then the gap: resting orders it passed, then stops."""
        prices = [Fraction(bar[word]) for word in ("open", "high", "low", "close")]
        self.claims, self.taken, self.now, self.reference = [], ZERO, at, prices[0]
        self.volume = Fraction(bar["volume"])
        waiting, self.carried = self.carried, []
        self.is_open = True
        for order in waiting:
            if not order.over:
                self.enter(order)
        vertices = order_of_vertices(self.models.path, prices, self.position())
        self.path = Path(at, Fraction(bar["interval_ms"]), vertices)
        self.since = dict.fromkeys(self.line, at)
        self.walk_until(at, including=True)

    def walk_until(self, end: Fraction, *, including: bool) -> None:
        """Everything the path does to our orders up to a moment: fills first, then stops (F0)."""
        while self.path is not None:
            due = [(stretch.begin.at, 0, order, stretch) for order, stretch in self.next_stretches()]
            due += [(at, 1, order, None) for order, at in self.next_calls()]
            due = [one for one in due if one[0] < end or (one[0] == end and including)]
            if not due:
                return
            at, _, order, stretch = min(due, key=lambda one: (one[0], one[1]))
            self.now = at
            if stretch is not None:
                self.share(order, stretch)
            else:
                self.reference = self.path.point(at).price
                self.since[order] = at
                self.fire(order)

    def next_stretches(self) -> list[tuple[Order, Stretch]]:
        found = []
        for side in (1, -1):
            for order in self.resting(side):
                found += [(order, one) for one in self.path.through(side, order.price, self.since[order])[:1]]
        return found

    def next_calls(self) -> list[tuple[Order, Fraction]]:
        found = []
        for order in self.line:
            if order.state == "waiting":
                point = self.path.reaches(order.trigger, rises=order.called_by_rise, since=self.since[order])
                found += [] if point is None else [(order, point.at)]
        return found

    def position(self) -> Fraction:
        return self.held_before + sum((order.side * order.filled for order in self.orders.values()), ZERO)

    # --- resting orders ---------------------------------------------------------------------------------------------

    def share(self, order: Order, stretch: Stretch) -> None:
        """floor_s(min(leaves, rho*V*len/P)) at p; what another order of ours had of the stretch is gone."""
        self.since[order] = stretch.end.at
        per_length = self.models.participation * self.volume / self.path.length
        free = self.free_parts(stretch)
        length = sum((end - begin for begin, end in free), ZERO)
        qty = self.fill(order, order.price, per_length * length, "bar")
        left = qty / per_length if qty else ZERO
        for begin, end in free:
            part = min(left, end - begin)
            self.claims.append((begin, begin + part))
            left -= part

    def free_parts(self, stretch: Stretch) -> list[tuple[Fraction, Fraction]]:
        """The parts of a stretch that nobody of ours has claimed, in path order."""
        parts = [(stretch.begin.gone, stretch.end.gone)]
        for begin, end in self.claims:
            cut = [(low, min(high, begin)) for low, high in parts] + [(max(low, end), high) for low, high in parts]
            parts = sorted((low, high) for low, high in cut if low < high)
        return parts

    def rest(self, order: Order) -> None:
        order.state = "resting"
        self.since[order] = self.now

    # --- takers -----------------------------------------------------------------------------------------------------

    def price(self, order: Order, qty: Fraction) -> Fraction:
        """F10 and F11 for so much; without a quantity the half spread alone."""
        share = 0.0
        if self.models.half_spread is not None:
            share = max(float(self.models.tick / (2 * self.reference)), self.models.half_spread)
        if self.models.impact is not None:
            share += self.models.impact.cost(order.side, qty, self.now)
        return taker_price(self.reference, order.side, share, self.models.tick)

    def would_take(self, order: Order) -> bool:
        return self.is_open and order.reaches(self.price(order, ZERO))

    def walk(self, taker: Order) -> None:
        """A taker's part of the bar's cap at one price; a limit that this price violates takes nothing."""
        if not self.is_open:
            return
        qty = taker.leaves
        if self.models.market_participation:
            left = self.models.market_participation * self.volume - self.taken
            qty = math.floor(min(qty, left) / self.step) * self.step
        if qty <= 0:
            return
        price = self.price(taker, qty)
        if taker.reaches(price):
            self.fill(taker, price, qty, "bar", liquidity="taker")
            self.taken += qty
            if self.models.impact is not None:
                self.models.impact.filled[taker.side].append((self.now, qty))

    def enter(self, order: Order) -> None:
        """Anew after an amend: it may have waited for an open that it no longer waits for."""
        if order in self.carried:
            self.carried.remove(order)
        super().enter(order)

    def leave(self, order: Order) -> None:
        """The rest of a market order is carried to the next open, or expires.

        A limit order that would take at the last price waits for the open as a taker where there is no market.
        """
        if order.tif == "market" and self.models.remainder == "carry":
            self.carried.append(order)
            return
        super().leave(order)
        if not order.over and not self.is_open and not order.post_only and self.last is not None:
            self.reference = self.last
            if order.reaches(self.price(order, ZERO)):
                self.carried.append(order)
