"""The words of sections 7 and 8 of the scenario page: which events there are, which keys they and the state can have.

Tables only. What reads a file, what prints an event and what compares state all look here, so a new key is one row.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from sim.scenarios.values import ValueKind


class Value(msgspec.Struct, frozen=True):
    """A leaf: what kind of value, and the words it can be where they are counted."""

    kind: ValueKind
    choices: tuple[str, ...] = ()


class Keys(msgspec.Struct, frozen=True):
    """A mapping with these keys."""

    keys: dict[str, Shape]


class Named(msgspec.Struct, frozen=True):
    """A mapping from names to one shape; `of` says whose names they are."""

    of: Literal["orders", "symbols", "assets"]
    shape: Shape


class Levels(msgspec.Struct, frozen=True):
    """A list of [price, quantity]."""


Shape = Value | Keys | Named | Levels

DECIMAL, TEXT, WHOLE_NUMBER, TIME = Value("decimal"), Value("text"), Value("whole"), Value("time")
STATUS = Value(
    "text",
    (
        "rejected",
        "accepted",
        "pending_trigger",
        "partial",
        "filled",
        "canceled",
        "expired",
        "expired_in_match",
    ),
)
COUNTERS = Keys(dict.fromkeys(("orders_10s", "orders_1m", "orders_1d", "weight_1m"), WHOLE_NUMBER))

ANY_EVENT: dict[str, Shape] = {"engine_at": TIME, "local_at": TIME, "wallet": DECIMAL, "counters": COUNTERS}
ORDER_STATE: dict[str, Shape] = {
    "order": TEXT,
    "symbol": TEXT,
    "side": Value("text", ("buy", "sell")),
    "client_id": TEXT,
    "session": TEXT,
    "status": STATUS,
    "filled": DECIMAL,
    "leaves": DECIMAL,
    "average_price": DECIMAL,
    "queue_ahead": DECIMAL,
    "venue_status": TEXT,
    "venue_exec": TEXT,
}
"""On every event of an order: its state just after."""
RULES = ("walk", "queue", "through", "crossed", "bar", "participation", "self")
CANCEL_REASONS = ("request", "post_only", "amend")
EXPIRE_REASONS = (
    "ioc",
    "fok",
    "no_liquidity",
    "slippage",
    "gtd",
    "stp",
    "reduce_only",
    "liquidation",
    "price_range",
    "oco",
    "trigger_rejected",
)
REFUSAL: dict[str, Shape] = {"code": WHOLE_NUMBER, "message": TEXT}
OWN_KEYS: dict[str, dict[str, Shape]] = {
    "accepted": {},
    "rejected": {**REFUSAL, "reason": TEXT},
    "triggered": {"trigger_price": DECIMAL},
    "filled": {
        "price": DECIMAL,
        "qty": DECIMAL,
        "liquidity": Value("text", ("maker", "taker")),
        "rule": Value("text", RULES),
        "fee": DECIMAL,
        "fee_asset": TEXT,
        "realized_pnl": DECIMAL,
    },
    "amended": {"price": DECIMAL, "qty": DECIMAL},
    "canceled": {"reason": Value("text", CANCEL_REASONS), "venue_reason": TEXT},
    "expired": {"reason": Value("text", EXPIRE_REASONS), "venue_reason": TEXT, "prevented": DECIMAL},
    "cancel_rejected": REFUSAL,
    "amend_rejected": REFUSAL,
    "funding": {"symbol": TEXT, "amount": DECIMAL, "rate": DECIMAL, "mark": DECIMAL, "position": DECIMAL},
    "liquidated": {
        "symbol": TEXT,
        "price": DECIMAL,
        "qty": DECIMAL,
        "cause": Value("text", ("liquidation", "adl")),
        "realized_pnl": DECIMAL,
        "fee": DECIMAL,
        "client_id": TEXT,
    },
}
"""Event name to the keys that only such events have."""
WITHOUT_ORDER = frozenset({"funding", "liquidated"})


def keys_of(event: str) -> dict[str, Shape]:
    """Every key an event of this name can have, its own first: the order in which events are printed."""
    state = {} if event in WITHOUT_ORDER else ORDER_STATE
    return {**OWN_KEYS[event], **state, **ANY_EVENT}


POSITION = {
    "qty": DECIMAL,
    "entry_price": DECIMAL,
    "leverage": DECIMAL,
    "isolated_margin": DECIMAL,
    "unrealized_pnl": DECIMAL,
    "maintenance_margin": DECIMAL,
    "liquidation_price": DECIMAL,
    "bankruptcy_price": DECIMAL,
}
# The page shows the one-way form only; hedge mode mirrors how `account.positions` is written.
HELD = Keys({**POSITION, "long": Keys({**POSITION}), "short": Keys({**POSITION})})
SIDES = Keys({"bids": Levels(), "asks": Levels()})
STATE: dict[str, Shape] = {
    "orders": Named(
        "orders",
        Keys(
            {
                "status": STATUS,
                **dict.fromkeys(("qty", "price", "filled", "leaves", "prevented", "average_price", "fees"), DECIMAL),
                **dict.fromkeys(("client_id", "venue_status", "ccxt_status"), TEXT),
            }
        ),
    ),
    "account": Keys(
        {
            **dict.fromkeys(("wallet", "equity", "free", "realized_pnl", "fees", "funding"), DECIMAL),
            "balances": Named("assets", DECIMAL),
            "locked": Named("assets", DECIMAL),
            "positions": Named("symbols", HELD),
        }
    ),
    "books": Named("symbols", Keys({"queue_ahead": Named("orders", DECIMAL), "available": SIDES, "displayed": SIDES})),
    "counters": COUNTERS,
}
