"""Orders that wait for a mark or an index price (F12): pulled by that price, never by what their market trades at.

The prices are the venue's own tracks, so the moment is known before it comes: `next_at`. What the order then does is
the exchange's business.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from core.moments import INF
from sim.bars.trailing import Trail
from sim.ledger.settlement import Settlement
from sim.marks.mark_path import NEVER, PriceTrack, Reached
from sim.venue_order import VenueOrder


class Waiting(NamedTuple):
    """An order, and when it may fire; not `found`: not before then."""

    order: VenueOrder
    plan: Reached
    since: int
    """Prices up to here were looked at."""
    trail: Trail | None = None
    """What a trailing stop has seen by then; None before the first look."""


class MarkTriggers:
    """The waiting orders of one venue, in order of arrival. Those that are over are forgotten when somebody asks."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []

    def add(self, order: VenueOrder, at: int) -> None:
        """An order begins to wait at engine time `at`."""
        self.waiting.append(Waiting(order, Reached(at, False), at))

    def next_at(self, prices: Settlement | None) -> int:
        """Engine time at which the first of them fires, or must be looked at again; INF without one."""
        if not self.waiting:
            return INF
        self.waiting = [
            waiting if waiting.plan.found else _planned(waiting, prices)
            for waiting in self.waiting
            if waiting.order.is_open and waiting.order.waits_for_trigger
        ]
        return min((waiting.plan.at for waiting in self.waiting), default=INF)

    def due(self, prices: Settlement | None, at: int) -> list[VenueOrder]:
        """Those that fire by `at`."""
        if self.next_at(prices) > at:
            return []
        fired = [waiting for waiting in self.waiting if waiting.plan.found and waiting.plan.at <= at]
        self.waiting = [waiting for waiting in self.waiting if waiting not in fired]
        return [waiting.order for waiting in fired]


def _planned(waiting: Waiting, prices: Settlement | None) -> Waiting:
    """Looked at again from where the last look ended; a track that had no more rows may have some by now."""
    order, _, since, trail = waiting
    terms = order.terms
    track = None if prices is None else prices.track(terms.symbol, terms.trigger_by)
    if track is None:
        return waiting._replace(plan=NEVER)
    if terms.trigger_price is not None:
        plan = track.reaches(terms.trigger_price, order.trigger_sign, since)
        return Waiting(order, plan, since if plan == NEVER else plan.at)
    if trail is None:
        trail = _fresh(order, track, since)
    trail, plan, since, price = track.trails(trail, since)
    if price is not None:
        order.pulled_at = track.decimal(price)
    return Waiting(order, plan, since, trail)


def _fresh(order: VenueOrder, track: PriceTrack, at: int) -> Trail:
    """A trailing stop that has seen the price of its arrival alone, in the track's unit."""
    terms, unit = order.terms, Fraction(10**track.scale)

    def mantissa(price: Decimal | None) -> Fraction:
        return Fraction(0 if price is None else price) * unit

    trail = Trail(order.trigger_sign, mantissa(terms.activation_price), mantissa(terms.trail_distance), order.trail_ppm)
    price = track.at(at)
    return trail if price is None else trail.see(price)
