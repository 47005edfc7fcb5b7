"""What we ask for. `Propose…` is a wish of the execution engine; only the RiskEngine answers it with a command.

A gateway takes commands and nothing else, so it can never be handed an unchecked wish.
"""

from __future__ import annotations

from decimal import Decimal

from core.events import Event, PositionSide
from core.orders import OrderTerms


class ProposeOrder(Event, frozen=True, tag=True, gc=False):
    """An order the execution engine would like to place; heard by the RiskEngine alone."""

    order: OrderTerms


class ProposeCancel(Event, frozen=True, tag=True, gc=False):
    """An order the execution engine would like to cancel. Cancels always pass, also when trading is halted."""

    order: OrderTerms


class ProposeAmend(Event, frozen=True, tag=True, gc=False):
    """New price and total quantity for a working order."""

    order: OrderTerms
    price: Decimal | None
    qty: Decimal
    increases: bool
    """Whether the order's quantity grows: only that can be refused while halted."""


class Approved(Event, frozen=True, tag=True, gc=False):
    """A command that passed every risk check. Made by `core.risk` alone, taken by a gateway alone."""

    venue: str
    symbol: str
    position_side: PositionSide
    strategy: str
    session: str
    order_id: str


class SubmitOrder(Approved, frozen=True, tag=True, gc=False):
    order: OrderTerms


class CancelOrder(Approved, frozen=True, tag=True, gc=False):
    """Ask the venue to cancel."""


class AmendOrder(Approved, frozen=True, tag=True, gc=False):
    """Ask the venue for another price and total quantity; what stays is repeated."""

    price: Decimal | None
    qty: Decimal


COMMANDS: tuple[type[Approved], ...] = (SubmitOrder, CancelOrder, AmendOrder)
