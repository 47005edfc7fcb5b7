"""Whose part of a venue's position is whose: several strategies on one account, netted by the venue.

A share is what a strategy's own fills add up to. Shares sum to the venue's position; what nobody bought (a position
from before time begins) belongs to the owner named when it was opened, or to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from core.exact import EIGHT_DECIMALS, MATH, ZERO
from sim.ledger.venue_position import PositionKey

Owner = tuple[str, str]
"""(strategy, session)"""
NOBODY: Owner = ("", "main")


class Shares:
    """Signed quantity per position and owner."""

    def __init__(self) -> None:
        self._held: dict[PositionKey, dict[Owner, Decimal]] = {}

    def add(self, key: PositionKey, owner: Owner, qty: Decimal) -> None:
        """A fill of `qty` (signed), or a position of before time begins."""
        owners = self._held.get(key)
        if owners is None:
            owners = self._held[key] = {}
        left = owners.get(owner, ZERO) + qty
        if left:
            owners[owner] = left
        else:
            owners.pop(owner, None)

    def of(self, key: PositionKey, held: Decimal) -> list[tuple[Owner, Decimal]]:
        """Owners and their signed shares of a position of `held`, in the order in which they came."""
        found = list(self._held.get(key, {}).items())
        rest = held - sum((qty for _, qty in found), ZERO)
        return [*found, (NOBODY, rest)] if rest else found

    def take(self, key: PositionKey, held: Decimal, closing: Decimal) -> list[tuple[Owner, Decimal]]:
        """The venue closes `closing` (signed against `held`): who loses how much, signed like `closing`.

        All of it ends every share, those against the net too. A part is taken from the shares on the position's side
        in the order in which they came, so that no share grows by it.
        """
        shares = self.of(key, held)
        if closing == -held:
            self._held.pop(key, None)
            return [(owner, -qty) for owner, qty in shares]
        taken = []
        left = closing
        for owner, qty in shares:
            if left and (qty > 0) == (held > 0):
                part = -min(abs(qty), abs(left)).copy_sign(qty)
                taken.append((owner, part))
                left -= part
                if owner != NOBODY:
                    self.add(key, owner, part)
        return taken


def split(whole: Decimal, weights: Sequence[Decimal], total: Decimal) -> list[Decimal]:
    """`whole` in proportion to weights that sum to `total`, 8 decimals each; the last part takes the rest."""
    if len(weights) < 2 or not total:
        return [whole] * len(weights[:1]) + [ZERO] * len(weights[1:])
    parts = [
        MATH.divide(MATH.multiply(whole, weight), total).quantize(EIGHT_DECIMALS, ROUND_HALF_EVEN, MATH)
        for weight in weights[:-1]
    ]
    return [*parts, MATH.subtract(whole, sum(parts, ZERO))]
