"""What a leveraged linear position must be worth, and the price at which it no longer is. Pure formulas, exact.

Maintenance margin = notional x MMR - cum, with the tier of that notional; cum makes it continuous from tier to tier.
A position is liquidated where balance + unrealized PnL <= maintenance margin, `balance` being what stands behind it:
its own margin (isolated), or the wallet less the other positions' maintenance plus their unrealized PnL (cross).
Solved for the price: LP = (balance + cum - value) / (|qty| x MMR - qty), value = signed entry value, the tier being the
one of |qty| x LP. Source: venues.md section 8, whose printed numbers are in `tests/test_margin.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from core.dated_rows import row_at
from core.exact import MATH, ZERO
from core.notation import Timestamp


class Tier(msgspec.Struct, frozen=True):
    """One maintenance bracket, complete."""

    floor: Decimal
    """Notional from which it holds, quote units."""
    mmr: Decimal
    """Maintenance margin rate, fraction of notional."""
    max_leverage: Decimal
    """0: what lies beyond is not known, and no position may grow into it."""
    cum: Decimal
    """Maintenance amount, quote units: subtracted from notional x mmr."""


Leg = tuple[Decimal, Decimal]
"""An open position: its signed quantity and its signed entry value."""
Tiers = tuple[Tier, ...]
"""By rising floor, the first at 0. Empty: the symbol's brackets are not known and it is never liquidated."""


class TierRow(Protocol):
    """A bracket as files write it: `cum` may be left out."""

    @property
    def floor(self) -> Decimal: ...

    @property
    def mmr(self) -> Decimal: ...

    @property
    def max_leverage(self) -> Decimal: ...

    @property
    def cum(self) -> Decimal | None: ...


class WrittenTier(msgspec.Struct, frozen=True):
    """A bracket as a venue's stored file has it."""

    floor: Decimal
    mmr: Decimal
    max_leverage: Decimal
    cum: Decimal | None = None


class DatedTiers(msgspec.Struct, frozen=True):
    """A symbol's brackets as they were from `since` on."""

    since: Timestamp
    tiers: list[WrittenTier]
    known_to: Decimal | None = None
    """Notional where the last tier ends and no further one is known; None: it has no end."""


class ContractTerms(msgspec.Struct, frozen=True):
    """What the account side of one linear contract needs to know."""

    tiers: Tiers = ()
    liquidation_fee: Decimal = ZERO
    """Fraction of notional, charged in cross margin."""
    call_tiers: Tiers = ()
    """`tiers` as `scaled` makes them for the venue's margin calls; empty: there are none."""


def scaled(tiers: Tiers, ratio: Decimal) -> Tiers:
    """Tiers whose maintenance is 1 / `ratio` of theirs: where it is no longer covered, `ratio` of the margin is bound.

    maintenance > ratio x balance is the same as maintenance / ratio > balance, so that what finds the one finds both.
    """
    divide = MATH.divide
    return tuple(Tier(t.floor, divide(t.mmr, ratio), t.max_leverage, divide(t.cum, ratio)) for t in tiers)


def tiers_of(rows: Iterable[TierRow]) -> Tiers:
    """Complete tiers: cum_n = cum_(n-1) + floor_n x (MMR_n - MMR_(n-1)) where it is left out; the first has 0."""
    tiers: list[Tier] = []
    for row in rows:
        cum = row.cum
        if cum is None:
            cum = ZERO
            if tiers:
                step = MATH.subtract(row.mmr, tiers[-1].mmr)
                cum = MATH.add(tiers[-1].cum, MATH.multiply(row.floor, step))
        tiers.append(Tier(row.floor, row.mmr, row.max_leverage, cum))
    return tuple(tiers)


def tiers_at(dated: Sequence[DatedTiers], at: int | None) -> Tiers:
    """The brackets valid at `at` (int ns UTC; None: the newest), as `row_at` chooses. Empty where none are known."""
    if not dated:
        return ()
    row = row_at(dated, at)
    tiers = tiers_of(row.tiers)
    if row.known_to is None:
        return tiers
    last = tiers[-1]
    return (*tiers, Tier(row.known_to, last.mmr, ZERO, last.cum))


def known_to(tiers: Tiers) -> Decimal | None:
    """The notional up to which brackets are known; None where they have no end, or none are known."""
    return tiers[-1].floor if tiers and not tiers[-1].max_leverage else None


def tier_of(tiers: Tiers, notional: Decimal) -> Tier:
    """The bracket of a notional. Raises IndexError where no brackets are known."""
    found = tiers[0]
    for tier in tiers:
        if tier.floor > notional:
            break
        found = tier
    return found


def maintenance_margin(tiers: Tiers, notional: Decimal) -> Decimal:
    """notional x MMR - cum, quote units; 0 where no brackets are known."""
    if not tiers:
        return ZERO
    tier = tier_of(tiers, notional)
    return MATH.subtract(MATH.multiply(notional, tier.mmr), tier.cum)


def largest_notional(tiers: Tiers, leverage: Decimal) -> Decimal | None:
    """Up to where a position may grow at this leverage: the floor of the first tier that allows less; None: no end."""
    return next((tier.floor for tier in tiers if tier.max_leverage < leverage), None)


def liquidation_price(tiers: Tiers, qty: Decimal, value: Decimal, balance: Decimal) -> Decimal | None:
    """The mark at which a position of signed `qty` and signed entry value is liquidated; None where there is none.

    `balance` is what stands behind it besides its own unrealized PnL.
    """
    return hedged_liquidation_price(tiers, ((qty, value),), balance)


def hedged_liquidation_price(tiers: Tiers, legs: Sequence[Leg], balance: Decimal) -> Decimal | None:
    """The same of several positions in one symbol: one mark moves them all.

    balance + sum(qty x P - value) = sum(|qty| x P x MMR - cum), each with the tier of its own notional at P, which is
    iterated until it stays.
    """
    if not tiers or not all(qty for qty, _ in legs):
        return None
    found = [tier_of(tiers, abs(value)) for _, value in legs]
    price = ZERO
    for _ in range(len(legs) * len(tiers) + 1):
        left, slope = balance, ZERO
        for (qty, value), tier in zip(legs, found, strict=True):
            left = MATH.add(left, MATH.subtract(tier.cum, value))
            slope = MATH.add(slope, MATH.subtract(MATH.multiply(abs(qty), tier.mmr), qty))
        if not slope:  # a long whose maintenance is its whole notional: no price changes anything
            return None
        price = MATH.divide(left, slope)
        before, found = found, [tier_of(tiers, MATH.multiply(abs(qty), price)) for qty, _ in legs]
        if found == before:
            break
    return price if price > 0 else None


def liquidation_price_at_entry(tiers: Tiers, qty: Decimal, value: Decimal, margin: Decimal) -> Decimal | None:
    """The older form with maintenance at entry value: LP = EP -/+ (margin - MM) / |qty|. None where there is none."""
    if not tiers or not qty:
        return None
    spare = MATH.subtract(margin, maintenance_margin(tiers, abs(value)))
    price = MATH.divide(MATH.subtract(value, spare), qty)
    return price if price > 0 else None


def bankruptcy_price(qty: Decimal, value: Decimal, balance: Decimal) -> Decimal:
    """The price at which closing costs all of `balance`: EP -/+ balance / |qty|. `qty` is not 0."""
    return MATH.divide(MATH.subtract(value, balance), qty)


def order_margin(price: Decimal, qty: Decimal, leverage: Decimal) -> Decimal:
    """price x qty / leverage: what Binance wants free for an order that opens."""
    return MATH.divide(MATH.multiply(price, qty), leverage)


def order_margin_with_fees(price: Decimal, qty: Decimal, leverage: Decimal, taker: Decimal, *, buys: bool) -> Decimal:
    """As `order_margin`, with the fee of opening and that of closing at the bankruptcy price: what Bybit wants free."""
    inverse = MATH.divide(Decimal(1), leverage)
    bankrupt = MATH.multiply(price, MATH.subtract(1, inverse) if buys else MATH.add(1, inverse))
    notional = MATH.multiply(price, qty)
    fees = MATH.multiply(MATH.add(notional, MATH.multiply(bankrupt, qty)), taker)
    return MATH.add(MATH.divide(notional, leverage), fees)


def funding_rate(
    premium: Decimal,
    interest: Decimal,
    interval_h: int,
    *,
    clamp: Decimal,
    divides: bool,
    cap: Decimal | None = None,
    floor: Decimal | None = None,
) -> Decimal:
    """[P + clamp(I - P, -clamp, +clamp)] / (8 / N), then floor and cap; `divides` False: without the division.

    `premium` and `interest` are fractions per 8 h, the result a fraction of notional per interval of N hours.
    """
    lean = min(max(MATH.subtract(interest, premium), -clamp), clamp)
    rate = MATH.add(premium, lean)
    if divides:
        rate = MATH.divide(MATH.multiply(rate, Decimal(interval_h)), Decimal(8))
    if cap is not None:
        rate = min(rate, cap)
    return rate if floor is None else max(rate, floor)
