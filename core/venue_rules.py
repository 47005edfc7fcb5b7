"""A venue's rules as values: fees, filters, error codes, behaviours. No venue is named outside `adapters/`.

The values live in `adapters/<venue>/rules.yaml`, each with the date it was true; here is only their shape.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from core.notation import Timestamp


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What the venue answers in one case."""

    code: int
    message: str


class DatedInstrument(msgspec.Struct, frozen=True):
    """A symbol's filters as they were from `since` on."""

    since: Timestamp
    tick: Decimal
    step: Decimal
    base: str
    quote: str = "USDT"
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_qty: Decimal | None = None
    max_qty: Decimal | None = None
    market_max_qty: Decimal | None = None
    min_notional: Decimal | None = None


class VenueRules(msgspec.Struct, frozen=True):
    """Everything about a venue that a simulator or a check needs to know."""

    name: str
    kind: Literal["spot", "linear"]
    as_of: Timestamp
    """When these values were true."""
    maker: Decimal
    taker: Decimal
    fee_in: Literal["quote", "received"]
    """`received`: a buyer pays in base, a seller in quote."""
    post_only_cross: Literal["reject", "ack_then_cancel"]
    fok_unfillable: Literal["reject", "expire"]
    gtd: bool
    """Whether the venue has good-till-date orders of its own; where not, the execution engine cancels in time."""
    amend: Literal["qty_down", "price_and_qty"]
    """`qty_down`: only less quantity, and the place is kept."""
    amend_below_filled: Literal["cancel", "reject"]
    order_margin: Literal["notional", "notional_and_fees"]
    errors: dict[str, ErrorAnswer]
    """By case: precision, price, qty_min, qty_max, step, notional, duplicate, funds, post_only, fok, reduce_only,
    unknown_cancel, unknown_amend, amend_same, amend_up, trigger, timestamp."""
    expiry_words: dict[str, str] = {}
    """Our reason of an expiry or a cancel to the venue's word for it."""
    status_words: dict[str, str] = {}
    """Our order status to the venue's word; `canceled_partly`, `expired_partly` where that differs after a fill."""
    gtd_ahead_ms: int = 0
    """A good-till date must lie further ahead than this; its seconds are kept, what is below is dropped."""
    trigger_holds: bool = False
    """Whether an order that waits for its trigger is checked against the funds and holds them while it waits."""
    exec_words: dict[str, str] = {}
    """Our event's name to the venue's word for what happened (Binance `x`); `expired_stp` where STP has its own."""
    ccxt_words: dict[str, str] = {}
    """Our order status to what ccxt makes of the venue's word, where that is not plain from the status."""
    client_ids: Literal["unique_open", "unique_always"] = "unique_open"
    """Whether a client id may be used again once its order is over."""
    recv_window_ms: int = 5000
    """How old a request may be when it reaches the engine, unless it says so itself."""
    clock_ahead_ms: int = 1000
    """How far before a request's own time the engine's clock must not be: it refuses this much and more."""
    order_credit_taker: int = 0
    """What an order's first fill gives back of the order counters, as taker and as maker."""
    order_credit_maker: int = 0
    instruments: dict[str, list[DatedInstrument]] = {}

    def instrument_at(self, symbol: str, at: int | None) -> tuple[DatedInstrument | None, bool]:
        """The filters valid at `at`, and whether that is a guess (only later ones are known)."""
        known = self.instruments.get(symbol)
        if not known:
            return None, False
        valid = [row for row in known if at is None or row.since <= at]
        return (valid[-1], False) if valid else (known[0], True)
