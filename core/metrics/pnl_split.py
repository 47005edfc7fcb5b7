"""Where the profit came from: price, fees, funding, slippage, liquidation, per book, and summed up exactly.

Each fill is split at its reference, the market's price before spread and impact: what it moved at that price is `price`
(open positions at the last row's price), the rest is slippage. What the venue closed by force is all `liquidation`: the
profit or loss it realized, its fees, and what of the loss the venue bore. Computed from events alone, so that the sum
is a witness of final - initial equity.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext

import msgspec

from core.errors import InvariantBroken
from core.events import FundingPaid
from core.exact import MATH, ONE, ZERO
from core.metrics.record import RunRecord
from core.metrics.totals import BookTotals

PARTS = ("price", "fees", "funding", "slippage", "liquidation")


class Split(msgspec.Struct):
    """Contributions to the equity, in the run's currency: negative ones were a cost."""

    price: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    slippage: Decimal = ZERO
    liquidation: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Their exact sum."""
        with localcontext(MATH):
            return self.price + self.fees + self.funding + self.slippage + self.liquidation

    def add(self, other: Split, rate: Decimal) -> None:
        """Take another's parts in, each times `rate`, in the ledger's context."""
        self.price += other.price * rate
        self.fees += other.fees * rate
        self.funding += other.funding * rate
        self.slippage += other.slippage * rate
        self.liquidation += other.liquidation * rate


class PnlSplit(msgspec.Struct):
    """Of the whole run, of each symbol (by its name in the summary) and of each strategy."""

    whole: Split
    symbols: dict[str, Split]
    strategies: dict[str, Split]
    """What assets held from the start gained belongs to no strategy."""


def split_pnl(record: RunRecord) -> PnlSplit:
    """Split a run's profit. Raises InvariantBroken for a position that is open at the end and has no price."""
    found = PnlSplit(Split(), {}, {})
    with localcontext(MATH):
        for (venue, symbol, strategy), totals in record.totals.books.items():
            part = _of_book(totals, (venue, symbol), record.final_prices)
            _add(found, record.name_of(venue, symbol), strategy, part, record.rate_of(venue, symbol))
        for event in record.account_events:
            if isinstance(event, FundingPaid):
                rate = record.rate_of(event.venue, event.symbol)
                name = record.name_of(event.venue, event.symbol)
                _add(found, name, event.strategy, Split(funding=event.amount), rate)
        for key, gain in record.deposit_gains.items():
            _add(found, record.name_of(*key), None, Split(price=gain), ONE)
        rounding = record.final_equity - record.initial_equity - found.whole.total
        if abs(rounding) < Decimal(1).scaleb(-record.curve.scale):
            found.whole.price += rounding  # equity rows end at their scale, forced closes of several may not
    return found


def _of_book(totals: BookTotals, key: tuple[str, str], prices: Mapping[tuple[str, str], Decimal]) -> Split:
    if totals.qty and key not in prices:
        raise InvariantBroken(f"{totals.qty} {key[1]} are open at the end of the run, and no price of it is known")
    worth = totals.qty * prices[key] if totals.qty else ZERO
    return Split(
        price=totals.cash + worth + totals.base_fees + totals.slippage - totals.forced,
        fees=-totals.fees - totals.base_fees,
        slippage=-totals.slippage,
        liquidation=totals.forced - totals.forced_fees + totals.insured,
    )


def _add(found: PnlSplit, name: str, strategy: str | None, part: Split, rate: Decimal) -> None:
    found.whole.add(part, rate)
    found.symbols.setdefault(name, Split()).add(part, rate)
    if strategy is not None:
        found.strategies.setdefault(strategy, Split()).add(part, rate)
