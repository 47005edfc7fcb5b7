"""What a run leaves for its metrics: one record, and the intermediate results that several metrics share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from functools import cached_property
from typing import Protocol

import msgspec

from core.events import FillKey, FundingPaid, KeyedEvent, OrderFilled, PositionLiquidated
from core.exact import MATH, ONE, ZERO
from core.instruments import Instrument
from core.metrics.daily import DailyReturns, daily_returns
from core.metrics.equity import EquityCurve
from core.metrics.totals import FillTotals, total_fills
from core.metrics.underwater import Underwater, underwater
from core.orders import Order
from core.trade import Trade


class Undefined(msgspec.Struct, frozen=True):
    """A metric that has no value for this run, and why."""

    reason: str


Value = Decimal | float | int | Undefined
"""Money is Decimal, ratios and times are float, counts are int."""


class Metric(Protocol):
    """One number of the summary. Its docstring says formula, unit and source."""

    @property
    def name(self) -> str: ...

    def of(self, record: RunRecord) -> Value: ...


class RunRecord:
    """A finished run, as its metrics see it. Immutable by convention: shared results are computed once."""

    def __init__(
        self,
        *,
        start: int,
        end: int,
        initial_equity: Decimal,
        currency: str,
        curve: EquityCurve,
        instruments: Mapping[tuple[str, str], Instrument],
        fills: Sequence[OrderFilled] = (),
        orders: Sequence[Order] = (),
        trades: Sequence[Trade] = (),
        account_events: Sequence[KeyedEvent] = (),
        latencies_ns: Sequence[int] = (),
        unassigned_funding: Decimal = ZERO,
        final_prices: Mapping[tuple[str, str], Decimal] | None = None,
        deposit_gains: Mapping[tuple[str, str], Decimal] | None = None,
        rates: Mapping[str, Decimal] | None = None,
        fee_worth: Mapping[FillKey, Decimal] | None = None,
        market_changes: Mapping[tuple[str, str], float] | None = None,
    ) -> None:
        self.start = start
        """Int nanoseconds UTC: since when trading was possible."""
        self.end = end
        self.initial_equity = initial_equity
        self.currency = currency
        """The asset that all money is counted in."""
        self.curve = curve
        self.instruments = instruments
        """By (venue, symbol)."""
        self.fills = fills
        self.orders = orders
        """In the order of their creation."""
        self.trades = trades
        """Closed ones in the order of their exits, then the open ones."""
        self.account_events = account_events
        self.latencies_ns = latencies_ns
        """Submitted to accepted, nanoseconds, one per order that was accepted."""
        self.unassigned_funding = unassigned_funding
        self.final_prices = final_prices or {}
        """By (venue, symbol), what open positions are worth in the last row."""
        self.deposit_gains = deposit_gains or {}
        """By (venue, symbol), what assets held from the start gained without a trade, in `currency`."""
        self.fee_worth = fee_worth or {}
        """By fill, what a fee was worth that neither the quote nor what was bought paid, quote units."""
        self.market_changes = market_changes or {}
        """By (venue, symbol), last known price / first price - 1, traded or not."""
        self.rates = rates or {}
        """By settle asset, what one is worth in `currency`; 1 where it is not said."""

    def rate_of(self, venue: str, symbol: str) -> Decimal:
        """What one quote unit of a symbol is worth in `currency`."""
        instrument = self.instruments.get((venue, symbol))
        return ONE if instrument is None else self.rates.get(instrument.quote, ONE)

    def name_of(self, venue: str, symbol: str) -> str:
        """A symbol as the summary names it: as in the config, `venue:SYMBOL`, where several venues have it."""
        return f"{venue}:{symbol}" if self._venues_of[symbol] > 1 else symbol

    @cached_property
    def _venues_of(self) -> Counter[str]:
        """How many venues have a symbol."""
        return Counter(symbol for _, symbol in self.instruments)

    @cached_property
    def daily(self) -> DailyReturns:
        return daily_returns(self.curve, float(self.initial_equity))

    @cached_property
    def underwater(self) -> Underwater:
        return underwater(self.curve, float(self.initial_equity), self.start, self.end)

    @cached_property
    def totals(self) -> FillTotals:
        return total_fills(self.fills, self.liquidations, self.instruments, self.rate_of, self.fee_worth)

    @cached_property
    def closed(self) -> list[Trade]:
        return [trade for trade in self.trades if not trade.is_open]

    @cached_property
    def liquidations(self) -> list[PositionLiquidated]:
        return [event for event in self.account_events if isinstance(event, PositionLiquidated)]

    @cached_property
    def funding(self) -> Decimal:
        """Sum of the funding events, in `currency`; positive was received."""
        total = ZERO
        with localcontext(MATH):
            for event in self.account_events:
                if isinstance(event, FundingPaid):
                    total += event.amount * self.rate_of(event.venue, event.symbol)
        return total

    @cached_property
    def realized(self) -> Decimal:
        """Sum of gross PnL over all trades, open ones with what they realized so far; in `currency`."""
        total = ZERO
        with localcontext(MATH):
            for trade in self.trades:
                total += trade.gross_pnl
        return total

    @property
    def final_equity(self) -> Decimal:
        last = self.curve.last("equity")
        return self.initial_equity if last is None else last
