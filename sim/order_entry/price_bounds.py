"""How far from a reference price an order may be written or may trade: the formulas of venues.md section 2.

Exact decimals in quote units. Each bound is (low, high); None is a side that is not bound.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.events import Side
from core.exact import MATH, ZERO
from core.instruments import Instrument
from core.market.price_filters import PriceLimit
from core.venue_rules import VenueRules

Bounds = tuple[Decimal | None, Decimal | None]


def percent_bounds(instrument: Instrument, side: Side, reference: Decimal, rules: VenueRules) -> Bounds:
    """PERCENT_PRICE around the reference price; (None, None) without the filter."""
    if instrument.percent_price is None:
        return None, None
    down, up = instrument.percent_price.multipliers(side, one_sided=rules.percent_price == "one_sided")
    return _times(reference, down), _times(reference, up)


def highest_buy(limit: PriceLimit, base: Decimal, index: Decimal, premium: Decimal, tick: Decimal) -> Decimal:
    """maxBuy = min(M(1+Y), max(I, M(1+X) + max(0, premium))), down onto the tick. M is `base`, all in quote units."""
    near = MATH.add(MATH.multiply(base, 1 + limit.x), max(ZERO, premium))
    return _on_tick(min(MATH.multiply(base, 1 + limit.y), max(index, near)), tick, ROUND_FLOOR)


def lowest_sell(limit: PriceLimit, base: Decimal, index: Decimal, premium: Decimal, tick: Decimal) -> Decimal:
    """minSell = max(M(1-Y), min(I, M(1-X) + min(0, premium))), up onto the tick."""
    near = MATH.add(MATH.multiply(base, 1 - limit.x), min(ZERO, premium))
    return _on_tick(max(MATH.multiply(base, 1 - limit.y), min(index, near)), tick, ROUND_CEILING)


def tolerated(best: Decimal, side: Side, kind: str, tolerance: Decimal, tick: Decimal) -> Decimal:
    """How far a market order with a slippage tolerance goes from the best price: in `ticks`, or in `percent` of it."""
    sign = 1 if side == "buy" else -1
    if kind == "ticks":
        return MATH.add(best, sign * MATH.multiply(tolerance, tick))
    return MATH.multiply(best, 1 + sign * tolerance / 100)


def around(reference: Decimal, side: Side, fraction: Decimal) -> Decimal:
    """reference x (1 + fraction) for a buyer, x (1 - fraction) for a seller."""
    return MATH.multiply(reference, 1 + fraction if side == "buy" else 1 - fraction)


def _times(reference: Decimal, multiplier: Decimal | None) -> Decimal | None:
    return None if multiplier is None else MATH.multiply(reference, multiplier)


def _on_tick(price: Decimal, tick: Decimal, rounding: str) -> Decimal:
    return MATH.multiply(MATH.divide(price, tick).to_integral_value(rounding), tick)
