"""Half the spread a taker pays where the data shows no quotes (F10)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

BasisPoints = Annotated[Decimal, msgspec.Meta(ge=0, le=10_000)]


class NoSpread(msgspec.Struct, frozen=True, tag_field="kind", tag="none"):
    """h = 0 exactly. Assumes: you trade at mid. Fails when: always; for comparisons with engines that do the same."""

    def half(self, price: float, tick: float) -> float:
        return 0.0

    def sentence(self) -> str:
        return "spread: none, takers trade at the path's own price"


class FixedSpread(msgspec.Struct, frozen=True, tag_field="kind", tag="fixed"):
    """h = max(tick / (2 x price), half_bps x 1e-4), fraction of price. Only without quotes or depth.

    Assumes: the spread does not widen. Fails when: news; in a fast market the true spread is many times wider.
    Source: F10.
    """

    half_bps: BasisPoints = Decimal("0.5")

    def half(self, price: float, tick: float) -> float:
        """Half the spread at this price, fraction of price."""
        return max(tick / (2.0 * price), float(self.half_bps) * 1e-4)

    def sentence(self) -> str:
        return f"spread: half {self.half_bps:f} bp of the price, at least half a tick"


SpreadModel = NoSpread | FixedSpread
