"""What trading costs one account at one venue, as time goes on: rates by date, tier and side.

A symbol's rates are a schedule of values. `Tariff` reads it at its dates, so that a fill finds what holds now. Where
the tier follows the volume, the notional of the 30 whole UTC days before decides, from `retiers_at` of each day on: no
fill changes its own rate, nor that of its day. Of trades before the run `traded_before` alone is known, in all.

Commission = received x (standard + side rate) + tax + special; a discount touches the standard part alone. Source:
venues.md section 7.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from decimal import ROUND_UP, Decimal
from operator import attrgetter
from typing import Annotated, NamedTuple

import msgspec

from core.events import Liquidity, Side
from core.exact import EIGHT_DECIMALS, MATH, ZERO
from core.moments import DAY_NS, INF

BEGINNING = -(2**63)
"""Before every moment, int nanoseconds."""
VOLUME_DAYS = 30
Rate = Annotated[Decimal, msgspec.Meta(ge=-0.01, le=0.1)]
"""Fraction of what is received; negative is a rebate. What lies beyond is a typing error."""
BySide = Mapping[Side, Mapping[Liquidity, Decimal]]


class TierRates(msgspec.Struct, frozen=True):
    """What one tier pays."""

    maker: Rate
    taker: Rate
    volume: Decimal = ZERO
    """Of 30 days, quote units, from which on an account has this tier."""
    guess: bool = False
    """Whether no source says so."""


class FeeSpan(msgspec.Struct, frozen=True):
    """The rates from `since` on, until the next span."""

    since: int
    """Int nanoseconds UTC."""
    tiers: tuple[TierRates, ...]
    """Rising volumes, the first from 0 on; a single one where the tier is fixed."""

    def tier(self, volume: Decimal) -> TierRates:
        """The tier of an account that traded so much in 30 days, where there are several."""
        return [one for one in self.tiers if one.volume <= volume][-1]


class Commission(msgspec.Struct, frozen=True):
    """A part of the commission beside the maker and taker rates of a tier."""

    maker: Rate = ZERO
    taker: Rate = ZERO
    buyer: Rate = ZERO
    seller: Rate = ZERO

    def rate(self, side: Side, liquidity: Liquidity) -> Decimal:
        by_side = self.buyer if side == "buy" else self.seller
        return by_side + (self.maker if liquidity == "maker" else self.taker)


NOTHING = Commission()


class FeeSchedule(msgspec.Struct, frozen=True):
    """One symbol's rates for all time. The first span begins at `BEGINNING`."""

    spans: tuple[FeeSpan, ...] = (FeeSpan(BEGINNING, (TierRates(ZERO, ZERO),)),)
    side: Commission = NOTHING
    """Of the standard commission: what the buyer and the seller pay beside maker and taker rates."""
    tax: Commission = NOTHING
    special: Commission = NOTHING
    discount: Decimal = ZERO
    """Fraction off the standard part where the fee is paid in the venue's own asset."""
    retiers_at: int | None = None
    """Nanoseconds after 00:00 UTC at which a new tier holds; None: the tier is fixed."""
    traded_before: Decimal = ZERO
    """Notional of the account in the 30 days before the first moment asked for; taken as traded evenly."""

    def index_at(self, at: int) -> int:
        """Which span holds at `at`."""
        return bisect_right(self.spans, at, key=attrgetter("since")) - 1

    def ends(self, index: int) -> int:
        """When the span after this one begins; INF for the last."""
        return self.spans[index + 1].since if index + 1 < len(self.spans) else INF


class RatesNow(NamedTuple):
    """What holds now for one symbol."""

    taker: Decimal
    """Standard rate, what an order's margin is measured with."""
    full: BySide
    """Whole rate of a fill by side and liquidity."""
    discounted: BySide
    """The same with the discount on the standard part."""


class Tariff:
    """The schedules of one account's symbols, read at their dates. Time never goes back."""

    def __init__(self, schedules: Mapping[str, FeeSchedule]) -> None:
        """By symbol; `add` brings more."""
        self._schedules: dict[str, FeeSchedule] = {}
        self.now: dict[str, RatesNow] = {}
        """By symbol, what holds before `until`."""
        self.until = BEGINNING
        self._turned_at = BEGINNING
        self.by_volume = False
        """Whether `traded` is to be told of each fill."""
        self._volumes: dict[int, Decimal] = {}
        """Notional by UTC day, of the days that can still count."""
        for symbol, schedule in schedules.items():
            self.add(symbol, schedule)

    def add(self, symbol: str, schedule: FeeSchedule) -> None:
        """Know another symbol."""
        self._schedules[symbol] = schedule
        self.by_volume = self.by_volume or schedule.retiers_at is not None
        self.until = BEGINNING

    def rates(self, symbol: str, at: int) -> RatesNow:
        """What a fill of `symbol` at `at` (int ns UTC) pays."""
        if at >= self.until:
            self.turn(at)
        return self.now[symbol]

    def taker(self, symbol: str) -> Decimal:
        """The standard taker rate at the moment that was last asked for."""
        return self.now[symbol].taker

    def traded(self, notional: Decimal, at: int) -> None:
        """A fill at `at`, quote units: it counts from the next day on, which may have begun before we hear of it."""
        day = at // DAY_NS
        self._volumes[day] = MATH.add(self._volumes.get(day, ZERO), notional)
        if at < self._turned_at:
            self.until = BEGINNING

    def turn(self, at: int) -> None:
        """Read every schedule anew, and note until when that holds: for who finds `until` passed."""
        if self._turned_at == BEGINNING:
            self._volumes |= _evenly(self._schedules.values(), at)
        self.until, self._turned_at = INF, at
        for symbol, schedule in self._schedules.items():
            index = schedule.index_at(at)
            self.until = min(self.until, schedule.ends(index))
            span = schedule.spans[index]
            tier = span.tiers[0]
            if schedule.retiers_at is not None:
                day = (at - schedule.retiers_at) // DAY_NS
                self.until = min(self.until, (day + 1) * DAY_NS + schedule.retiers_at)
                tier = span.tier(self._volume_before(day))
            self.now[symbol] = _rates_now(schedule, tier)

    def _volume_before(self, day: int) -> Decimal:
        """Notional of the 30 UTC days before this one; what is older is forgotten."""
        first = day - VOLUME_DAYS
        self._volumes = {one: volume for one, volume in self._volumes.items() if one >= first}
        total = ZERO
        for one, volume in self._volumes.items():
            if one < day:
                total = MATH.add(total, volume)
        return total


def _evenly(schedules: Iterable[FeeSchedule], at: int) -> dict[int, Decimal]:
    """By day, what the account traded before its first moment; rounded up, so that a threshold once met still is."""
    known = [one for one in schedules if one.retiers_at is not None and one.traded_before]
    if not known:
        return {}
    most = max(known, key=attrgetter("traded_before"))
    daily = MATH.divide(most.traded_before, Decimal(VOLUME_DAYS)).quantize(EIGHT_DECIMALS, ROUND_UP, MATH)
    today = (at - (most.retiers_at or 0)) // DAY_NS
    return dict.fromkeys(range(today - VOLUME_DAYS, today), daily)


def _rates_now(schedule: FeeSchedule, tier: TierRates) -> RatesNow:
    full: dict[Side, dict[Liquidity, Decimal]] = {"buy": {}, "sell": {}}
    discounted: dict[Side, dict[Liquidity, Decimal]] = {"buy": {}, "sell": {}}
    by_liquidity: dict[Liquidity, Decimal] = {"maker": tier.maker, "taker": tier.taker}
    for side, rates in full.items():
        for liquidity, rate in by_liquidity.items():
            standard = rate + schedule.side.rate(side, liquidity)
            beside = schedule.tax.rate(side, liquidity) + schedule.special.rate(side, liquidity)
            rates[liquidity] = standard + beside
            discounted[side][liquidity] = MATH.multiply(standard, 1 - schedule.discount) + beside
    return RatesNow(tier.taker, full, discounted)
