"""F10 and F11 of the fill contract: what a taker pays where no depth is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

DAY_MS = 86_400_000


@dataclass
class Bar:
    """One bar that is over."""

    opened: Fraction
    closed: Fraction
    close: Fraction
    volume: Fraction


@dataclass
class Impact:
    """The square-root law with memory; volatility and volume of the trailing day where none are given."""

    coefficient: float
    sigma: float | None
    volume: float | None
    half_life_ms: Fraction
    past: list[Bar] = field(default_factory=list)
    filled: dict[int, list[tuple[Fraction, Fraction]]] = field(default_factory=lambda: {1: [], -1: []})
    """(time, quantity) of what takers had, by side."""

    def cost(self, side: int, qty: Fraction, at: Fraction) -> float:
        """[G(Qe+q)-G(Qe)]/q, a fraction of the price."""
        sigma, volume = self.day(at)
        if not sigma or not volume or not qty:
            return 0.0
        known = sum(float(past) * 2 ** -float((at - then) / self.half_life_ms) for then, past in self.filled[side])

        def g(x: float) -> float:
            return 2 / 3 * self.coefficient * sigma * volume**-0.5 * x**1.5

        return (g(known + float(qty)) - g(known)) / float(qty)

    def day(self, at: Fraction) -> tuple[float, float]:
        """sigma_D and V_D: given, or of the bars of the trailing day that are over, scaled up where less is known."""
        bars = [bar for bar in self.past if bar.closed <= at and bar.opened >= at - DAY_MS]
        if self.sigma is not None and self.volume is not None:
            return self.sigma, self.volume
        if not bars:
            return 0.0, 0.0
        scale = DAY_MS / float(bars[-1].closed - bars[0].opened)
        returns = [math.log(b.close / a.close) for a, b in pairwise(bars)]
        variance = sum(value**2 for value in returns) * scale
        volume = float(sum(bar.volume for bar in bars)) * scale
        return self.sigma or math.sqrt(variance), self.volume or volume


def taker_price(reference: Fraction, side: int, share: float, tick: Fraction) -> Fraction:
    """F8: ref*(1+side*(h+imp)), rounded to the tick away from us; within 1e-9 tick of the grid is on it."""
    ticks = reference * (1 + side * Fraction(share)) / tick
    on_grid = round(ticks)
    if abs(ticks - on_grid) > Fraction(1, 10**9):
        on_grid = math.ceil(ticks) if side > 0 else math.floor(ticks)
    return on_grid * tick
