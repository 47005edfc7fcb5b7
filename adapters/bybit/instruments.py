"""Bybit's instruments-info and risk-limit to our filters and tiers, as they are said today."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from core.margin import DatedTiers, WrittenTier
from core.market.price_filters import PriceLimit
from core.venue_rules import DatedInstrument

PERPETUAL = ("", "LinearPerpetual")
"""Contract types that are read; spot has none."""
PERCENT = Decimal(100)


class PriceFilter(msgspec.Struct, frozen=True):
    """`priceFilter`; spot has the tick only."""

    tickSize: Decimal
    minPrice: Decimal | None = None
    maxPrice: Decimal | None = None


class LotSizeFilter(msgspec.Struct, frozen=True):
    """`lotSizeFilter`: the second half is spot's. Its minOrderQty is deprecated there, minOrderAmt counts."""

    qtyStep: Decimal | None = None
    minOrderQty: Decimal | None = None
    maxOrderQty: Decimal | None = None
    maxMktOrderQty: Decimal | None = None
    minNotionalValue: Decimal | None = None
    basePrecision: Decimal | None = None
    minOrderAmt: Decimal | None = None
    maxOrderAmt: Decimal | None = None
    maxLimitOrderQty: Decimal | None = None
    maxMarketOrderQty: Decimal | None = None


class RiskParameters(msgspec.Struct, frozen=True):
    """`riskParameters`: the price limit's two ratios."""

    priceLimitRatioX: str = ""
    priceLimitRatioY: str = ""


class Row(msgspec.Struct, frozen=True):
    """One instrument."""

    symbol: str
    baseCoin: str
    quoteCoin: str
    priceFilter: PriceFilter
    lotSizeFilter: LotSizeFilter
    contractType: str = ""
    priceScale: str | None = None
    riskParameters: RiskParameters | None = None


class RiskLimit(msgspec.Struct, frozen=True):
    """One tier: up to `riskLimitValue` of position value."""

    symbol: str
    riskLimitValue: Decimal
    maintenanceMargin: Decimal
    """Per cent in old answers, a fraction in new ones: told apart by the initial margin of the same row."""
    initialMargin: Decimal
    maxLeverage: Decimal


def instruments_of(rows: list[Any], since: int) -> dict[str, DatedInstrument]:
    """Every spot pair and linear perpetual, dated `since`. Raises msgspec.ValidationError."""
    found = {}
    for row in msgspec.convert(rows, list[Row]):
        step = row.lotSizeFilter.qtyStep or row.lotSizeFilter.basePrecision
        if row.contractType in PERPETUAL and step is not None:
            found[row.symbol] = _instrument(row, step, since)
    return found


def _instrument(row: Row, step: Decimal, since: int) -> DatedInstrument:
    lot, spot = row.lotSizeFilter, not row.contractType
    limits = row.riskParameters or RiskParameters()
    return DatedInstrument(
        since=since,
        tick=row.priceFilter.tickSize,
        step=step,
        base=row.baseCoin,
        quote=row.quoteCoin,
        min_price=row.priceFilter.minPrice,
        max_price=row.priceFilter.maxPrice,
        min_qty=None if spot else lot.minOrderQty,
        max_qty=lot.maxLimitOrderQty or lot.maxOrderQty,
        market_max_qty=lot.maxMarketOrderQty or lot.maxMktOrderQty,
        min_notional=lot.minOrderAmt if spot else lot.minNotionalValue,
        max_notional=lot.maxOrderAmt,
        price_precision=None if row.priceScale is None else int(row.priceScale),
        price_limit=(
            PriceLimit(x=Decimal(limits.priceLimitRatioX), y=Decimal(limits.priceLimitRatioY))
            if limits.priceLimitRatioX and limits.priceLimitRatioY
            else None
        ),
    )


def tiers_of(rows: list[Any], since: int) -> DatedTiers:
    """Tiers by position value, lowest first; the deduction follows from them. Raises msgspec.ValidationError."""
    limits = sorted(msgspec.convert(rows, list[RiskLimit]), key=lambda limit: limit.riskLimitValue)
    tiers, floor = [], Decimal(0)
    for limit in limits:
        # The initial margin is the inverse of the leverage: 1 / 100 as a fraction, 1 as per cent.
        percent = limit.initialMargin * limit.maxLeverage > PERCENT / 2
        mmr = limit.maintenanceMargin / PERCENT if percent else limit.maintenanceMargin
        tiers.append(WrittenTier(floor, mmr, limit.maxLeverage))
        floor = limit.riskLimitValue
    return DatedTiers(since, tiers, known_to=floor if tiers else None)
