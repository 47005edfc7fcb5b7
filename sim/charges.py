"""What a fill costs: the venue's fee, in the asset the venue takes it in (venues.md section 7)."""

from __future__ import annotations

from decimal import ROUND_DOWN, Context, Decimal
from typing import Literal

from core.events import Liquidity
from core.instruments import Instrument
from sim.account import VenueAccount
from sim.models.fees import FeeModel
from sim.venue_order import VenueOrder

EIGHT = Decimal("1e-8")
MATH = Context(prec=34)


def fee_of(
    instrument: Instrument,
    paid: FeeModel,
    fee_in: Literal["quote", "received"],
    account: VenueAccount,
    order: VenueOrder,
    price: Decimal,
    qty: Decimal,
    liquidity: Liquidity,
) -> tuple[Decimal, str]:
    """Fee and its asset, quantized to 8 decimals towards zero; negative is a rebate."""
    rate = instrument.maker if liquidity == "maker" else instrument.taker
    if paid.pay_in is not None and paid.pay_price is not None and rate > 0:
        full = MATH.multiply(MATH.multiply(price, qty), rate)
        less = MATH.divide(MATH.multiply(full, 1 - paid.discount), paid.pay_price)
        fee = less.quantize(EIGHT, ROUND_DOWN, MATH)
        if account.can_pay(paid.pay_in, fee):
            return fee, paid.pay_in
    if fee_in == "received" and order.terms.side == "buy":
        return MATH.multiply(qty, rate).quantize(EIGHT, ROUND_DOWN, MATH), instrument.base
    notional = MATH.multiply(price, qty)
    return MATH.multiply(notional, rate).quantize(EIGHT, ROUND_DOWN, MATH), instrument.quote
