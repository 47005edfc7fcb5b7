"""The geometry of F8: one bar as a path of three straight legs, in exact integers.

Prices are int mantissas of one scale, times int nanoseconds, `u` is the path length walked so far (same unit as price).
Where an order arrives in the middle of a leg a price is a `Fraction`; everything else stays an int. A third of an
interval may be no whole nanosecond: a vertex then counts as reached at the one before, the legs are exact.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

Exact = int | Fraction


class Segment(NamedTuple):
    """A contiguous stretch of the path strictly through a price."""

    at: int
    """When it begins, nanoseconds."""
    begin: Exact
    end: Exact
    """Path length walked at its two ends."""


class BarPath:
    """Four vertices at t0, t0 + d/3, t0 + 2d/3, t0 + d."""

    __slots__ = ("flat", "length", "prices", "times", "walked")

    def __init__(self, prices: tuple[int, int, int, int], open_time: int, interval_ns: int) -> None:
        self.prices = prices
        self.times = (
            open_time,
            open_time + interval_ns // 3,
            open_time + 2 * interval_ns // 3,
            open_time + interval_ns,
        )
        a, b, c, d = prices
        first, second, third = abs(b - a), abs(c - b), abs(d - c)
        self.walked = (0, first, first + second, first + second + third)
        self.length = self.walked[3]
        self.flat = self.length == 0

    def price_at(self, at: int) -> Exact:
        """Price at a time within the bar."""
        times, prices = self.times, self.prices
        for leg in range(3):
            if at <= times[leg + 1]:
                if at == times[leg]:
                    return prices[leg]
                rise = prices[leg + 1] - prices[leg]
                if not rise:
                    return prices[leg]
                interval = times[3] - times[0]
                return prices[leg] + Fraction(rise * (3 * (at - times[0]) - leg * interval), interval)
        return prices[3]

    def through(self, limit: int, sign: int, since: int) -> list[Segment]:
        """Stretches strictly below `limit` (sign 1, a buyer's) or above (sign -1, a seller's), from `since` on.

        A bar without any path has its whole volume at its one price: a segment of length 1 where that is through.
        """
        bound = sign * limit
        if self.flat:
            return [Segment(since, 0, 1)] if sign * self.prices[0] < bound else []
        segments: list[Segment] = []
        begin: Exact | None = None
        start = 0
        for leg in range(3):
            t0, t1 = self.times[leg], self.times[leg + 1]
            if since >= t1 and since > t0:
                continue
            a: Exact = self.prices[leg]
            b = self.prices[leg + 1]
            u: Exact = self.walked[leg]
            if since > t0:
                a = self.price_at(since)
                walked = a - self.prices[leg]
                u = u + (walked if walked >= 0 else -walked)
                t0 = since
            x, y = sign * a, sign * b
            if x < bound and begin is None:
                begin, start = u, t0
            if x >= bound > y:
                begin = u + (x - bound)
                start = self.crossing(leg, limit)
            elif begin is not None and x < bound <= y:
                segments.append(Segment(start, begin, u + (bound - x)))
                begin = None
        if begin is not None:
            segments.append(Segment(start, begin, self.length))
        return [s for s in segments if s.end > s.begin]

    def first_touch(self, trigger: Exact, sign: int, since: int) -> int | None:
        """When the path first is at or above `trigger` (sign 1, rise) or at or below it (sign -1, fall)."""
        bound = sign * trigger
        if sign * self.price_at(since) >= bound:
            return since
        for leg in range(3):
            if since < self.times[leg + 1] and sign * self.prices[leg + 1] >= bound:
                return max(since, self.crossing(leg, trigger))
        return None

    def crossing(self, leg: int, price: Exact) -> int:
        """When a leg crosses a price, truncated to whole nanoseconds once: not at the vertex before it as well."""
        a, rise = self.prices[leg], self.prices[leg + 1] - self.prices[leg]
        opened, interval = self.times[0], self.times[3] - self.times[0]
        return opened + (leg * rise + price - a) * interval // (3 * rise)
