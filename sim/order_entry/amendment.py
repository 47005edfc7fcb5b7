"""An amend at the venue: refused, turned into a cancel, or done; the place is kept or lost by the venue's rule."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.events import AmendRejected, OrderAmended
from sim.venue_order import EventKeys, OwnerKeys, VenueOrder


def amend(exchange: Any, request: tuple[str, Decimal | None, Decimal, OwnerKeys], at: int) -> None:
    """A request to change an order's price and quantity (the new total) reaches the engine."""
    order_id, price, qty, keys = request
    order = exchange.orders.get(order_id)
    admission = exchange.admission
    answer = (
        admission.amend_refusal(order, exchange.markets[order.terms.symbol], price, qty, at)
        if order is not None and order.is_open
        else admission.absent(order, "amend")
    )
    if answer is not None:
        local = exchange.local_at(keys[4], at)
        exchange.emit(AmendRejected(local, at, *keys, order_id, answer.code, answer.message), order)
    elif qty <= order.filled + order.prevented:
        exchange.matching.cancel(order, at, "amend")
    else:
        _change(exchange, order, price, qty, at)


def _change(exchange: Any, order: VenueOrder, price: Decimal | None, qty: Decimal, at: int) -> None:
    """Put the new terms in force, unless the account or the book says no."""
    market, admission, rules = exchange.markets[order.terms.symbol], exchange.admission, exchange.rules
    market.wake(at)
    acts_now = not order.waits_for_trigger and order.acts_at is None
    price = None if price is None else admission.clamped(order, price, market, at)
    before = (order.qty, order.limit, order.limit_mantissa)
    less = price == before[1] and qty < before[0]
    keeps = rules.amend_place == "keeps_on_less" and less and acts_now
    order.qty, order.limit = qty, price
    if price is not None:
        order.limit_mantissa = int(price.scaleb(market.scale))
    exchange.account.holds.give_back(order.terms.id)
    failed = None if admission.affords(order, market, None) else "funds"
    arrives = acts_now and not keeps  # what keeps its place meets nobody anew
    refuses = arrives and order.never_takes and rules.post_only_cross == "reject"
    if failed is None and refuses and market.crosses(order, at):
        failed = "post_only"
    if failed is not None:
        order.qty, order.limit, order.limit_mantissa = before
        admission.affords(order, market, None)
        answer = admission.refused(failed)
        head: EventKeys = exchange.matching.keys(order, at)
        exchange.emit(AmendRejected(*head, answer.code, answer.message), order)
        return
    if keeps:
        market.shrink(order)
    else:
        market.remove(order)
    ahead = None
    if acts_now:
        ahead = market.queue_ahead(order) if keeps else market.ahead_at(order)
    admission.amended(order, at)
    stamps: EventKeys = exchange.matching.keys(order, at)
    exchange.emit(OrderAmended(*stamps, price, qty, None if ahead is None else float(ahead)), order)
    if order.waits_for_trigger:
        market.place(order, at)
    elif arrives:
        exchange.matching.enter(order, market, at)
