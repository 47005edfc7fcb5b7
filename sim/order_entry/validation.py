"""What a venue checks in an order's own terms, before it looks at money or the book (venues.md sections 2 and 4).

First failure wins: (parameters: `sim.order_entry.combinations`), duplicate client id, precision, price filter, percent
price, lot size, notional. Each check names a case; the venue's rules know its code and words for it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from core.instruments import Instrument
from core.orders import OrderTerms
from core.venue_rules import ErrorAnswer, VenueRules
from sim.order_entry.price_bounds import percent_bounds

WIDER = {
    "amend_filled": "amend_same",
    "amend_of_ended": "unknown_amend",
    "amend_of_filled": "unknown_amend",
    "amend_type": "unknown_amend",
    "amend_up": "parameter",
    "cancel_of_ended": "unknown_cancel",
    "cancel_of_filled": "unknown_cancel",
    "client_id": "parameter",
    "close_position": "parameter",
    "close_position_qty": "close_position",
    "combination": "parameter",
    "max_trigger_orders": "max_orders",
    "market_qty": "qty_max",
    "market_qty_min": "market_qty",
    "market_step": "market_qty",
    "notional_max": "notional",
    "peg": "parameter",
    "percent_price_by_side": "percent_price",
    "percent_price_low": "percent_price",
    "percent_price_market": "percent_price",
    "position_side": "parameter",
    "precision_qty": "precision",
    "precision_quote_qty": "precision_qty",
    "price_limit_low": "price_limit",
    "price_max": "price",
    "price_zero": "price",
    "qty_to_zero": "step",
    "qty_zero": "qty_min",
    "quote_qty": "parameter",
    "reduce_only_open": "reduce_only",
    "slippage": "parameter",
    "slippage_percent": "slippage",
    "slippage_ticks": "slippage",
    "stp": "parameter",
    "tif": "parameter",
    "timestamp_ahead": "timestamp",
    "trigger_fall": "trigger",
    "trigger_max": "price_max",
    "trigger_price_kind": "parameter",
    "trigger_zero": "price_zero",
}
"""A case to the one that a venue without words of its own for it answers."""


class Refusal(NamedTuple):
    """Which check failed, and the venue's words for it."""

    case: str
    code: int
    message: str


class Known(NamedTuple):
    """What the venue knows at the moment it judges an order."""

    duplicate: bool
    """Whether the client id is taken."""
    price: Decimal | None
    """The order's own price, pegs resolved; None on market orders."""
    reference: Decimal | None
    """What market orders and multipliers are judged by; None where no price is known yet."""
    best: Decimal | None
    """The best price of the other side, for a market order against PERCENT_PRICE."""


class Failure(NamedTuple):
    """A case, and the limit it broke where there is one to name."""

    case: str
    limit: Decimal | int | None = None


def answer_of(rules: VenueRules, case: str) -> ErrorAnswer:
    """The venue's answer in a case: its own, or that of the next wider case it knows."""
    answer = rules.errors.get(case)
    while answer is None:
        case = WIDER.get(case, "parameter")
        answer = rules.errors.get(case)
    return answer


def refused(rules: VenueRules, case: str, limit: object = None, interval: str = "") -> Refusal:
    """A refusal in the venue's words; `limit` and `interval` stand in the text where it has a place for them."""
    answer = answer_of(rules, case)
    shown = f"{limit.normalize():f}" if isinstance(limit, Decimal) else str(limit)
    message = answer.message
    return Refusal(case, answer.code, message.format(limit=shown, interval=interval) if "{" in message else message)


def first_failure(terms: OrderTerms, instrument: Instrument, rules: VenueRules, known: Known) -> Refusal | None:
    """The first filter that an order fails, a new one or one as it would be amended; None where it passes."""
    failure = ("duplicate" if known.duplicate else None) or (
        _precision(terms, known.price, instrument)
        or _prices(terms, known.price, instrument, rules)
        or _percent_price(terms, instrument, rules, known)
        or _quantity(terms, instrument, rules)
        or _notional(terms, known, instrument)
    )
    if failure is None:
        return None
    return refused(rules, failure) if isinstance(failure, str) else refused(rules, failure.case, failure.limit)


def _precision(terms: OrderTerms, price: Decimal | None, instrument: Instrument) -> str | None:
    """More decimals than the venue takes, of prices and size both, before any filter (venues.md section 2)."""
    if price is not None and price % instrument.price_unit:
        return "precision"
    if terms.trigger_price is not None and terms.trigger_price % instrument.price_unit:
        return "precision"
    return "precision_qty" if terms.qty % instrument.qty_unit else None


def _prices(terms: OrderTerms, price: Decimal | None, instrument: Instrument, rules: VenueRules) -> str | None:
    """PRICE_FILTER, of the limit and of the trigger."""
    for value, zero, most in ((price, "price_zero", "price_max"), (terms.trigger_price, "trigger_zero", "trigger_max")):
        if value is None:
            continue
        low = instrument.min_price
        if value <= 0:
            return zero
        if low is not None and value < low:
            return "price"
        if instrument.max_price is not None and value > instrument.max_price:
            return most
        origin = low if low is not None and rules.grid == "from_minimum" else 0
        if (value - origin) % instrument.tick:
            return "tick"
    return None


def _percent_price(terms: OrderTerms, instrument: Instrument, rules: VenueRules, known: Known) -> Failure | None:
    """PERCENT_PRICE; a market order is judged by the best price it would meet, where the venue has an answer for it."""
    if instrument.percent_price is None or known.reference is None:
        return None
    low, high = percent_bounds(instrument, terms.side, known.reference, rules)
    price = known.price
    if price is None:
        if terms.trigger_price is not None or known.best is None or "percent_price_market" not in rules.errors:
            return None
        outside = (high is not None and known.best > high) or (low is not None and known.best < low)
        return Failure("percent_price_market") if outside else None
    case = "percent_price" if instrument.percent_price.bid_up is None else "percent_price_by_side"
    if high is not None and price > high:
        return Failure(case, high)
    if low is not None and price < low:
        return Failure("percent_price_low" if "percent_price_low" in rules.errors else case, low)
    return None


def _quantity(terms: OrderTerms, instrument: Instrument, rules: VenueRules) -> str | None:
    """LOT_SIZE, and MARKET_LOT_SIZE for market orders. A size in quote units has no lots."""
    qty = terms.qty
    if terms.close_position or terms.quote_qty is not None:
        return None
    least = instrument.min_qty
    if qty <= 0:
        return "qty_zero" if qty < 0 else "qty_min"
    if qty < instrument.step and "qty_to_zero" in rules.errors:
        return "qty_to_zero"
    if least is not None and qty < least:
        return "qty_min"
    if instrument.max_qty is not None and qty > instrument.max_qty:
        return "qty_max"
    shifted = least is not None and rules.grid == "from_minimum"
    if (qty - least if shifted and least is not None else qty) % instrument.step:
        return "step"
    if terms.type != "market":
        return None
    least = instrument.market_min_qty
    if instrument.market_max_qty is not None and qty > instrument.market_max_qty:
        return "market_qty"
    if least is not None and qty < least:
        return "market_qty_min"
    shifted = least is not None and rules.grid == "from_minimum"
    if instrument.market_step and (qty - least if shifted and least is not None else qty) % instrument.market_step:
        return "market_step"
    return None


def _notional(terms: OrderTerms, known: Known, instrument: Instrument) -> Failure | None:
    """NOTIONAL: at the order's price, else its trigger, else the reference. What only reduces is exempt."""
    if terms.reduce_only or terms.close_position:
        return None
    if terms.quote_qty is not None:
        notional = terms.quote_qty
    else:
        price = known.price if known.price is not None else terms.trigger_price or known.reference
        if price is None:
            return None
        notional = price * terms.qty
    if instrument.min_notional is not None and notional < instrument.min_notional:
        return Failure("notional", instrument.min_notional)
    if instrument.max_notional is not None and notional > instrument.max_notional:
        return Failure("notional_max", instrument.max_notional)
    return None
