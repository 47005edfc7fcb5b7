"""A venue's own fees as its stored file has them: tables of tiers by date, promotions, the asset with a discount.

The values live in `adapters/<venue>/fees.yaml`; here is only their shape, and how they become the spans of a schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from core.account.tariff import BEGINNING, FeeSpan, TierRates
from core.moments import INF
from core.notation import Timestamp

BY_VOLUME = "by_volume"
"""In place of a tier's name: the one that the volume of the last 30 days gives."""
EVERY_TIER = "all"
"""In a promotion: the same for every tier."""


class FeeTable(msgspec.Struct, frozen=True):
    """What each tier paid from `since` on, the lowest tier first."""

    since: Timestamp
    tiers: dict[str, TierRates]
    guessed_volumes: bool = False
    """Whether no source says from which volume on an account has a tier."""


class Promotion(msgspec.Struct, frozen=True):
    """Other rates for some symbols, from `since` to before `until`."""

    since: Timestamp
    until: Timestamp
    tiers: dict[str, TierRates]
    symbols: tuple[str, ...] = ()
    quote: str | None = None
    """Every symbol with this quote asset."""

    def holds_for(self, symbol: str, quote: str) -> bool:
        return symbol in self.symbols or quote == self.quote


class Discount(msgspec.Struct, frozen=True):
    """What paying in the venue's own asset takes off the standard part of a fee."""

    asset: str
    fraction: Decimal


class VenueFees(msgspec.Struct, frozen=True):
    """All that is stored of one venue's fees."""

    tables: list[FeeTable]
    """Oldest first; the names of the tiers are the same in each."""
    promotions: list[Promotion] = []
    discount: Discount | None = None
    retiers_at_h: int = 0
    """Hours after 00:00 UTC, from which on the tier by the volume of the days before holds."""

    @property
    def names(self) -> list[str]:
        """The tiers of today, the lowest first."""
        return list(self.tables[-1].tiers)

    @property
    def lowest(self) -> str:
        """What everybody pays."""
        return self.names[0]

    @property
    def guesses_volumes(self) -> bool:
        return any(table.guessed_volumes for table in self.tables)

    def discount_on(self, asset: str | None) -> Decimal | None:
        """Fraction off for paying in this asset; None where the venue names another, or none."""
        return self.discount.fraction if self.discount is not None and self.discount.asset == asset else None

    def spans(self, symbol: str, quote: str, tier: str, *, dated: bool = True) -> tuple[FeeSpan, ...]:
        """The rates of a tier (a name, or BY_VOLUME) over all time. Before the first table its rates are a guess.

        Not `dated` is a time without a date: the newest table, no promotions.
        """
        names = self.names if tier == BY_VOLUME else [tier]
        if not dated:
            return (FeeSpan(BEGINNING, _named(self.tables[-1].tiers, names)),)
        first = _named(self.tables[0].tiers, names)
        spans = [FeeSpan(BEGINNING, tuple(msgspec.structs.replace(rates, guess=True) for rates in first))]
        spans += [FeeSpan(table.since, _named(table.tiers, names)) for table in self.tables]
        for one in self.promotions:
            if one.holds_for(symbol, quote):
                rows = [one.tiers.get(name) or one.tiers[EVERY_TIER] for name in names]
                spans = laid_over(spans, one.since, one.until, rows)
        return tuple(spans)


class RateRow(Protocol):
    """Rates that somebody wrote down; None is what would hold without."""

    @property
    def maker(self) -> Decimal | None: ...

    @property
    def taker(self) -> Decimal | None: ...


def with_rates(spans: Iterable[FeeSpan], row: RateRow | None) -> tuple[FeeSpan, ...]:
    """The spans with a constant maker rate, taker rate or both in place of their own."""
    if row is None or row.maker is row.taker is None:
        return tuple(spans)
    return tuple(FeeSpan(span.since, tuple(_replaced(rates, row) for rates in span.tiers)) for span in spans)


def merged(spans: Sequence[FeeSpan]) -> tuple[FeeSpan, ...]:
    """The same without dates at which nothing changes."""
    return tuple(span for at, span in enumerate(spans) if at == 0 or span.tiers != spans[at - 1].tiers)


def laid_over(spans: Sequence[FeeSpan], since: int, until: int, rows: Sequence[TierRates]) -> list[FeeSpan]:
    """The spans with other rates from `since` to before `until`, one row per tier; the volumes of the tiers stay."""
    result: list[FeeSpan] = []
    edges = sorted({since, until, *(span.since for span in spans)} - {INF})
    for edge in edges:
        under = [span for span in spans if span.since <= edge][-1].tiers
        if since <= edge < until:
            under = tuple(
                TierRates(row.maker, row.taker, rates.volume, row.guess) for row, rates in zip(rows, under, strict=True)
            )
        result.append(FeeSpan(edge, under))
    return result


def _replaced(rates: TierRates, row: RateRow) -> TierRates:
    maker = rates.maker if row.maker is None else row.maker
    taker = rates.taker if row.taker is None else row.taker
    is_own = row.maker is not None and row.taker is not None
    return TierRates(maker, taker, rates.volume, rates.guess and not is_own)


def _named(tiers: dict[str, TierRates], names: Sequence[str]) -> tuple[TierRates, ...]:
    return tuple(tiers[name] for name in names)
