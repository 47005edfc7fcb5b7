"""An order as the venue holds it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from core.events import PositionSide
from core.exact import ZERO
from core.orders import TERMINAL, TRIGGERED, OrderStatus, OrderTerms, closes_only

OwnerKeys = tuple[str, str, PositionSide, str, str]
"""Venue, symbol, position side, strategy, session: whose a request is, in the order in which events carry it."""
EventKeys = tuple[int, int, str, str, PositionSide, str, str, str]
"""What every order event of a venue begins with: `ts`, `ts_venue`, the owner's keys, the order's id."""
Cause = tuple[str, int, int]
"""The row of a tape that made a fill happen: the tape's id, the row, and its engine time, of a bar its open."""

RISES = {
    ("stop_market", "buy"),
    ("stop_limit", "buy"),
    ("take_profit_market", "sell"),
    ("take_profit_limit", "sell"),
    ("trailing_stop_market", "buy"),
}
"""Types that wait for the price to rise; the others with a trigger wait for it to fall."""


class VenueOrder:
    """Terms, state, and what the market needs to match it. Most orders never change what stands here as a default."""

    status = OrderStatus.INITIALIZED
    limit_mantissa = 0
    trigger = 0
    trail = 0
    trail_ppm = 0
    """How far a trailing stop follows the price: mantissa, or millionths of its best price."""
    trail_best: Fraction | int | None = None
    """The best price a trailing stop has seen on bars until `trail_since`, mantissa; None before it is active."""
    trail_since: int | None = None
    """From when on it follows the bar in hand."""
    trail_next: Fraction | int | None = None
    """What `trail_best` will be when that bar is over."""
    trail_level: Fraction | int = 0
    """Where the bar in hand fires it."""
    pulled_at: Decimal | None = None
    """The mark or index price that fired a trailing stop."""
    only_reduces = False
    """Asked to by its flag, or closing by nature in hedge mode."""
    trigger_sign = -1
    """1 where it waits for the price to rise, -1 for it to fall."""
    waits_for_trigger = False
    triggered = False
    acts_at: int | None = None
    """Engine time at which it acts, its trigger having been pulled; None where that does not take time."""
    listed = False
    """Whether it is among the venue's open orders: what ends as it enters never is."""
    carried = False
    """A taker, or what is left of one, waiting for the next open."""
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
        side = terms.position_side
        self.terms = terms
        self.keys = (terms.venue, terms.symbol, side, terms.strategy, terms.session, terms.id)
        """The identity every event about it carries."""
        self.client_id = terms.id if client_id is None else client_id
        self.arrived_at = arrived_at
        self.sign = 1 if terms.side == "buy" else -1
        if terms.reduce_only or (side != "net" and closes_only(terms)):
            self.only_reduces = True
        self.qty = terms.qty
        self.limit = terms.price
        if terms.type in TRIGGERED:
            rises = direction == "rise" if direction is not None else (terms.type, terms.side) in RISES
            self.trigger_sign = 1 if rises else -1
            self.waits_for_trigger = True

    @property
    def never_takes(self) -> bool:
        """Post-only, as every RPI order is by nature."""
        return self.terms.post_only or self.terms.tif == "rpi"

    @property
    def is_open(self) -> bool:
        return self.status not in TERMINAL

    @property
    def leaves(self) -> Decimal:
        return self.qty - self.filled - self.prevented
