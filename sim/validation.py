"""What a venue checks in an order's own terms, before it looks at money or the market (venues.md sections 2 and 4).

First failure wins: parameters, duplicate client id, precision, price filter, lot size, notional, reduce-only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from core.instruments import Instrument
from core.orders import OrderTerms
from core.venue_rules import VenueRules

NS_PER_MS = 1_000_000


class Refusal(NamedTuple):
    """Which check failed, and the venue's words for it."""

    case: str
    code: int
    message: str


def first_failure(
    terms: OrderTerms,
    instrument: Instrument,
    rules: VenueRules,
    *,
    duplicate: bool,
    position: Decimal,
    reference: Decimal | None,
    at: int,
) -> Refusal | None:
    """The first check that the terms fail; None where they pass. `reference` is the price a market order is judged at.

    `at` is the engine's time, int nanoseconds.
    """
    case = (
        (_parameters(terms, rules, at) if terms.tif == "gtd" or terms.post_only or terms.reduce_only else None)
        or ("duplicate" if duplicate else None)
        or _precision(terms, instrument)
        or (_prices(terms, instrument, rules) if terms.type != "market" else None)
        or _quantity(terms, instrument)
        or _notional(terms, instrument, reference)
        or (_reduces(terms, position) if terms.reduce_only else None)
    )
    if case is None:
        return None
    answer = rules.errors.get(case) or rules.errors["parameter"]
    return Refusal(case, answer.code, answer.message)


def amended_failure(terms: OrderTerms, instrument: Instrument, rules: VenueRules) -> str | None:
    """The first filter that a limit order fails with the price and quantity it would be amended to."""
    return (
        _precision(terms, instrument)
        or _prices(terms, instrument, rules)
        or _quantity(terms, instrument)
        or _notional(terms, instrument, None)
    )


def _parameters(terms: OrderTerms, rules: VenueRules, at: int) -> str | None:
    if terms.reduce_only and rules.kind == "spot":
        return "parameter"
    if terms.tif == "gtd" and (not rules.gtd or terms.good_till is None):
        return "parameter"
    if terms.good_till is not None and terms.good_till <= at + rules.gtd_ahead_ms * NS_PER_MS:
        return "good_till"
    if terms.post_only and (terms.price is None or terms.tif in ("ioc", "fok")):
        return "parameter"
    return None


def _precision(terms: OrderTerms, instrument: Instrument) -> str | None:
    """More decimals than the venue takes, of prices and size both, before any filter (venues.md section 2)."""
    if terms.qty % instrument.qty_unit:
        return "precision"
    if terms.price is not None and terms.price % instrument.price_unit:
        return "precision"
    return "precision" if terms.trigger_price is not None and terms.trigger_price % instrument.price_unit else None


def _prices(terms: OrderTerms, instrument: Instrument, rules: VenueRules) -> str | None:
    for price in (terms.price, terms.trigger_price):
        if price is None:
            continue
        if price <= 0 or (instrument.min_price is not None and price < instrument.min_price):
            return "price"
        if instrument.max_price is not None and price > instrument.max_price:
            return "price_max" if "price_max" in rules.errors else "price"
        if not instrument.on_tick(price):
            return "tick"
    return None


def _quantity(terms: OrderTerms, instrument: Instrument) -> str | None:
    qty = terms.qty
    if qty <= 0 or (instrument.min_qty is not None and qty < instrument.min_qty):
        return "qty_min"
    if instrument.max_qty is not None and qty > instrument.max_qty:
        return "qty_max"
    if qty % instrument.step:
        return "step"
    if terms.type == "market":
        if instrument.market_max_qty is not None and qty > instrument.market_max_qty:
            return "market_qty"
        if instrument.market_min_qty is not None and qty < instrument.market_min_qty:
            return "qty_min"
        if instrument.market_step and qty % instrument.market_step:
            return "step"
    return None


def _notional(terms: OrderTerms, instrument: Instrument, reference: Decimal | None) -> str | None:
    if terms.reduce_only:
        return None
    price = terms.price if terms.price is not None else terms.trigger_price or reference
    if price is None:
        return None
    notional = price * terms.qty
    if instrument.min_notional is not None and notional < instrument.min_notional:
        return "notional"
    if instrument.max_notional is not None and notional > instrument.max_notional:
        return "notional"
    return None


def _reduces(terms: OrderTerms, position: Decimal) -> str | None:
    if not terms.reduce_only:
        return None
    return None if position and (position > 0) != (terms.side == "buy") else "reduce_only"
