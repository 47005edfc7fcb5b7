"""Sums over the fills and forced closes of a run, in one pass and exact: of the run, and of each strategy's books."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import msgspec

from core.errors import InvariantBroken
from core.events import FillKey, OrderFilled, PositionLiquidated
from core.exact import FORCED_CASH, MATH, ZERO
from core.instruments import Instrument
from core.trade import fee_in_quote

BookKey = tuple[str, str, str]
"""(venue, symbol, strategy)"""


class BookTotals(msgspec.Struct):
    """What one strategy's fills and forced closes of one symbol moved. Quote units but for `qty`."""

    qty: Decimal = ZERO
    """Signed, base units: what is left of it."""
    cash: Decimal = ZERO
    """Sum of -side x price x qty, before fees."""
    fees: Decimal = ZERO
    """Of fills, in the quote asset or in a third one."""
    base_fees: Decimal = ZERO
    """Of fills, paid in the base asset, at the fill's price."""
    slippage: Decimal = ZERO
    """Sum of side x (price - reference) x qty; positive is a cost."""
    forced: Decimal = ZERO
    """Realized PnL of what the venue closed."""
    forced_fees: Decimal = ZERO
    insured: Decimal = ZERO
    """What of that loss the venue bore."""
    turnover: Decimal = ZERO
    """Sum of price x qty, forced closes included."""
    maker_turnover: Decimal = ZERO


class FillTotals(msgspec.Struct):
    """In the run's currency, except where an asset is named."""

    turnover: Decimal = ZERO
    """Sum of price x qty."""
    maker_turnover: Decimal = ZERO
    fees: Decimal = ZERO
    other_fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    """Fees in assets without a price here, per asset, in its own units."""
    slippage: Decimal = ZERO
    """Sum of side x (price - reference) x qty; positive is a cost."""
    books: dict[BookKey, BookTotals] = msgspec.field(default_factory=dict)
    """In the order of their first fills."""


def total_fills(
    fills: Iterable[OrderFilled],
    liquidations: Iterable[PositionLiquidated],
    instruments: Mapping[tuple[str, str], Instrument],
    rate_of: Callable[[str, str], Decimal],
    fee_worth: Mapping[FillKey, Decimal],
) -> FillTotals:
    """Sum up. Raises InvariantBroken for a fill of a symbol without instrument. `rate_of(venue, symbol)`: what a quote
    unit is worth in the run's currency. `fee_worth` by fill: what a fee that no book paid was worth, quote units.

    Liquidations add to turnover (as taker) and fees: they are trades that the venue made for us without a fill.
    """
    totals = FillTotals()
    books = totals.books
    quotes = {key: instrument.quote for key, instrument in instruments.items()}
    with localcontext(MATH):
        for fill in fills:
            price, qty = fill.price, fill.qty
            key = (fill.venue, fill.symbol, fill.strategy)
            book = books.get(key)
            if book is None:
                book = books[key] = BookTotals()
            value = price * qty
            book.turnover += value
            if fill.liquidity == "maker":
                book.maker_turnover += value
            if fill.side == "sell":
                qty, value = -qty, -value
            book.qty += qty
            book.cash -= value
            if price != fill.reference:
                book.slippage += (price - fill.reference) * qty
            if fill.fee_asset == quotes.get((fill.venue, fill.symbol)):
                book.fees += fill.fee
            else:
                _add_fee(totals, book, fill, instruments, fee_worth)
        for event in liquidations:
            _add_forced(totals, event)
        for (venue, symbol, _), book in books.items():
            rate = rate_of(venue, symbol)
            totals.turnover += book.turnover * rate
            totals.maker_turnover += book.maker_turnover * rate
            totals.fees += (book.fees + book.base_fees + book.forced_fees) * rate
            totals.slippage += book.slippage * rate
    return totals


def _add_forced(totals: FillTotals, event: PositionLiquidated) -> None:
    """A close by the venue, which takes away what is there."""
    book = totals.books.setdefault((event.venue, event.symbol, event.strategy), BookTotals())
    book.turnover += event.price * abs(event.qty)
    closing = event.qty if event.side == "buy" else -event.qty
    book.qty += closing
    book.cash -= (event.price * closing).quantize(FORCED_CASH, ROUND_HALF_EVEN)
    book.forced += event.realized_pnl
    book.forced_fees += event.fee
    book.insured += event.insured


def _add_fee(
    totals: FillTotals,
    book: BookTotals,
    fill: OrderFilled,
    instruments: Mapping[tuple[str, str], Instrument],
    worth: Mapping[FillKey, Decimal],
) -> None:
    """A fee that was not paid in the quote asset."""
    instrument = instruments.get((fill.venue, fill.symbol))
    if instrument is None:
        raise InvariantBroken(f"fill {fill.fill_id}: {fill.symbol} on {fill.venue} has no instrument in this run")
    fee = fee_in_quote(fill, instrument.base, instrument.quote, worth)
    if fee is None:
        totals.other_fees[fill.fee_asset] = totals.other_fees.get(fill.fee_asset, ZERO) + fill.fee
    elif fill.key in worth:
        book.fees += fee
    else:
        book.base_fees += fee
        book.qty -= fill.fee
