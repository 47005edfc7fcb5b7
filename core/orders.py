"""An order's life: its terms, its state, and the table of legal moves.

Every order event of every mode goes through `MOVES`. A move that is not in the table is a violation: the order stays
as it was and the caller is told, so that a fill which arrives before its acknowledgement (live does that) is a row of
the table and not an accident.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from core.errors import InvariantBroken
from core.events import (
    AmendRejected,
    CancelRejected,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    OrderType,
    OrderUnknown,
    PositionSide,
    Side,
    TimeInForce,
)
from core.exact import ZERO


class OrderStatus(StrEnum):
    INITIALIZED = "initialized"
    SUBMITTED = "submitted"
    PENDING_TRIGGER = "pending_trigger"
    ACCEPTED = "accepted"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    EXPIRED_IN_MATCH = "expired_in_match"
    REJECTED = "rejected"
    DENIED = "denied"
    UNKNOWN = "unknown"


TRIGGERED: frozenset[OrderType] = frozenset(
    {"stop_market", "stop_limit", "take_profit_market", "take_profit_limit", "trailing_stop_market"}
)
"""Types that wait for a price before they act."""
S = OrderStatus
TERMINAL = frozenset({S.FILLED, S.CANCELED, S.EXPIRED, S.EXPIRED_IN_MATCH, S.REJECTED, S.DENIED})
OPEN = frozenset({S.SUBMITTED, S.PENDING_TRIGGER, S.ACCEPTED, S.PARTIAL, S.UNKNOWN})
UNTRIGGERED = frozenset({S.INITIALIZED, S.SUBMITTED, S.PENDING_TRIGGER, S.UNKNOWN})
# By their own names for what every order goes through: reading a member off an enum's class costs ten times as much.
INITIALIZED, PENDING_TRIGGER, ACCEPTED, FILLED = S.INITIALIZED, S.PENDING_TRIGGER, S.ACCEPTED, S.FILLED

# Two answers depend on the event's own fields and are marked here by the state they lead to most often:
# OrderAccepted of an order with a trigger leads to PENDING_TRIGGER, OrderFilled with leaves 0 to FILLED, and
# OrderExpired with `reason: stp` to EXPIRED_IN_MATCH. `Order.apply` looks at the field, the table at legality.
MOVES: dict[tuple[OrderStatus, type[OrderEvent]], OrderStatus] = {
    (S.INITIALIZED, OrderDenied): S.DENIED,
    (S.INITIALIZED, OrderSubmitted): S.SUBMITTED,
    (S.SUBMITTED, OrderAccepted): S.ACCEPTED,
    (S.SUBMITTED, OrderRejected): S.REJECTED,
    (S.SUBMITTED, OrderUnknown): S.UNKNOWN,
    # Live: the user stream can overtake the answer to the request.
    (S.SUBMITTED, OrderFilled): S.PARTIAL,
    (S.SUBMITTED, OrderCanceled): S.CANCELED,
    (S.SUBMITTED, OrderExpired): S.EXPIRED,
    (S.SUBMITTED, OrderTriggered): S.ACCEPTED,
    # Our own risk engine refuses an amend before the venue has answered; live, a cancel may overtake the order.
    (S.SUBMITTED, AmendRejected): S.SUBMITTED,
    (S.SUBMITTED, CancelRejected): S.SUBMITTED,
    (S.PENDING_TRIGGER, OrderTriggered): S.ACCEPTED,
    (S.PENDING_TRIGGER, OrderCanceled): S.CANCELED,
    (S.PENDING_TRIGGER, OrderExpired): S.EXPIRED,
    (S.PENDING_TRIGGER, OrderAmended): S.PENDING_TRIGGER,
    (S.PENDING_TRIGGER, AmendRejected): S.PENDING_TRIGGER,
    (S.PENDING_TRIGGER, CancelRejected): S.PENDING_TRIGGER,
    (S.ACCEPTED, OrderFilled): S.PARTIAL,
    (S.ACCEPTED, OrderCanceled): S.CANCELED,
    (S.ACCEPTED, OrderExpired): S.EXPIRED,
    (S.ACCEPTED, OrderAmended): S.ACCEPTED,
    (S.ACCEPTED, AmendRejected): S.ACCEPTED,
    (S.ACCEPTED, CancelRejected): S.ACCEPTED,
    (S.PARTIAL, OrderAccepted): S.PARTIAL,  # the late acknowledgement of an order that already traded
    (S.PARTIAL, OrderFilled): S.PARTIAL,
    (S.PARTIAL, OrderCanceled): S.CANCELED,
    (S.PARTIAL, OrderExpired): S.EXPIRED,
    (S.PARTIAL, OrderAmended): S.PARTIAL,
    (S.PARTIAL, AmendRejected): S.PARTIAL,
    (S.PARTIAL, CancelRejected): S.PARTIAL,
    (S.UNKNOWN, OrderAccepted): S.ACCEPTED,
    (S.UNKNOWN, OrderRejected): S.REJECTED,
    (S.UNKNOWN, OrderFilled): S.PARTIAL,
    (S.UNKNOWN, OrderCanceled): S.CANCELED,
    (S.UNKNOWN, OrderExpired): S.EXPIRED,
    # A cancel or an amend that lost the race against the end of the order: the order stays ended.
    (S.FILLED, CancelRejected): S.FILLED,
    (S.FILLED, AmendRejected): S.FILLED,
    (S.CANCELED, CancelRejected): S.CANCELED,
    (S.CANCELED, AmendRejected): S.CANCELED,
    (S.EXPIRED, CancelRejected): S.EXPIRED,
    (S.EXPIRED, AmendRejected): S.EXPIRED,
    (S.EXPIRED_IN_MATCH, CancelRejected): S.EXPIRED_IN_MATCH,
    (S.EXPIRED_IN_MATCH, AmendRejected): S.EXPIRED_IN_MATCH,
    (S.REJECTED, CancelRejected): S.REJECTED,
    (S.REJECTED, AmendRejected): S.REJECTED,
    # A late acknowledgement of an order that is already over changes nothing.
    (S.FILLED, OrderAccepted): S.FILLED,
    (S.CANCELED, OrderAccepted): S.CANCELED,
    (S.EXPIRED, OrderAccepted): S.EXPIRED,
    (S.EXPIRED_IN_MATCH, OrderAccepted): S.EXPIRED_IN_MATCH,
}
NEXT: dict[type[OrderEvent], dict[OrderStatus, OrderStatus]] = {
    kind: {start: end for (start, of), end in MOVES.items() if of is kind} for _, kind in MOVES
}
"""The same by event: no pair has to be made to look a move up."""


class OrderTerms(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is asked of the venue; never changes (an amend is a request of its own)."""

    id: str
    """Ours, and the client id the venue sees."""
    venue: str
    symbol: str
    position_side: PositionSide
    strategy: str
    session: str
    side: Side
    type: OrderType
    qty: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_by: str = "last"
    tif: TimeInForce | None = None
    """None on a market order: what is left expires, or is carried on bars (`bars.remainder`)."""
    good_till: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    stp: str | None = None
    tag: str | None = None
    emulated_deadline: int | None = None
    """Good-till-date at a venue that has none: we cancel then. Int nanoseconds UTC."""
    quote_qty: Decimal | None = None
    """Size of a market order in quote units, instead of `qty`, which is 0 then."""
    close_position: bool = False
    """Closes all that is held when it acts; `qty` is 0."""
    price_match: str | None = None
    """A peg instead of a price: `opponent`, `queue_5`, …"""
    slippage_tolerance_type: str | None = None
    """`ticks` or `percent`."""
    slippage_tolerance: Decimal | None = None
    activation_price: Decimal | None = None
    """A trailing stop follows the price from here on; None: at once."""
    trail_bps: Decimal | None = None
    """How far it comes back from its best price to fire: basis points of that, or `trail_distance` in quote units."""
    trail_distance: Decimal | None = None
    oco: str | None = None
    """Group of orders of which one alone is to happen, kept by the venue."""
    group: str | None = None
    """The same, kept by us."""
    parent: str | None = None
    """Id of the order that this one belongs to: a bracket's entry, an iceberg's first part, what it stands in for."""
    emulated: str | None = None
    """What the venue does not know of it and we keep ourselves, in words: `day`, `gtd`, `oco`, `bracket`, `iceberg`,
    `trailing`, `close_position`, `amend`."""


def closes_only(order: OrderTerms) -> bool:
    """In hedge mode an order against its side can only close: a sale of `long`, a purchase of `short`."""
    return order.position_side != "net" and (order.position_side == "long") != (order.side == "buy")


class Order(msgspec.Struct, gc=False):
    """An order as we know it. Changed by `apply` alone."""

    terms: OrderTerms
    created_at: int
    status: OrderStatus = INITIALIZED
    qty: Decimal = ZERO
    price: Decimal | None = None
    filled: Decimal = ZERO
    value: Decimal = ZERO
    """Sum of price x qty over the fills, quote units; average price is value / filled."""
    prevented: Decimal = ZERO
    hidden: Decimal = ZERO
    """What of an iceberg waits behind this part of it, base units."""
    pending_cancel: bool = False
    pending_amend: bool = False
    accepted_at: int | None = None
    """When we first heard that the venue has it, int nanoseconds UTC."""
    closed_at: int | None = None
    """When we heard of its end; None while it lives."""
    reason: str = ""
    """Why it was denied, rejected, canceled or expired; empty while it lives and where it was filled."""

    @classmethod
    def of(cls, terms: OrderTerms, now: int) -> Order:
        """A new order with these terms."""
        return cls(terms, now, INITIALIZED, terms.qty, terms.price)

    @property
    def id(self) -> str:
        return self.terms.id

    @property
    def tag(self) -> str | None:
        """The strategy's own name for it."""
        return self.terms.tag

    @property
    def side(self) -> Side:
        return self.terms.side

    @property
    def type(self) -> OrderType:
        return self.terms.type

    @property
    def leaves(self) -> Decimal:
        """What can still be filled: qty - filled - prevented."""
        return self.qty - self.filled - self.prevented

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def waits_for_trigger(self) -> bool:
        """Whether it does nothing yet: it has a trigger that we have not heard of."""
        return self.terms.type in TRIGGERED and self.status in UNTRIGGERED

    @property
    def average_price(self) -> Decimal | None:
        return self.value / self.filled if self.filled else None

    def apply(self, event: OrderEvent) -> bool:
        """Move along the table; False (and nothing changed) where the move is not legal.

        Raises `InvariantBroken` when fills exceed the order: that is never the venue's wording, it is money.
        """
        status = NEXT[type(event)].get(self.status)
        if status is None:
            return False
        if type(event) is OrderFilled:
            status = self._fill(event, status)
        elif type(event) is OrderAccepted:
            if self.accepted_at is None:
                self.accepted_at = event.ts
            if event.pending_trigger and status is ACCEPTED:
                status = PENDING_TRIGGER
        elif type(event) is not OrderSubmitted:
            status = self._change(event, status)
        self.status = status
        if status in TERMINAL and self.closed_at is None:
            self.closed_at = event.ts
            self.pending_cancel = self.pending_amend = False
        return True

    def _fill(self, event: OrderFilled, status: OrderStatus) -> OrderStatus:
        filled, prevented = self.filled + event.qty, self.prevented
        if not self.terms.qty:  # its size was the venue's to work out
            self.qty = filled + event.leaves + prevented
        most = self.qty - prevented if prevented else self.qty
        if filled > most:
            raise InvariantBroken(f"order {self.terms.id}: fills of {filled} exceed its quantity {self.qty}")
        self.filled = filled
        self.value += event.price * event.qty
        return FILLED if filled == most else status

    def _change(self, event: OrderEvent, status: OrderStatus) -> OrderStatus:
        """What the rarer events leave in the order."""
        match event:
            case OrderAmended():
                self.qty, self.price = event.qty, event.price
                self.pending_amend = False
            case OrderExpired():
                self.prevented, self.reason = event.prevented, event.reason
                if event.reason == "stp":
                    return OrderStatus.EXPIRED_IN_MATCH
            case CancelRejected():
                self.pending_cancel = False
            case AmendRejected():
                self.pending_amend = False
            case OrderRejected():
                self.reason = f"{event.message} ({event.code})" if event.code is not None else event.reason
            case OrderDenied() | OrderCanceled():
                self.reason = event.reason
        return status
