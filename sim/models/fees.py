"""Maker and taker fees: a fraction of notional, in the asset the venue takes it in (venues.md section 7)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

Rate = Annotated[Decimal, msgspec.Meta(ge=-0.01, le=0.1)]


class FeeModel(msgspec.Struct, frozen=True):
    """Fee = notional x rate, quantized to 8 decimals towards zero. Negative rates are rebates.

    None takes the venue's base tier from its stored rules. Assumes: the tier does not change during the run.
    """

    maker: Rate | None = None
    taker: Rate | None = None
