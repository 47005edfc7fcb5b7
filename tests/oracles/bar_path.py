"""F8 of the fill contract: the path through one bar, where it is strictly through a price, and when it reaches one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from oracles.order import ZERO


@dataclass(frozen=True)
class Point:
    """Time (ms), price, and how far the path has come."""

    at: Fraction
    price: Fraction
    gone: Fraction


@dataclass(frozen=True)
class Stretch:
    """A part of the path that is through a price, from end to end."""

    begin: Point
    end: Point


def order_of_vertices(kind: str, prices: list[Fraction], position: Fraction) -> list[Fraction]:
    """F8: |H-O| < |O-L| -> O,H,L,C; > -> O,L,H,C; equal -> O,L,H,C if C>=O else O,H,L,C. `worst`: what hurts first."""
    open_, high, low, close = prices
    up, down = high - open_, open_ - low
    low_first = up > down or (up == down and close >= open_)
    if kind == "worst" and position:
        low_first = position > 0
    elif kind.startswith("fixed"):
        low_first = kind == "fixed_olhc"
    return [open_, low, high, close] if low_first else [open_, high, low, close]


class Path:
    """Vertices at t0, t0+d/3, t0+2d/3, t0+d; the price is linear in time on each leg."""

    def __init__(self, at: Fraction, interval: Fraction, vertices: list[Fraction]) -> None:
        self.points = [Point(at, vertices[0], ZERO)]
        for number, price in enumerate(vertices[1:], 1):
            gone = self.points[-1].gone + abs(price - vertices[number - 1])
            self.points.append(Point(at + number * interval / 3, price, gone))
        self.flat = self.points[-1].gone == 0

    @property
    def length(self) -> Fraction:
        """A bar without any path has its whole volume at its one price, as one piece."""
        return Fraction(1) if self.flat else self.points[-1].gone

    def legs(self) -> list[tuple[Point, Point]]:
        return list(pairwise(self.points))

    def point(self, at: Fraction) -> Point:
        for begin, end in self.legs():
            if begin.at <= at <= end.at:
                return between(begin, end, (at - begin.at) / (end.at - begin.at))
        raise AssertionError(f"{at} is not within the bar")

    def reaches(self, price: Fraction, *, rises: bool, since: Fraction) -> Point | None:
        """Where the path first is at the price or beyond it."""
        sign = 1 if rises else -1
        for begin, end in self.legs_since(since):
            if sign * (begin.price - price) >= 0:
                return begin
            if sign * (end.price - price) >= 0:
                return crossing(begin, end, price)
        return None

    def through(self, side: int, price: Fraction, since: Fraction) -> list[Stretch]:
        """F8: the contiguous stretches, after `since`, strictly through the limit price of an order of this side."""
        found: list[Stretch] = []
        for begin, end in self.legs_since(since):
            if begin.at == end.at:
                continue
            depths = [side * (price - begin.price), side * (price - end.price)]
            if max(depths) <= 0:
                continue
            first = begin if depths[0] >= 0 else crossing(begin, end, price)
            last = end if depths[1] >= 0 else crossing(begin, end, price)
            if found and found[-1].end == first and depths[0] > 0:
                found[-1] = Stretch(found[-1].begin, last)
            else:
                found.append(Stretch(first, last))
        if self.flat and found:
            return [Stretch(found[0].begin, Point(found[0].end.at, found[0].end.price, Fraction(1)))]
        return found

    def legs_since(self, since: Fraction) -> list[tuple[Point, Point]]:
        return [(self.point(max(since, begin.at)), end) for begin, end in self.legs() if end.at >= since]


def between(begin: Point, end: Point, share: Fraction) -> Point:
    return Point(
        begin.at + share * (end.at - begin.at),
        begin.price + share * (end.price - begin.price),
        begin.gone + share * (end.gone - begin.gone),
    )


def crossing(begin: Point, end: Point, price: Fraction) -> Point:
    return between(begin, end, (price - begin.price) / (end.price - begin.price))
