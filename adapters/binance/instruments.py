"""Binance's exchangeInfo and leverageBracket to our filters and tiers, as they are said today."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from core.margin import DatedTiers, WrittenTier
from core.market.price_filters import PercentPrice
from core.moments import MS_NS
from core.venue_rules import DatedInstrument

PERPETUAL = ("", "PERPETUAL")
"""Contract types that are read; spot has none. Futures that expire have a date in their name and other rules."""


class Filter(msgspec.Struct, frozen=True):
    """One entry of `filters`, whichever it is."""

    filterType: str
    minPrice: Decimal | None = None
    maxPrice: Decimal | None = None
    tickSize: Decimal | None = None
    minQty: Decimal | None = None
    maxQty: Decimal | None = None
    stepSize: Decimal | None = None
    minNotional: Decimal | None = None
    maxNotional: Decimal | None = None
    notional: Decimal | None = None
    multiplierUp: Decimal | None = None
    multiplierDown: Decimal | None = None
    bidMultiplierUp: Decimal | None = None
    bidMultiplierDown: Decimal | None = None
    askMultiplierUp: Decimal | None = None
    askMultiplierDown: Decimal | None = None
    maxNumOrders: int | None = None
    maxNumAlgoOrders: int | None = None
    maxNumOrderAmends: int | None = None
    maxPosition: Decimal | None = None
    limit: int | None = None
    """USD-M: of the two order counts."""


class Symbol(msgspec.Struct, frozen=True):
    """One entry of `symbols`."""

    symbol: str
    baseAsset: str
    quoteAsset: str
    filters: list[Filter]
    contractType: str = ""
    pricePrecision: int | None = None
    quantityPrecision: int | None = None
    marketTakeBound: Decimal | None = None


class ExchangeInfo(msgspec.Struct, frozen=True):
    """The answer."""

    serverTime: int
    """Milliseconds."""
    symbols: list[Symbol]


class Bracket(msgspec.Struct, frozen=True):
    """One tier of leverageBracket, USDT; numbers come as JSON's own, whose shortest text is the decimal meant."""

    notionalFloor: Decimal
    notionalCap: Decimal
    maintMarginRatio: Decimal
    initialLeverage: Decimal
    """The highest that is allowed."""
    cum: Decimal


class SymbolBrackets(msgspec.Struct, frozen=True):
    """The tiers of one contract as one account has them. `notionalCoef`, how much wider than everybody's they are, is
    told for information: what is listed is the account's own (as the page reads; no recorded answer shows it)."""

    symbol: str
    brackets: list[Bracket]


def tiers_of(body: Any, symbol: str, since: int) -> DatedTiers:
    """The tiers of a symbol, lowest first. A list is the documented answer without a symbol, and came with one too.

    Raises msgspec.ValidationError.
    """
    answers = msgspec.convert(body, list[SymbolBrackets] | SymbolBrackets)
    listed = answers if isinstance(answers, list) else [answers]
    found = next((answer for answer in listed if answer.symbol == symbol), None)
    if found is None or not found.brackets:
        raise msgspec.ValidationError(f"no brackets of {symbol} are in it")
    rows = sorted(found.brackets, key=lambda row: row.notionalFloor)
    tiers = [WrittenTier(row.notionalFloor, row.maintMarginRatio, row.initialLeverage, row.cum) for row in rows]
    return DatedTiers(since, tiers, known_to=rows[-1].notionalCap)


def instruments_of(body: Any) -> dict[str, DatedInstrument]:
    """Every symbol with a tick and a step, dated by the answer's own clock. Raises msgspec.ValidationError."""
    info = msgspec.convert(body, ExchangeInfo)
    found = {}
    for symbol in info.symbols:
        filters = {one.filterType: one for one in symbol.filters}
        if symbol.contractType in PERPETUAL and {"PRICE_FILTER", "LOT_SIZE"} <= filters.keys():
            found[symbol.symbol] = _instrument(symbol, filters, info.serverTime * MS_NS)
    return found


def _instrument(symbol: Symbol, filters: Mapping[str, Filter], since: int) -> DatedInstrument:
    def of(kind: str, *names: str) -> Any:
        """The first of these fields; 0 disables a part of a filter."""
        one = filters.get(kind)
        return next((value for name in names if (value := getattr(one, name, None))), None)

    return DatedInstrument(
        since=since,
        tick=of("PRICE_FILTER", "tickSize").normalize(),
        step=of("LOT_SIZE", "stepSize").normalize(),
        base=symbol.baseAsset,
        quote=symbol.quoteAsset,
        min_price=of("PRICE_FILTER", "minPrice"),
        max_price=of("PRICE_FILTER", "maxPrice"),
        min_qty=of("LOT_SIZE", "minQty"),
        max_qty=of("LOT_SIZE", "maxQty"),
        price_precision=symbol.pricePrecision,
        quantity_precision=symbol.quantityPrecision,
        market_min_qty=of("MARKET_LOT_SIZE", "minQty"),
        market_max_qty=of("MARKET_LOT_SIZE", "maxQty"),
        market_step=of("MARKET_LOT_SIZE", "stepSize"),
        min_notional=of("NOTIONAL", "minNotional") or of("MIN_NOTIONAL", "minNotional", "notional"),
        max_notional=of("NOTIONAL", "maxNotional"),
        percent_price=_percent_price(filters),
        market_take_bound=symbol.marketTakeBound,
        max_orders=of("MAX_NUM_ORDERS", "maxNumOrders", "limit"),
        max_trigger_orders=of("MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders", "limit"),
        max_amends=of("MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends"),
        max_position=of("MAX_POSITION", "maxPosition"),
    )


def _percent_price(filters: Mapping[str, Filter]) -> PercentPrice | None:
    if sided := filters.get("PERCENT_PRICE_BY_SIDE"):
        return PercentPrice(
            bid_up=sided.bidMultiplierUp,
            bid_down=sided.bidMultiplierDown,
            ask_up=sided.askMultiplierUp,
            ask_down=sided.askMultiplierDown,
        )
    if plain := filters.get("PERCENT_PRICE"):
        return PercentPrice(up=plain.multiplierUp, down=plain.multiplierDown)
    return None
