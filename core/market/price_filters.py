"""Filters that are fractions of a reference price: how far from it an order may be written, or may trade.

Every value multiplies a price that the venue knows at the moment of the order (mark, reference, last): venues.md
section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import msgspec

from core.events import Side

Positive = Annotated[Decimal, msgspec.Meta(gt=0)]
NotNegative = Annotated[Decimal, msgspec.Meta(ge=0)]
Multipliers = tuple[Decimal | None, Decimal | None]
"""(down, up); None is a side that is not bound."""


class PercentPrice(msgspec.Struct, frozen=True, kw_only=True):
    """PERCENT_PRICE: multipliers of the reference price, `{up, down}` or one pair per side of the order."""

    up: Positive | None = None
    down: NotNegative | None = None
    bid_up: Positive | None = None
    bid_down: NotNegative | None = None
    ask_up: Positive | None = None
    ask_down: NotNegative | None = None

    def multipliers(self, side: Side, *, one_sided: bool) -> Multipliers:
        """Where an order of this side may be priced. `one_sided`: a buyer has only a ceiling, a seller a floor."""
        if self.bid_up is not None:
            return (self.bid_down, self.bid_up) if side == "buy" else (self.ask_down, self.ask_up)
        if one_sided:
            return (None, self.up) if side == "buy" else (self.down, None)
        return self.down, self.up

    def check(self) -> Iterator[tuple[str, str]]:
        both = {"up", "down"}
        sided = {"bid_up", "bid_down", "ask_up", "ask_down"}
        given = {key for key in both | sided if getattr(self, key) is not None}
        if given not in (both, sided):
            yield "", "expected `up` and `down`, or `bid_up`, `bid_down`, `ask_up` and `ask_down`"
            return
        for side in ("", "bid_", "ask_"):
            up, down = getattr(self, f"{side}up"), getattr(self, f"{side}down")
            if up is not None and up < down:
                yield f"{side}up", f"{up} is below `{side}down` {down}: no price would pass"


class PriceRange(msgspec.Struct, frozen=True, kw_only=True):
    """Spot's execution rule: a fill outside reference x [down, up] ends the taker."""

    up: Positive
    down: NotNegative


class PriceLimit(msgspec.Struct, frozen=True, kw_only=True):
    """Bybit's two price limit ratios X and Y, fractions."""

    x: NotNegative
    y: NotNegative
