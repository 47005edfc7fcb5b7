"""A trailing stop along the path of a bar (F8, F12): it follows the best price since it became active, and fires at a
distance from that. On prints `sim.books.kernel` does the same, price by price; `sim.marks.mark_path` on marks and
indices.

Prices are exact mantissas of one scale; `sign` is 1 for a purchase, which waits for a rise from the lowest price.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from sim.bars.bar_path import BarPath, Exact

MILLION = 1_000_000


class Trail(NamedTuple):
    """How far a stop follows the price, and what it has seen."""

    sign: int
    activation: Exact
    """It follows from here on; 0 at once."""
    distance: Exact
    ppm: int
    """Distance as millionths of the best price; 0 where `distance` says it."""
    best: Exact | None = None
    """Best price since it became active; None before."""

    def see(self, price: Exact) -> Trail:
        """With a price that did not fire it."""
        if self.best is None and self.activation and self.sign * price > self.sign * self.activation:
            return self
        if self.best is None or self.sign * price < self.sign * self.best:
            return self._replace(best=price)
        return self

    @property
    def level(self) -> Exact | None:
        """The price that fires it; None while it is not active."""
        if self.best is None:
            return None
        distance: Exact = self.distance or Fraction(self.best * self.ppm, MILLION)
        return self.best + self.sign * distance


class Pulled(NamedTuple):
    """When a path fires the stop, and the price there."""

    at: int
    price: Exact


def follow(trail: Trail, path: BarPath, since: int) -> tuple[Trail, Pulled | None]:
    """The stop after the path from `since` on, and what fired it: the price there, or the crossing of its level."""
    sign, start = trail.sign, path.price_at(since)
    if trail.level is not None and sign * start >= sign * trail.level:
        return trail, Pulled(since, start)
    trail = trail.see(start)
    for leg in range(3):
        if since >= path.times[leg + 1]:
            continue
        end, level = path.prices[leg + 1], trail.level
        if level is not None and sign * end >= sign * level:
            return trail, Pulled(max(since, path.crossing(leg, level)), level)
        trail = trail.see(end)
    return trail, None


def until(trail: Trail, path: BarPath, since: int, end: int) -> Trail:
    """The stop after a stretch of the path that did not fire it: what it has seen of a bar when it is planned anew."""
    if end <= since:
        return trail
    trail = trail.see(path.price_at(since))
    for at, price in zip(path.times, path.prices, strict=True):
        if since < at <= end:
            trail = trail.see(price)
    return trail.see(path.price_at(end))
