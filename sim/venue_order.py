"""An order as the venue holds it."""

from __future__ import annotations

from decimal import Decimal

from core.events import OrderType, PositionSide
from core.orders import TERMINAL, OrderStatus, OrderTerms

OwnerKeys = tuple[str, str, PositionSide, str, str]
"""Venue, symbol, position side, strategy, session: whose a request is, in the order in which events carry it."""
EventKeys = tuple[int, int, str, str, PositionSide, str, str, str]
"""What every order event of a venue begins with: `ts`, `ts_venue`, the owner's keys, the order's id."""

ZERO = Decimal(0)
RISES = {
    ("stop_market", "buy"),
    ("stop_limit", "buy"),
    ("take_profit_market", "sell"),
    ("take_profit_limit", "sell"),
}
"""Types that wait for the price to rise; the others with a trigger wait for it to fall."""
TRIGGERED: frozenset[OrderType] = frozenset({"stop_market", "stop_limit", "take_profit_market", "take_profit_limit"})


class VenueOrder:
    """Terms, state, and what the market needs to match it. Most orders never change what stands here as a default."""

    status = OrderStatus.INITIALIZED
    limit_mantissa = 0
    trigger = 0
    trigger_sign = -1
    """1 where it waits for the price to rise, -1 for it to fall."""
    waits_for_trigger = False
    carried = False
    """A taker's rest waiting for the next open."""
    filled = ZERO
    prevented = ZERO
    value = ZERO
    fees = ZERO
    realized = ZERO
    """Of the last fill."""
    plan = 0
    """Grows whenever what was planned for the order no longer holds."""

    def __init__(
        self, terms: OrderTerms, arrived_at: int, *, client_id: str | None = None, direction: str | None = None
    ) -> None:
        self.terms = terms
        self.keys = (terms.venue, terms.symbol, terms.position_side, terms.strategy, terms.session, terms.id)
        """The identity every event about it carries."""
        self.client_id = client_id if client_id is not None else terms.id
        self.arrived_at = arrived_at
        self.sign = 1 if terms.side == "buy" else -1
        self.qty = terms.qty
        self.limit = terms.price
        if terms.type in TRIGGERED:
            rises = direction == "rise" if direction is not None else (terms.type, terms.side) in RISES
            self.trigger_sign = 1 if rises else -1
            self.waits_for_trigger = True

    @property
    def is_open(self) -> bool:
        return self.status not in TERMINAL

    @property
    def leaves(self) -> Decimal:
        return self.qty - self.filled - self.prevented
