"""F3 and F4 of the fill contract: what is displayed, what of it is used up, and how a place in a queue moves.

Fractions throughout: no rounding but where the contract floors to the step.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

from oracles.order import ZERO, Order


@dataclass
class Level:
    """One price of one side: displayed, `used` of F3 as it was then, and T of F4 as of its last print; times in ms."""

    displayed: Fraction = ZERO
    used: Fraction = ZERO
    used_at: Fraction = ZERO
    credit: Fraction = ZERO
    printed_at: Fraction = ZERO

    def credit_at(self, at: Fraction, life: Fraction) -> Fraction:
        """F4: T expires after its life."""
        return self.credit if at - self.printed_at <= life else ZERO


class Book:
    """The levels of both sides: side +1 are the bids, -1 the asks."""

    def __init__(self, queue: str, n: int, credit_ms: Fraction, half_life_ms: Fraction | None = None) -> None:
        self.queue, self.n, self.credit_ms, self.half_life_ms = queue, n, credit_ms, half_life_ms
        self.levels: dict[int, dict[Fraction, Level]] = {1: defaultdict(Level), -1: defaultdict(Level)}

    def level(self, side: int, price: Fraction) -> Level:
        """That price as it is; one that is not displayed is empty, and what is done to it is forgotten."""
        found = self.levels[side].get(price)
        return found if found is not None else Level()

    def prices(self, side: int) -> list[Fraction]:
        """Best first."""
        return sorted(self.levels[side], key=lambda price: -side * price)

    def used(self, level: Level, at: Fraction) -> Fraction:
        """F3: used *= 2^(-dt/h), where liquidity comes back."""
        if self.half_life_ms is None:
            return level.used
        lives = (at - level.used_at) / self.half_life_ms
        return level.used * (Fraction(1, 2) ** int(lives) if lives.denominator == 1 else Fraction(2 ** -float(lives)))

    def available(self, level: Level, at: Fraction) -> Fraction:
        return level.displayed - self.used(level, at)

    def use(self, level: Level, qty: Fraction, at: Fraction) -> None:
        """F3: a fill, or a public print, adds to used, capped at what is displayed."""
        level.used = min(level.displayed, self.used(level, at) + qty)
        level.used_at = at

    def print(self, side: int, price: Fraction, qty: Fraction, at: Fraction) -> None:
        """F3 and F4: a print of `qty` that hit this side at this price."""
        level = self.level(side, price)
        self.use(level, qty, at)
        level.credit = level.credit_at(at, self.credit_ms) + qty
        level.printed_at = at

    def update(self, side: int, price: Fraction, qty: Fraction, at: Fraction, queue: list[Order]) -> None:
        """F3 and F4: the level now displays `qty`; `queue` are our orders there."""
        level = self.levels[side][price]
        decrease = max(ZERO, level.displayed - qty)
        traded = min(level.credit_at(at, self.credit_ms), decrease)
        for order in queue:
            if order.ahead is not None:
                order.ahead = self.moved(order.ahead, level.displayed, qty, traded)
        level.credit = level.credit_at(at, self.credit_ms) - traded
        level.used, level.used_at = min(qty, max(ZERO, self.used(level, at) - decrease)), at
        level.displayed = qty
        if qty == 0:
            del self.levels[side][price]

    def replace(self, side: int, price: Fraction, qty: Fraction) -> None:
        """F7: this one level is all that is known of a side."""
        self.levels[side].clear()
        self.levels[side][price].displayed = qty

    def moved(self, ahead: Fraction, before: Fraction, now: Fraction, traded: Fraction) -> Fraction:
        """A' of F4, where a level went from `before` to `now` and prints explain `traded` of it."""
        canceled = before - now - traded
        if canceled <= 0 or self.queue in ("risk_averse", "none"):
            return min(ahead, now)
        behind = max(ZERO, before - traded - ahead)
        share = self.share_behind(ahead, behind)
        moved = ahead - (1 - share) * canceled + min(behind - share * canceled, ZERO)
        return min(max(moved, ZERO), now)

    def share_behind(self, ahead: Fraction, behind: Fraction) -> Fraction:
        """P of F4: the share of cancels that happened behind us."""
        if ahead == 0:
            return Fraction(1)
        a, b, n = ahead, behind, self.n
        if self.queue == "power":
            return b**n / (b**n + a**n)
        if self.queue == "power2":
            return b**n / (a + b) ** n
        if self.queue == "power3":
            return 1 - (a / (a + b)) ** n
        if self.queue == "log":
            return Fraction(math.log1p(b) / (math.log1p(b) + math.log1p(a)))
        return Fraction(math.log1p(b) / math.log1p(a + b))
