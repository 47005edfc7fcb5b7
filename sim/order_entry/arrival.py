"""What a venue works out when an order arrives: pegged prices, sizes in quote units, prices as the market's numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sim.account import VenueAccount
from sim.venue_order import VenueOrder


def close_whole(order: VenueOrder, account: VenueAccount) -> None:
    """Size an order that closes a position, as it enters: all that is held on the other side, be it nothing."""
    held = account.position_qty(order.terms.symbol, order.terms.position_side)
    order.qty = abs(held) if held * order.sign < 0 else Decimal(0)
    order.only_reduces = True


def work_out(order: VenueOrder, market: Any, at: int) -> None:
    """Fill in what the order's terms leave to the venue at engine time `at`."""
    terms = order.terms
    if terms.price_match is not None:
        peg, _, level = terms.price_match.partition("_")
        side = terms.side if peg == "queue" else "sell" if terms.side == "buy" else "buy"
        order.limit = market.nth_price(side, int(level or 1))
    if terms.quote_qty is not None:
        order.qty = market.qty_for_quote(order, terms.quote_qty, at)
    if order.limit is not None:
        order.limit_mantissa = int(order.limit.scaleb(market.scale))
    if not order.waits_for_trigger:
        return
    first = terms.activation_price if terms.type == "trailing_stop_market" else terms.trigger_price
    if first is not None:
        order.trigger = int(first.scaleb(market.scale))
    if terms.trail_distance is not None:
        order.trail = max(1, int(terms.trail_distance.scaleb(market.scale)))
    elif terms.trail_bps is not None:
        order.trail_ppm = max(1, int(terms.trail_bps * 100))
