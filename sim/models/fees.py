"""Maker and taker fees: a fraction of notional, in the asset the venue takes it in (venues.md section 7)."""

from __future__ import annotations

from collections.abc import Iterator
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
    pay_in: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Asset that fees are paid in instead: notional x rate x (1 - discount) / pay_price. Rebates are paid as usual.

    Where the account is known to hold too little of it, the whole fee is taken as usual, as the venue does. Assumes:
    its price stands still. Source: venues.md section 7.
    """
    discount: Annotated[Decimal, msgspec.Meta(ge=0, le=1)] = Decimal("0.25")
    """Fraction off where `pay_in` is given; Binance: 0.25 on spot, 0.1 on USD-M."""
    pay_price: Annotated[Decimal, msgspec.Meta(gt=0)] | None = None
    """Quote units per unit of `pay_in`."""

    def check(self) -> Iterator[tuple[str, str]]:
        if self.pay_in is not None and self.pay_price is None:
            yield "pay_price", f"missing: expected the price of one {self.pay_in} in quote units"
        if self.pay_in is None and self.pay_price is not None:
            yield "pay_price", "belongs to `pay_in`, the asset it is the price of"
