"""An order as the venue holds it."""

from __future__ import annotations

from decimal import Decimal

from core.events import OrderType
from core.orders import TERMINAL, OrderStatus, OrderTerms

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
    """Terms, state, and what the market needs to match it."""

    __slots__ = (
        "arrived_at",
        "carried",
        "client_id",
        "direction",
        "fees",
        "filled",
        "keys",
        "limit",
        "limit_mantissa",
        "plan",
        "prevented",
        "qty",
        "realized",
        "sign",
        "status",
        "terms",
        "trigger",
        "trigger_sign",
        "value",
        "waits_for_trigger",
    )

    def __init__(
        self, terms: OrderTerms, arrived_at: int, *, client_id: str | None = None, direction: str | None = None
    ) -> None:
        self.terms = terms
        self.keys = (terms.venue, terms.symbol, terms.position_side, terms.strategy, terms.session, terms.id)
        """The identity every event about it carries."""
        self.client_id = client_id if client_id is not None else terms.id
        self.direction = direction
        self.arrived_at = arrived_at
        self.sign = 1 if terms.side == "buy" else -1
        self.qty = terms.qty
        self.limit = terms.price
        self.limit_mantissa = 0
        self.trigger = 0
        rises = direction == "rise" if direction is not None else (terms.type, terms.side) in RISES
        self.trigger_sign = 1 if rises else -1
        self.waits_for_trigger = terms.type in TRIGGERED
        self.carried = False
        """A taker's rest waiting for the next open."""
        self.status = OrderStatus.INITIALIZED
        self.filled = ZERO
        self.prevented = ZERO
        self.value = ZERO
        self.fees = ZERO
        self.realized = ZERO
        """Of the last fill."""
        self.plan = 0
        """Grows whenever what was planned for the order no longer holds."""

    @property
    def is_open(self) -> bool:
        return self.status not in TERMINAL

    @property
    def leaves(self) -> Decimal:
        return self.qty - self.filled - self.prevented
