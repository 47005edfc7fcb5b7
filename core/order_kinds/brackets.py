"""Brackets: an entry whose fills are protected by a stop and a take-profit, of which one takes the other back.

No venue has the whole of it, so it is kept here in every mode. The legs are sent when we hear that the entry filled, as
large as what is open of it, and are resized as the entry fills on, as a leg fills in parts, or as the book behind them
shrinks. They are reduce-only: should both fill within a round trip, neither takes more than the strategy's book. Where
the venue has one-cancels-the-other groups the two legs are one.

A leg whose trigger the market has passed before it came is refused by the venue: what it was to close then goes at the
market. A leg that found nobody to trade with is sent again, at once, then after 1 s, 2 s, 4 s and so on; one that is
canceled by the strategy, or that the venue ends for another reason, is not.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from core.events import OrderFilled, OrderRejected, Side, Signal
from core.exact import MATH, ONE, ZERO
from core.moments import SECOND_NS
from core.order_kinds.emulation import Emulation
from core.orders import TERMINAL, TRIGGERED, Order, OrderStatus, OrderTerms
from core.proposals import Proposals

BPS = Decimal(10_000)
AGAIN = frozenset({"no_liquidity", "slippage", "oco"})
"""Reasons for which a leg ends before everything is closed: triggered into a thin book, or ended by the venue because
the other had filled in part. What is left is asked for again."""
LONGEST_WAIT_NS = 60 * SECOND_NS
"""Between two tries to close what nobody takes."""
LegName = Literal["stop", "target"]


class Leg(msgspec.Struct):
    """One side of a bracket: where it acts, and the order that does."""

    name: LegName
    price: Decimal | None
    distance: Decimal | None
    bps: Decimal | None
    rests: bool = False
    """A limit order instead of a trigger."""
    order: Order | None = None
    asked: Decimal = ZERO
    """What the order was asked for; it may have been cut to less."""
    passed: bool = False
    """The market was there before the order was."""
    over: bool = False
    tries: int = 0
    """How often in a row it ended without having found anybody."""
    waits_until: int = 0
    """It is not sent again before, int nanoseconds UTC."""

    @property
    def acts(self) -> bool:
        """Whether its order is closing the position now, and not waiting for a price."""
        order = self.order
        if order is None or order.status in TERMINAL or order.waits_for_trigger:
            return False
        return order.terms.type == "market" or order.terms.type in TRIGGERED

    def acts_at(self, average: Decimal, outward: int) -> Decimal:
        """The price, from the entry's average; `outward` is 1 where it lies above."""
        if self.price is not None:
            return self.price
        if self.distance is not None:
            return MATH.add(average, self.distance * outward)
        assert self.bps is not None
        return MATH.multiply(average, MATH.add(ONE, MATH.divide(self.bps * outward, BPS)))


class Bracket(msgspec.Struct):
    """An entry, maybe of several orders one after the other, and its legs."""

    entry: Order
    trigger_by: str
    legs: list[Leg]
    entered: Decimal = ZERO
    value: Decimal = ZERO
    """Sum of price x qty of the entry's fills."""
    closed: Decimal = ZERO
    spent: int = 0
    """How many of the venue's groups have happened: an order that joins such a group never acts."""

    @property
    def group(self) -> str:
        """Name of the venue's group that holds the legs sent from now on."""
        name = self.entry.terms.parent or self.entry.terms.id
        return f"{name}.{self.spent}" if self.spent else name

    @property
    def closer(self) -> Leg | None:
        """The leg that closes the position now; what it leaves is the other's."""
        return next((leg for leg in self.legs if leg.acts or (leg.passed and not leg.over)), None)

    @property
    def open(self) -> Decimal:
        """What is to be protected."""
        return self.entered - self.closed


class Brackets:
    """The brackets of the run."""

    def __init__(self, proposals: Proposals, emulation: Emulation, look_again: Callable[[int], None]) -> None:
        """`look_again(ts)`: `attend` is to be called once all that is learned at `ts` is known."""
        self._proposals = proposals
        self._emulation = emulation
        self._look_again = look_again
        self._entries: dict[str, Bracket] = {}
        self._legs: dict[str, tuple[Bracket, Leg]] = {}
        """Both by order id."""
        self._changed: dict[str, Bracket] = {}
        """By the id of the entry: to be attended to."""

    # --- what the execution engine tells -----------------------------------------------------------------------------

    def open(self, order: Order, signal: Signal) -> None:
        """An entry was proposed."""
        stop = Leg("stop", signal.stop_loss, signal.stop_loss_distance, signal.stop_loss_bps)
        target = Leg("target", signal.take_profit, signal.take_profit_distance, signal.take_profit_bps)
        target.rests = signal.take_profit_type == "limit"
        legs = [leg for leg in (stop, target) if not leg.price is leg.distance is leg.bps is None]
        self._entries[order.terms.id] = Bracket(order, signal.trigger_by, legs)

    def on_fill(self, fill: OrderFilled) -> None:
        """Of an entry or of a leg."""
        bracket = self._entries.get(fill.order_id)
        if bracket is not None:
            bracket.entered += fill.qty
            bracket.value = MATH.fma(fill.price, fill.qty, bracket.value)
        else:
            found = self._legs.get(fill.order_id)
            if found is None:
                return
            bracket = found[0]
            bracket.closed += fill.qty
        self._look_at(bracket, fill.ts)

    def on_rejected(self, event: OrderRejected) -> None:
        """Refused by the venue: because its trigger was passed, or for another reason."""
        found = self._legs.get(event.order_id)
        if found is not None and event.reason.startswith("trigger"):
            found[1].passed = True

    def on_end(self, order_id: str, ts: int) -> None:
        """An order is over."""
        found = self._legs.get(order_id)
        bracket = self._entries.get(order_id) if found is None else found[0]
        if bracket is not None:
            self._look_at(bracket, ts)

    def stands_in(self, old: Order, new: Order) -> None:
        """Another order took the place of an entry or of a leg."""
        bracket, found = self._entries.get(old.terms.id), self._legs.get(old.terms.id)
        if bracket is not None:
            bracket.entry = new
            self._entries[new.terms.id] = bracket
        elif found is not None and found[1].order is old:
            found[1].order = new
            self._legs[new.terms.id] = found

    def move(self, order: Order, signal: Signal) -> bool:
        """New prices for the legs of the bracket that this order opened; False: it opened none, or they are over."""
        bracket = self._entries.get(order.terms.id)
        wished = {"stop": signal.stop_loss, "target": signal.take_profit}
        legs = [] if bracket is None else [leg for leg in bracket.legs if wished[leg.name] is not None and not leg.over]
        for leg in legs:
            leg.price, leg.asked = wished[leg.name], ZERO
            if leg.order is not None and bracket is not None:
                self._send(signal.ts, bracket, leg, leg.order.leaves)
        return bool(legs)

    def is_leg(self, order: Order) -> bool:
        """Whether the order is one that waits for its price to close what an entry opened."""
        return order.terms.id in self._legs and order.terms.type != "market"

    def snapshot(self) -> list[dict[str, Any]]:
        """Every bracket that is not over, encodable, with ids in the place of orders."""
        brackets = {bracket.entry.terms.id: bracket for bracket in self._entries.values()}
        return [
            msgspec.structs.asdict(bracket) | {"entry": order_id, "legs": list(map(self._leg_state, bracket.legs))}
            for order_id, bracket in brackets.items()
        ]

    def _leg_state(self, leg: Leg) -> dict[str, Any]:
        """`orders` are all that were ever sent for it: the fill of one that was replaced may still be under way."""
        orders = [order_id for order_id, (_, one) in self._legs.items() if one is leg]
        return msgspec.structs.asdict(leg) | {"order": leg.order and leg.order.terms.id, "orders": orders}

    # --- keeping them -----------------------------------------------------------------------------------------------

    def attend(self, ts: int) -> None:
        """Make the legs as large as what is open."""
        changed, self._changed = self._changed, {}
        for bracket in changed.values():
            for leg in bracket.legs:
                self._conclude(ts, bracket, leg)
            for leg in bracket.legs:
                self._make_way(ts, bracket, leg)
            for leg in bracket.legs:
                self._attend(ts, bracket, leg)
            if bracket.entry.status in TERMINAL and (not bracket.open or all(leg.over for leg in bracket.legs)):
                self._forget(bracket)

    @staticmethod
    def _conclude(ts: int, bracket: Bracket, leg: Leg) -> None:
        """What the end of a leg's order means for the leg."""
        order = leg.order
        if order is None or order.status not in TERMINAL:
            return
        again, exits = order.reason in AGAIN, order.terms.type == "market"
        leg.over = order.status is not OrderStatus.FILLED and not again and (exits or not leg.passed)
        leg.passed = leg.passed and (again or not exits)
        leg.order = None
        if again and order.terms.oco == bracket.group:
            bracket.spent += 1
        if again and order.reason != "oco":
            wait = SECOND_NS * 2 ** (leg.tries - 1) if leg.tries else 0
            leg.waits_until = ts + min(LONGEST_WAIT_NS, wait)
            leg.tries = 0 if order.filled else leg.tries + 1

    def _make_way(self, ts: int, bracket: Bracket, leg: Leg) -> None:
        """Take back what waits in a group of the venue's that has happened, or beside an order to the market, which
        would find the position locked or spoken for."""
        order, closer = leg.order, bracket.closer
        if order is None or order.pending_cancel or leg.acts:
            return
        is_spent = order.terms.oco not in (None, bracket.group)
        if is_spent or (closer is not None and closer is not leg and closer.passed):
            self._proposals.cancel(ts, order)
            leg.order = None

    def _attend(self, ts: int, bracket: Bracket, leg: Leg) -> None:
        order = leg.order
        if leg.over or (order is not None and order.pending_cancel):  # the strategy takes it back
            return
        if not bracket.open:
            if order is not None:
                self._proposals.cancel(ts, order)
                leg.order = None
            return
        wanted = min(bracket.open, self._proposals.reducing.book(_leaving(bracket.entry.terms)))
        if wanted <= 0:
            return  # closed by something else: the venue, or the cut to the book, ends what is there
        if order is None and bracket.closer not in (None, leg):
            return
        if order is None and ts < leg.waits_until:
            self._look_at(bracket, leg.waits_until)
            return
        if order is None or wanted < order.leaves or (wanted > order.leaves and wanted != leg.asked):
            self._send(ts, bracket, leg, wanted)

    def _send(self, ts: int, bracket: Bracket, leg: Leg, qty: Decimal) -> None:
        """Ask for a leg, in the place of the one that is there."""
        if leg.order is not None:
            self._proposals.cancel(ts, leg.order)
        leg.asked = qty
        leg.order = self._proposals.reduce(ts, self._terms(bracket, leg, qty))
        self._legs[leg.order.terms.id] = (bracket, leg)

    def _terms(self, bracket: Bracket, leg: Leg, qty: Decimal) -> OrderTerms:
        terms, entry = _leaving(bracket.entry.terms), bracket.entry.terms
        instrument = self._proposals.instruments[entry.venue, entry.symbol]
        outward = (1 if entry.side == "buy" else -1) * (1 if leg.name == "target" else -1)
        at = leg.acts_at(MATH.divide(bracket.value, bracket.entered), outward)
        changes = {
            "id": self._proposals.next_id(),
            "qty": qty,
            "type": "market",
            "tag": None if entry.tag is None else f"{entry.tag}.{leg.name}",
            "parent": entry.parent or entry.id,
        }
        if leg.rests:
            changes |= {"type": "limit", "tif": "gtc", "price": instrument.limit_price(at, terms.side)}
        elif not leg.passed:
            kind = "stop_market" if leg.name == "stop" else "take_profit_market"
            trigger = instrument.price_nearest(float(at))
            changes |= {"type": kind, "trigger_price": trigger, "trigger_by": bracket.trigger_by}
        if len(bracket.legs) > 1 and changes["type"] != "market" and self._emulation.keeps_groups(entry.venue):
            changes["oco"] = bracket.group
        return msgspec.structs.replace(terms, **changes)

    def _look_at(self, bracket: Bracket, ts: int) -> None:
        self._changed[bracket.entry.terms.id] = bracket
        self._look_again(ts)

    def _forget(self, bracket: Bracket) -> None:
        self._entries = {key: one for key, one in self._entries.items() if one is not bracket}
        self._legs = {key: one for key, one in self._legs.items() if one[0] is not bracket}


def _leaving(entry: OrderTerms) -> OrderTerms:
    """What a leg has of its entry."""
    side: Side = "sell" if entry.side == "buy" else "buy"
    return OrderTerms(
        entry.id,
        entry.venue,
        entry.symbol,
        entry.position_side,
        entry.strategy,
        entry.session,
        side,
        "market",
        ZERO,
        stp=entry.stp,
        emulated="bracket",
    )
