"""A position as the venue holds it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_UP, Decimal

import msgspec

from core.events import PositionSide
from core.exact import EIGHT_DECIMALS, MATH, ZERO
from core.instruments import Instrument

PositionKey = tuple[str, PositionSide]
MarkOf = Callable[[str], Decimal | None]
"""A symbol to its mark price now; None where none is known."""


class VenuePosition(msgspec.Struct):
    """One side of one symbol."""

    instrument: Instrument
    side: PositionSide
    leverage: Decimal
    qty: Decimal = ZERO
    """Signed, base units."""
    value: Decimal = ZERO
    """Signed entry value: what the position cost."""
    margin: Decimal = ZERO
    """Initial margin that came in with its openings; isolated, it is all that stands behind the position."""

    @property
    def entry_price(self) -> Decimal | None:
        return MATH.divide(self.value, self.qty) if self.qty else None

    def unrealized(self, mark: Decimal) -> Decimal:
        return MATH.subtract(MATH.multiply(self.qty, mark), self.value)

    def margin_at(self, mark: Decimal) -> Decimal:
        """Initial margin at a mark: what a position of a cross wallet binds."""
        return locked(MATH.multiply(abs(self.qty), mark), self.leverage)


def locked(notional: Decimal, leverage: Decimal) -> Decimal:
    """notional / leverage to 8 decimals, rounded away from us."""
    return MATH.divide(notional, leverage).quantize(EIGHT_DECIMALS, ROUND_UP, MATH)
