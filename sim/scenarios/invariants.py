"""The invariants of F16 as a witness that watches a run: it sees every event and says which rule was broken.

Written from the events alone; of the order it reads only what the venue claims, to hold it against its own count.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.events import (
    AmendRejected,
    CancelRejected,
    Event,
    FundingPaid,
    OrderCanceled,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    PositionLiquidated,
)
from core.exact import MATH, ZERO
from core.instruments import Instrument
from sim.account import VenueAccount
from sim.venue_order import VenueOrder

UNCHANGED = (CancelRejected, AmendRejected)
"""Answers that may follow an order's end."""


class Witness:
    """Sees events in the order in which they happen; `broken` is what did not hold, a sentence each."""

    def __init__(self, account: VenueAccount, instruments: Mapping[str, Instrument]) -> None:
        self.broken: list[str] = []
        self._account = account
        self._instruments = instruments
        self._balances = dict(account.balances)
        self._positions = {symbol: account.position_qty(symbol) for symbol in instruments}
        self._filled: dict[str, Decimal] = {}
        self._ended: dict[str, str] = {}
        self._heard: dict[str, int] = {}

    def see(self, event: Event, order: VenueOrder | None) -> None:
        """One event, with the state just after it."""
        if isinstance(event, FundingPaid | PositionLiquidated):
            self._settled(event)
        if not isinstance(event, OrderEvent):
            return
        self._times(event, order)
        name = event.order_id
        if name in self._ended and not isinstance(event, UNCHANGED):
            self._say(name, f"{type(event).__name__} after its end by {self._ended[name]}")
        if isinstance(event, OrderFilled) and order is not None:
            self._fill(event, order)
        is_over = isinstance(event, OrderRejected | OrderCanceled | OrderExpired)
        if is_over or (isinstance(event, OrderFilled) and not event.leaves):
            self._ended[name] = type(event).__name__

    def close(self) -> None:
        """The end of the run: what the ledger holds is what it began with and what the fills moved."""
        for asset in sorted(self._balances.keys() | self._account.balances.keys()):
            expected, found = self._balances.get(asset, ZERO), self._account.balances.get(asset, ZERO)
            if expected != found:
                self.broken.append(f"the fills leave {expected} {asset}, the venue's ledger holds {found}")
        for symbol, expected in self._positions.items():
            found = self._account.position_qty(symbol)
            if self._account.kind == "linear" and expected != found:
                self.broken.append(f"the fills leave a position of {expected} {symbol}, the venue holds {found}")

    def _times(self, event: OrderEvent, order: VenueOrder | None) -> None:
        engine = event.ts_venue
        if engine is None:  # the request was lost: no venue spoke
            return
        if event.ts < engine:
            self._say(event.order_id, f"{type(event).__name__} heard at {event.ts}, before it happened at {engine}")
        if order is not None and engine < order.arrived_at:
            self._say(
                event.order_id, f"{type(event).__name__} at {engine}, before the order came at {order.arrived_at}"
            )
        last = self._heard.get(event.session, event.ts)
        if event.ts < last:
            self._say(event.order_id, f"heard at {event.ts} on session {event.session}, after something of {last}")
        self._heard[event.session] = max(last, event.ts)

    def _fill(self, event: OrderFilled, order: VenueOrder) -> None:
        name, sign = event.order_id, 1 if event.side == "buy" else -1
        filled = self._filled[name] = self._filled.get(name, ZERO) + event.qty
        if filled != order.filled:
            self._say(name, f"its fills add up to {filled}, the venue says {order.filled}")
        if filled > order.qty or event.qty <= 0:
            self._say(name, f"a fill of {event.qty} brings it to {filled} of {order.qty}")
        if order.limit is not None and sign * (event.price - order.limit) > 0:
            self._say(name, f"filled at {event.price}, beyond its limit {order.limit}")
        if event.liquidity == "maker" and event.price != order.limit:
            self._say(name, f"a maker filled at {event.price} instead of its own price {order.limit}")
        self._move(event.fee_asset, -event.fee)
        instrument = self._instruments[event.symbol]
        if self._account.kind == "spot":
            self._move(instrument.base, sign * event.qty)
            self._move(instrument.quote, -sign * MATH.multiply(event.price, event.qty))
        else:
            self._move(instrument.quote, order.realized)
            self._positions[event.symbol] += sign * event.qty

    def _settled(self, event: FundingPaid | PositionLiquidated) -> None:
        """What the venue did by itself moves the wallet, and a forced close ends so much of a position."""
        quote = self._instruments[event.symbol].quote
        if isinstance(event, FundingPaid):
            self._move(quote, event.amount)
            return
        self._move(quote, event.realized_pnl - event.fee + event.insured)
        held = self._positions[event.symbol]
        side = {"long": 1, "short": -1, "net": 1 if held > 0 else -1}[event.position_side]
        self._positions[event.symbol] = held - side * event.qty
        alone = self._account.collateral is None
        if alone and event.cause == "liquidation" and self._account.balances.get(quote, ZERO) < 0:
            self.broken.append(f"a liquidation of {event.symbol} left the wallet below 0")

    def _move(self, asset: str, amount: Decimal) -> None:
        self._balances[asset] = self._balances.get(asset, ZERO) + amount

    def _say(self, order: str, what: str) -> None:
        self.broken.append(f"order {order}: {what}")
