"""Events and state in the words of the scenario page: sections 7 and 8, as plain mappings to compare and to print.

Times are int nanoseconds after `start`. An event's mapping is made when the event happens, so that the state in it is
the one just after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from core.events import (
    AmendRejected,
    CancelRejected,
    Event,
    FundingPaid,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
    PositionLiquidated,
)
from core.exact import MATH, ZERO
from core.instruments import Instrument
from core.orders import OrderStatus
from core.venue_rules import VenueRules
from sim.account import VenueAccount
from sim.ledger.maintenance import Maintenance
from sim.ledger.venue_position import VenuePosition
from sim.venue_order import VenueOrder

NAMES: dict[type[Event], tuple[str, tuple[str, ...]]] = {
    OrderAccepted: ("accepted", ()),
    OrderRejected: ("rejected", ("code", "message", "reason")),
    OrderTriggered: ("triggered", ("trigger_price",)),
    OrderFilled: ("filled", ("price", "qty", "liquidity", "rule", "fee", "fee_asset")),
    OrderAmended: ("amended", ("price", "qty")),
    OrderCanceled: ("canceled", ("reason", "venue_reason")),
    OrderExpired: ("expired", ("reason", "venue_reason", "prevented")),
    CancelRejected: ("cancel_rejected", ("code", "message")),
    AmendRejected: ("amend_rejected", ("code", "message")),
}
"""Our events to the page's names, and the fields they have in common."""
CCXT = {
    "rejected": "rejected",
    "pending_trigger": "open",
    "accepted": "open",
    "partial": "open",
    "filled": "closed",
    "canceled": "canceled",
    "expired": "expired",
    "expired_in_match": "expired",
}
"""Our status to ccxt's, where the venue's rules say nothing else."""


# --- events ---------------------------------------------------------------------------------------------------------


def event_of(
    event: OrderEvent,
    order: VenueOrder | None,
    *,
    start: int,
    rules: VenueRules,
    wallet: Decimal,
    counters: Any,
    market: Any,
) -> dict[str, Any]:
    """One event as section 7 names its keys."""
    name, fields = NAMES[type(event)]
    found: dict[str, Any] = {"event": name, "order": event.order_id}
    found |= {field: getattr(event, field) for field in fields}
    if isinstance(event, OrderFilled) and order is not None and rules.kind == "linear":
        found["realized_pnl"] = order.realized
    found |= {"symbol": event.symbol or None, "session": event.session, "wallet": wallet, "counters": counters}
    found["engine_at"] = None if event.ts_venue is None else event.ts_venue - start
    found["local_at"] = event.ts - start
    reason = getattr(event, "reason", None)
    found["venue_exec"] = rules.exec_words.get(f"{name}_{reason}") or rules.exec_words.get(name)
    known = getattr(event, "queue_ahead", None)
    if isinstance(event, OrderAccepted | OrderAmended) and known is not None:
        found["queue_ahead"] = Decimal(repr(known))
    elif order is not None and order.is_open and market is not None:
        found["queue_ahead"] = market.queue_ahead(order)
    if order is not None:
        found |= {
            "side": order.terms.side,
            "client_id": order.client_id,
            "status": str(order.status),
            "filled": order.filled,
            "leaves": order.leaves,
            "average_price": _average(order),
            "venue_status": venue_word(order, rules),
        }
        if isinstance(event, OrderTriggered):
            found["venue_status"] = rules.status_words.get("triggered", found["venue_status"])
    return found


def account_event_of(
    event: FundingPaid | PositionLiquidated, *, start: int, wallet: Decimal | None, counters: Any
) -> dict[str, Any]:
    """What the venue did by itself, as section 7 names its keys."""
    assert event.ts_venue is not None, "the venue does it at its own time"
    found: dict[str, Any] = {"symbol": event.symbol, "wallet": wallet, "counters": counters}
    found |= {"engine_at": event.ts_venue - start, "local_at": event.ts - start}
    if isinstance(event, FundingPaid):
        own = {"amount": event.amount, "rate": event.rate, "mark": event.mark, "position": event.qty}
        return {"event": "funding", **own, **found}
    names = ("price", "qty", "cause", "realized_pnl", "fee")
    own = {name: getattr(event, name) for name in names} | {"client_id": event.client_id or None}
    return {"event": "liquidated", **own, **found}


def venue_word(order: VenueOrder, rules: VenueRules) -> str | None:
    """The venue's word for an order's status."""
    return _partly(order, rules.status_words) or rules.status_words.get(str(order.status))


def ccxt_word(order: VenueOrder, rules: VenueRules) -> str | None:
    """What ccxt makes of that word."""
    status = str(order.status)
    return _partly(order, rules.ccxt_words) or rules.ccxt_words.get(status) or CCXT.get(status)


def _partly(order: VenueOrder, words: Mapping[str, str]) -> str | None:
    return words.get(f"{order.status}_partly") if order.filled else None


def _average(order: VenueOrder) -> Decimal | None:
    return MATH.divide(order.value, order.filled) if order.filled else None


# --- state ----------------------------------------------------------------------------------------------------------


def orders_of(orders: Iterable[VenueOrder], rules: VenueRules) -> dict[str, Any]:
    """Every order the venue has seen, by our handle."""
    return {
        order.terms.id: {
            "status": str(order.status),
            "qty": order.qty,
            "price": order.limit,
            "filled": order.filled,
            "leaves": order.leaves,
            "prevented": order.prevented,
            "average_price": _average(order),
            "fees": order.fees,
            "client_id": order.client_id,
            "venue_status": venue_word(order, rules),
            "ccxt_status": ccxt_word(order, rules),
        }
        for order in orders
        if order.status is not OrderStatus.INITIALIZED
    }


def account_state(
    account: VenueAccount,
    instruments: Mapping[str, Instrument],
    settle: str,
    price_of: Callable[[str], Decimal | None],
) -> dict[str, Any]:
    """The venue's account; `price_of` is a symbol's last price, None where none is known. Its equity is that of the
    settle asset, or (in the account's currency) of all assets where they stand together."""
    assets = sorted({*account.balances, *(i.base for i in instruments.values() if account.kind == "spot"), settle})
    wallet = account.balances.get(settle, ZERO)
    equity: Decimal | None = wallet
    positions: dict[str, Any] = {}
    for symbol, instrument in instruments.items():
        price = price_of(symbol)
        if account.kind == "spot":
            held = account.balances.get(instrument.base, ZERO)
            worth = ZERO if not held else None if price is None else MATH.multiply(held, price)
        else:
            positions[symbol], worth = _held(account, symbol, price)
            worth = worth if instrument.quote == settle else ZERO
        equity = None if equity is None or worth is None else equity + worth
    if account.collateral is not None:
        equity = account.collateral.worth(account.equities(), account.value_of)
    return {
        "wallet": wallet,
        "equity": equity,
        "free": account.free(settle),
        "balances": {asset: account.balances.get(asset, ZERO) for asset in assets},
        "locked": {asset: account.holds.of(asset) for asset in assets},
        "realized_pnl": account.realized_pnl,
        "fees": account.fees.get(settle, ZERO),
        "funding": account.funding.get(settle, ZERO),
        "positions": positions,
    }


def _held(account: VenueAccount, symbol: str, price: Decimal | None) -> tuple[dict[str, Any], Decimal | None]:
    """A symbol's position, or in hedge mode its two sides beside their net; and what is unrealized in all."""
    if not account.hedged:
        found = _position(account, symbol, account.position(symbol), price)
        return found, found["unrealized_pnl"]
    long = _position(account, symbol, account.position(symbol, "long"), price)
    short = _position(account, symbol, account.position(symbol, "short"), price)
    known = [side["unrealized_pnl"] for side in (long, short)]
    worth = None if None in known else sum(known, ZERO)
    net = {"qty": long["qty"] + short["qty"], "leverage": account.leverage(symbol), "unrealized_pnl": worth}
    return {**net, "long": long, "short": short}, worth


def _position(
    account: VenueAccount, symbol: str, position: VenuePosition | None, price: Decimal | None
) -> dict[str, Any]:
    if position is None or not position.qty:
        flat = {"qty": ZERO, "entry_price": None, "leverage": account.leverage(symbol), "isolated_margin": ZERO}
        return {**flat, "unrealized_pnl": ZERO, "maintenance_margin": ZERO}
    margin = Maintenance(account)
    return {
        "qty": position.qty,
        "entry_price": position.entry_price,
        "leverage": position.leverage,
        "isolated_margin": position.margin if account.margin_mode == "isolated" else ZERO,
        "unrealized_pnl": None if price is None else position.unrealized(price),
        "maintenance_margin": margin.of(position),
        "liquidation_price": margin.liquidation_price(position),
        "bankruptcy_price": margin.bankruptcy_price(position),
    }
