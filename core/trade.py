"""One round trip, and the position it is made of. The rules are told in `core/trade_log.py`, which moves them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from core.events import Bar, FillKey, OrderFilled, PositionSide
from core.exact import MATH, ZERO


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One round trip. Prices in quote units, money in the run's currency, times int nanoseconds UTC (when we learned of
    the fill)."""

    trade_id: str
    """`t1`, `t2`, … in the order of entries."""
    strategy: str
    symbol: str
    side: str
    """long or short."""
    entry_ts: int
    entry_price: Decimal
    """Value of all entry fills over their quantity, 34 digits where it does not end."""
    exit_ts: int | None
    """Of the last exit fill; None while open."""
    exit_price: Decimal | None
    qty: Decimal
    """All that was entered, base units (scaling in counts, partial exits do not subtract)."""
    gross_pnl: Decimal
    """Realized, before fees and funding. Of an open trade: by its partial exits so far."""
    fees: Decimal
    funding: Decimal
    """Positive was received."""
    pnl: Decimal
    """gross_pnl - fees + funding."""
    return_pct: float
    """pnl / (entry_price x qty) x 100, percent."""
    entry_order_type: str
    exit_order_type: str | None
    duration_s: float
    """Seconds; of an open trade until the end of the run."""
    mae: Decimal
    mfe: Decimal
    exit_reason: str
    """signal, stop, target, liquidation, adl; end_of_run while open."""
    venue: str
    """By its name in the config."""

    @property
    def is_open(self) -> bool:
        return self.exit_ts is None


class Book(msgspec.Struct):
    """The position of one key and the trade it belongs to. Flat: `qty` is 0 and the rest is stale."""

    venue: str
    symbol: str
    position_side: PositionSide
    strategy: str
    base: str
    quote: str
    step: Decimal
    """Less than this is dust: no order could trade it."""
    qty: Decimal = ZERO
    """Signed, base units."""
    cost: Decimal = ZERO
    """Signed cost of what is held, quote units."""
    number: int = 0
    entry_ts: int = 0
    entry_qty: Decimal = ZERO
    entry_value: Decimal = ZERO
    entry_order_type: str = ""
    exit_qty: Decimal = ZERO
    exit_value: Decimal = ZERO
    gross: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    mae: Decimal = ZERO
    mfe: Decimal = ZERO
    filled_at: int = 0
    """Venue time of the last fill, int nanoseconds UTC."""
    low: float = math.inf
    """Lowest price seen since the last fill; infinite while there was none (msgpack keeps that, JSON would not)."""
    high: float = -math.inf
    last_closed: int = -1
    """Place of the book's latest closed trade among all closed ones; -1: none yet."""

    @property
    def is_open(self) -> bool:
        """Whether there is a position to speak of."""
        return self.qty >= self.step or -self.qty >= self.step

    def see(self, bar: Bar) -> None:
        """Take a bar that closed while the position was held."""
        if bar.ts_venue - bar.interval_ns >= self.filled_at:
            if bar.low < self.low:
                self.low = bar.low
            if bar.high > self.high:
                self.high = bar.high
        elif bar.ts_venue >= self.filled_at:
            if bar.close < self.low:
                self.low = bar.close
            if bar.close > self.high:
                self.high = bar.close

    def start_stretch(self, fill: OrderFilled) -> None:
        """From this fill on, prices are seen with another quantity."""
        self.filled_at = fill.ts if fill.ts_venue is None else fill.ts_venue
        self.low = math.inf
        self.high = -math.inf

    def excursions(self, price: Decimal | None) -> tuple[Decimal, Decimal]:
        """(mae, mfe) with the bars since the last fill counted in, and `price`, at which the next fill happened."""
        mae, mfe, qty, cost = self.mae, self.mfe, self.qty, self.cost
        if price is not None:
            unrealized = qty * price - cost
            if unrealized < mae:
                mae = unrealized
            elif unrealized > mfe:
                mfe = unrealized
        if self.low <= self.high:
            worst, best = (self.low, self.high) if qty > 0 else (self.high, self.low)
            mae = min(mae, qty * Decimal(repr(worst)) - cost)
            mfe = max(mfe, qty * Decimal(repr(best)) - cost)
        return mae, mfe


def fee_in_quote(fill: OrderFilled, base: str, quote: str, worth: Mapping[FillKey, Decimal]) -> Decimal | None:
    """The fill's fee in quote units; None where it was paid in an asset that has no price here.

    `worth` by fill: what fees were worth that were paid from what the account has, not from what was bought.
    """
    if fill.key in worth:
        return worth[fill.key]
    if fill.fee_asset == quote:
        return fill.fee
    if fill.fee_asset == base:
        return MATH.multiply(fill.fee, fill.price)
    return None


def percent(pnl: Decimal, entry_value: Decimal) -> float:
    return float(pnl * 100 / entry_value) if entry_value else 0.0
