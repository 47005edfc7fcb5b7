"""Sums over the fills of a run, in one pass and exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext

import msgspec

from core.errors import InvariantBroken
from core.events import OrderFilled, PositionLiquidated
from core.instruments import Instrument
from core.orders import ZERO
from core.trade import LEDGER, fee_in_quote


class FillTotals(msgspec.Struct):
    """Quote units, except where an asset is named."""

    turnover: Decimal = ZERO
    """Sum of price x qty."""
    maker_turnover: Decimal = ZERO
    fees: Decimal = ZERO
    other_fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    """Fees in assets without a price here, per asset, in its own units."""
    slippage: Decimal = ZERO
    """Sum of side x (price - reference) x qty; positive is a cost."""


def total_fills(
    fills: Iterable[OrderFilled],
    liquidations: Iterable[PositionLiquidated],
    instruments: Mapping[tuple[str, str], Instrument],
) -> FillTotals:
    """Sum up. Raises InvariantBroken for a fill of a symbol without instrument.

    Liquidations add to turnover (as taker) and fees: they are trades that the venue made for us without a fill.
    """
    totals = FillTotals()
    with localcontext(LEDGER):
        for fill in fills:
            value = fill.price * fill.qty
            totals.turnover += value
            if fill.liquidity == "maker":
                totals.maker_turnover += value
            if fill.price != fill.reference:
                cost = (fill.price - fill.reference) * fill.qty
                totals.slippage += cost if fill.side == "buy" else -cost
            _add_fee(totals, fill, instruments)
        for event in liquidations:
            totals.turnover += event.price * abs(event.qty)
            totals.fees += event.fee
    return totals


def _add_fee(totals: FillTotals, fill: OrderFilled, instruments: Mapping[tuple[str, str], Instrument]) -> None:
    instrument = instruments.get((fill.venue, fill.symbol))
    if instrument is None:
        raise InvariantBroken(f"fill {fill.fill_id}: {fill.symbol} on {fill.venue} has no instrument in this run")
    fee = fee_in_quote(fill, instrument.base, instrument.quote)
    if fee is None:
        totals.other_fees[fill.fee_asset] = totals.other_fees.get(fill.fee_asset, ZERO) + fill.fee
    else:
        totals.fees += fee
