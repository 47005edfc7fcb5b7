"""What a venue checks in an order's own terms, before it looks at money or the market (venues.md sections 2 and 4).

First failure wins: parameters, duplicate client id, precision, price filter, lot size, notional, reduce-only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from core.instruments import Instrument
from core.orders import OrderTerms
from core.venue_rules import VenueRules


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
) -> Refusal | None:
    """The first check that the terms fail; None where they pass. `reference` is the price a market order is judged at."""
    case = (
        _parameters(terms, rules)
        or ("duplicate" if duplicate else None)
        or _prices(terms, instrument, rules)
        or _quantity(terms, instrument)
        or _notional(terms, instrument, reference)
        or _reduces(terms, position)
    )
    if case is None:
        return None
    answer = rules.errors.get(case) or rules.errors["parameter"]
    return Refusal(case, answer.code, answer.message)


def _parameters(terms: OrderTerms, rules: VenueRules) -> str | None:
    if terms.reduce_only and rules.kind == "spot":
        return "parameter"
    if terms.tif == "gtd" and (not rules.gtd or terms.good_till is None):
        return "parameter"
    if terms.post_only and (terms.price is None or terms.tif in ("ioc", "fok")):
        return "parameter"
    return None


def _prices(terms: OrderTerms, instrument: Instrument, rules: VenueRules) -> str | None:
    for price in (terms.price, terms.trigger_price):
        if price is None:
            continue
        if _decimals(price) > instrument.price_precision:
            return "precision"
        if price <= 0 or (instrument.min_price is not None and price < instrument.min_price):
            return "price"
        if instrument.max_price is not None and price > instrument.max_price:
            return "price_max" if "price_max" in rules.errors else "price"
        if not instrument.on_tick(price):
            return "tick"
    return None


def _quantity(terms: OrderTerms, instrument: Instrument) -> str | None:
    qty = terms.qty
    if _decimals(qty) > instrument.quantity_precision:
        return "precision"
    if qty <= 0 or (instrument.min_qty is not None and qty < instrument.min_qty):
        return "qty_min"
    if instrument.max_qty is not None and qty > instrument.max_qty:
        return "qty_max"
    if not instrument.on_step(qty):
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


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "prices and sizes are finite"
    return max(0, -exponent)
