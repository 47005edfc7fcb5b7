"""Trailing stops where the venue has none: a stop of its own that is moved as the price goes.

The stop rests at the venue, so it fires without us; what is ours is the moving, and that is as fine as the prices we
hear: one a bar where only bars are heard. It is moved by at least a tenth of its distance, as each move costs a cancel
and an order. Only for reduce-only orders: the old and the new stop may meet at the venue, and both could fill.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from core.events import OrderRejected
from core.exact import MATH
from core.order_kinds.emulation import emulated
from core.orders import Order, OrderTerms
from core.portfolio import Portfolio
from core.proposals import Proposals

BPS = Decimal(10_000)
STEPS = Decimal(10)
"""A stop is moved when that gains the distance divided by this. A guess: small beside what a trailing stop gives up."""


class TrailingStop(msgspec.Struct):
    """A stop at the venue, and the best price it has seen."""

    order: Order
    terms: OrderTerms
    """As they were wished, with the distance."""
    best: Decimal

    @property
    def distance(self) -> Decimal:
        """Quote units, at the best price."""
        terms = self.terms
        if terms.trail_distance is not None:
            return terms.trail_distance
        assert terms.trail_bps is not None
        return MATH.divide(MATH.multiply(self.best, terms.trail_bps), BPS)


class TrailingOrders:
    """The stops that are moved, by the id of the order that is at the venue."""

    def __init__(self, proposals: Proposals, portfolio: Portfolio) -> None:
        self._proposals = proposals
        self._portfolio = portfolio
        self._stops: dict[str, TrailingStop] = {}

    @property
    def moving(self) -> bool:
        """Whether prices matter."""
        return bool(self._stops)

    def place(self, ts: int, terms: OrderTerms, trouble: str | None, *, reduces: bool) -> Order:
        """Propose the first stop."""
        price = self._portfolio.mark(terms.venue, terms.symbol)
        if trouble is None and not reduces:
            trouble = f"{terms.venue} has no such trailing stop, and one that we move must be `reduce_only`"
        if trouble is None and terms.activation_price is not None:
            trouble = f"{terms.venue} has no such trailing stop: place it when the price is there, without activation"
        if trouble is None and price is None:
            trouble = f"no price of {terms.symbol} is known yet that a trailing stop could follow"
        if trouble is not None or price is None:
            return self._proposals.place(ts, terms, trouble)
        stop = TrailingStop(Order.of(terms, ts), terms, price)
        first = msgspec.structs.replace(
            terms,
            type="stop_market",
            trigger_price=self._level(stop),
            trail_bps=None,
            trail_distance=None,
            emulated=emulated(terms, "trailing"),
        )
        stop.order = self._proposals.reduce(ts, first)
        self._stops[first.id] = stop
        return stop.order

    def on_price(self, ts: int, venue: str, symbol: str) -> list[tuple[Order, Order]]:
        """Our last known price of a market may have changed; returns (old, new) of the stops that were moved."""
        moved = []
        for stop in list(self._stops.values()):
            order, terms = stop.order, stop.terms
            if (terms.venue, terms.symbol) != (venue, symbol) or order.pending_cancel or not order.waits_for_trigger:
                continue
            price = self._portfolio.mark(venue, symbol)
            sign = 1 if terms.side == "sell" else -1
            if price is None or sign * (price - stop.best) <= 0:
                continue
            stop.best = price
            level, before = self._level(stop), order.terms.trigger_price
            assert before is not None, "a stop has a trigger"
            if sign * (level - before) * STEPS >= stop.distance:
                root = order.terms.parent or order.terms.id
                moved.append((order, self._proposals.stand_in(ts, order, trigger_price=level, parent=root)))
        return moved

    def stands_in(self, old: Order, new: Order) -> None:
        """Another order took the place of a stop."""
        stop = self._stops.pop(old.terms.id, None)
        if stop is not None:
            stop.order = new
            self._stops[new.terms.id] = stop

    def on_rejected(self, event: OrderRejected, order: Order) -> None:
        """The price came back before a moved stop arrived: the position goes at the market."""
        stop = self._stops.get(event.order_id)
        if stop is not None and event.reason.startswith("trigger") and order.terms.parent is not None:
            self._proposals.exit(event.ts, order)

    def on_end(self, order_id: str) -> None:
        """A stop is over."""
        self._stops.pop(order_id, None)

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """By the id of the order that is at the venue: what was wished, and the best price it has seen."""
        return {order_id: {"terms": stop.terms, "best": stop.best} for order_id, stop in self._stops.items()}

    def _level(self, stop: TrailingStop) -> Decimal:
        sign = 1 if stop.terms.side == "sell" else -1
        instrument = self._proposals.instruments[stop.terms.venue, stop.terms.symbol]
        return instrument.price_nearest(float(stop.best - sign * stop.distance))
