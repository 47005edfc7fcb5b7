"""The ExecutionEngine: signals become orders, and every order's life is followed.

A signal is sized here (quantity, notional, fraction of capital, target), put onto the instrument's grid, and proposed
to the RiskEngine. What cannot be an order is denied with the reason; a target that is reached already sends nothing and
is counted. What a venue does not have of an order is kept by the parts that are named here: icebergs, one-cancels-the-
other groups, brackets, trailing stops, close-position orders, amends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from core.bus import Subscription
from core.events import (
    CancelRejected,
    Event,
    MarketEvent,
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
    Side,
    Signal,
    StrategyFailed,
    TimeInForce,
    TimerFired,
)
from core.exact import ZERO
from core.hosting.contradictions import LIMIT_TYPES
from core.instruments import Instrument
from core.order_kinds.amendments import Amendments
from core.order_kinds.brackets import Brackets
from core.order_kinds.closing_orders import ClosingOrders
from core.order_kinds.emulation import Emulation, emulated, opens_bracket, says_more
from core.order_kinds.icebergs import Icebergs
from core.order_kinds.oco_groups import OcoGroups
from core.order_kinds.trailing_orders import TrailingOrders
from core.orders import TERMINAL, Order, OrderStatus, OrderTerms, closes_only
from core.portfolio import Portfolio
from core.ports import Clock, IdSource
from core.proposals import DEADLINE, Proposals
from core.venue_rules import VenueRules
from core.working import WorkingOrders

KEPT = "kept orders"
"""Owner of the timer that looks after what is kept here, once everything of a moment is known."""

KEPT_EVENTS = (OrderTriggered, OrderRejected, OrderDenied, OrderCanceled, OrderExpired, CancelRejected)


class ExecutionEngine:
    """Hears `Signal`; publishes proposals. Order events move the orders it made along their table (`core.working`)."""

    def __init__(
        self,
        *,
        instruments: dict[tuple[str, str], Instrument],
        portfolio: Portfolio,
        working: WorkingOrders,
        ids: IdSource,
        publish: Callable[[Event], None],
        sessions: dict[str, str],
        capital: dict[str, Decimal],
        clock: Clock,
        rules: Mapping[str, VenueRules],
        shared: Collection[tuple[str, str]] = (),
    ) -> None:
        self._instruments = instruments
        self._portfolio = portfolio
        self._working = working
        self._next_id = ids.next
        self._sessions = sessions
        self._capital = capital
        """What a strategy's fractions refer to, quote units; the account's equity where a strategy names none."""
        self._clock = clock
        self.unsent: Counter[str] = Counter()
        """Signals that needed no order, by reason: `target reached`, `below the step`, …"""
        self._proposals = Proposals(
            instruments=instruments, portfolio=portfolio, working=working, ids=ids, publish=publish, clock=clock
        )
        self._place, self._trouble = self._proposals.place, self._proposals.trouble
        self._reducing = self._proposals.reducing
        self._emulation = Emulation(rules, shared)
        self._amendments = Amendments(self._proposals, self._emulation)
        self._icebergs = Icebergs(self._proposals)
        self._groups = OcoGroups(self._proposals, self._look_again)
        self._brackets = Brackets(self._proposals, self._emulation, self._look_again)
        self._trailing = TrailingOrders(self._proposals, portfolio)
        self._closing = ClosingOrders(self._proposals, self._emulation, portfolio, self._look_again)
        self._keeps = False
        """Whether anything was ever kept here."""
        self._looks_at: int | None = None
        """When the timer that looks after it fires, int nanoseconds UTC; None while it is not set."""
        self._fills: Subscription | None = None
        self._events: Subscription | None = None
        self._prices: Subscription | None = None

    def hear(self, fills: Subscription, events: Subscription, prices: Subscription) -> None:
        """Our places on the bus for fills, rarer order events and prices: they rest until something is kept here."""
        self._fills, self._events, self._prices = fills, events, prices
        for place in (fills, events, prices):
            place.listen(False)

    def snapshot(self) -> dict[str, Any]:
        """What is kept for venues that do not have it, encodable: a restart needs it beside the open orders."""
        return {
            "brackets": self._brackets.snapshot(),
            "icebergs": self._icebergs.snapshot(),
            "groups": self._groups.snapshot(),
            "trailing": self._trailing.snapshot(),
            "closing": self._closing.snapshot(),
            "amendments": self._amendments.snapshot(),
        }

    # --- bus handlers -----------------------------------------------------------------------------------------------

    def on_signal(self, signal: Signal) -> None:
        """Turn a wish into proposals."""
        if signal.side is not None:
            self._order(signal)
        elif signal.cancel:
            self._cancel(signal)
        elif signal.amend is not None:
            self._amend(signal)
        else:
            self._target(signal, ZERO if signal.close else signal.target or ZERO)

    def on_timer(self, event: TimerFired) -> None:
        """The end of an order that the venue does not end, or time to look after what is kept here."""
        if event.owner == DEADLINE:
            order = self._working.all[event.name]
            if order.is_open:
                self._take_back(event.ts, order)
        elif event.owner == KEPT:
            self._looks_at = None
            self._groups.attend(event.ts)
            self._brackets.attend(event.ts)
            for old, new in self._closing.attend(event.ts):
                self._stands_in(old, new)

    def on_fill(self, fill: OrderFilled) -> None:
        """Heard after the portfolio: reduce-only orders that ask for more than is left of their book are cut to it.

        What is left of one is asked for anew, with a new id and the same tag: a stop cannot be amended everywhere.
        """
        order = self._working.all[fill.order_id]
        if self._keeps:
            self._groups.on_event(fill)
            self._brackets.on_fill(fill)
            self._closing.on_fill(fill)
            following = self._icebergs.on_fill(fill, order)
            if following is not None:
                self._stands_in(order, following)
            if order.status in TERMINAL:
                self._over(order, fill.ts)
        for other, stays in self._reducing.excess(fill.venue, fill.symbol):
            if other.terms.oco is not None and other.terms.oco == order.terms.oco:
                continue  # the venue has ended it
            self._proposals.cancel(fill.ts, other)
            if stays:
                terms = msgspec.structs.replace(other.terms, id=self._next_id(), price=other.price, qty=stays)
                self._stands_in(other, self._proposals.reduce(fill.ts, terms))

    def on_order_event(self, event: OrderEvent) -> None:
        """Triggered, rejected, denied, canceled, expired, cancel rejected: only where something is kept here."""
        order = self._working.all[event.order_id]
        if type(event) is OrderTriggered:
            self._groups.on_event(event)
        elif type(event) is CancelRejected:
            self._amendments.forget(event.order_id)
        elif order.status in TERMINAL:
            if type(event) is OrderRejected:
                self._brackets.on_rejected(event)
                self._trailing.on_rejected(event, order)
                self._closing.on_rejected(event, order)
            following = self._amendments.on_canceled(event.ts, order) if order.status is OrderStatus.CANCELED else None
            if following is not None:
                self._stands_in(order, following)
            self._over(order, event.ts)

    def on_price(self, event: MarketEvent) -> None:
        """Heard after the portfolio, while a trailing stop is moved here."""
        if self._trailing.moving:
            for old, new in self._trailing.on_price(event.ts, event.venue, event.symbol):
                self._stands_in(old, new)
        elif self._prices is not None:
            self._prices.listen(False)

    def on_strategy_failed(self, event: StrategyFailed) -> None:
        """A strategy that failed has no more say: its working orders are canceled, its positions stay."""
        for order in self._working.open_of(event.strategy):
            self._take_back(event.ts, order)

    # --- orders -----------------------------------------------------------------------------------------------------

    def _order(self, signal: Signal) -> None:
        instrument = self._instruments[signal.venue, signal.symbol]
        assert signal.side is not None
        price = None if signal.price is None else instrument.limit_price(signal.price, signal.side)
        qty, trouble = self._size(signal, instrument, price)
        terms = self._terms(signal, instrument, signal.side, qty, price)
        if says_more(signal):
            self._say_more(signal, terms, trouble)
        elif trouble is None and (signal.reduce_only or closes_only(terms)):
            self._hear_fills()
            self._proposals.reduce(signal.ts, terms)
        else:
            self._place(signal.ts, terms, trouble or self._trouble(terms))

    def _say_more(self, signal: Signal, terms: OrderTerms, trouble: str | None) -> None:
        """An order with something that not every venue has."""
        self._keep()
        ts, reduces = signal.ts, signal.reduce_only or closes_only(terms)
        trouble = self._emulation.refusal(signal) or trouble
        terms = self._emulation.fitted(signal, terms)
        group = None
        if signal.oco is not None:
            group = self._groups.id_of(signal.oco, terms)
            ours = {"group": group, "emulated": emulated(terms, "oco")}
            native = self._emulation.keeps_groups(terms.venue)
            terms = msgspec.structs.replace(terms, **({"oco": group} if native else ours))
        if opens_bracket(signal):
            terms = msgspec.structs.replace(terms, emulated=emulated(terms, "bracket"))
        if signal.close_position:
            order = self._closing.place(ts, terms, trouble)
        elif signal.iceberg is not None:
            order = self._icebergs.place(ts, terms, signal.iceberg, trouble, reduces=reduces)
        elif terms.type == "trailing_stop_market" and not self._emulation.trails(terms):
            order = self._trailing.place(ts, terms, trouble, reduces=reduces)
            if self._prices is not None:
                self._prices.listen(True)
        elif reduces and trouble is None:
            order = self._proposals.reduce(ts, terms)
        else:
            order = self._place(ts, terms, trouble or self._trouble(terms))
        if signal.quote_qty is not None:
            order.qty = self._worth(signal)
        if signal.oco is not None and group is not None:
            self._groups.join(signal.oco, group, order)
        if opens_bracket(signal):
            self._brackets.open(order, signal)

    def _size(self, signal: Signal, instrument: Instrument, price: Decimal | None) -> tuple[Decimal, str | None]:
        """The order's quantity on the step, and why there is none."""
        wished = signal.qty
        if wished is None:
            if signal.quote_qty is not None or signal.close_position:
                return ZERO, None  # the venue, or the book, says how much
            at = price if price is not None else self._portfolio.mark(signal.venue, signal.symbol)
            if at is None:
                return ZERO, f"no price of {signal.symbol} is known yet, so a notional cannot become a quantity"
            if not at:
                return ZERO, f"price {signal.price} is below one tick ({instrument.tick:f}) of {signal.symbol}"
            notional = signal.notional
            if notional is None:
                assert signal.fraction is not None
                capital = self._capital.get(signal.strategy)
                if capital is None:
                    capital = self._portfolio.equity(instrument.quote)
                if capital <= 0:
                    return ZERO, f"equity is {capital:f} {instrument.quote}: there is nothing to take a fraction of"
                notional = signal.fraction * capital
            wished = notional / at
        qty = instrument.floor_qty(wished)
        if not qty:
            return ZERO, f"quantity {wished:f} is below one step ({instrument.step:f}) of {signal.symbol}"
        return qty, None

    def _worth(self, signal: Signal) -> Decimal:
        """What a size in quote units comes to at our last price, until the venue says it; 0 where we know none."""
        at = self._portfolio.mark(signal.venue, signal.symbol)
        assert signal.quote_qty is not None
        instrument = self._instruments[signal.venue, signal.symbol]
        return instrument.floor_qty(signal.quote_qty / at) if at else ZERO

    def _target(self, signal: Signal, target: Decimal) -> None:
        """delta = target - position - own open orders towards it; what would lead elsewhere is canceled first.

        Orders whose cancel is under way count no more, those that wait for a trigger not yet.
        """
        instrument = self._instruments[signal.venue, signal.symbol]
        delta = target - self._held(signal)
        side: Side = "buy" if delta > ZERO else "sell"
        towards: list[Order] = []
        for order in self._working.open_orders(signal.venue, signal.symbol, signal.strategy):
            if order.terms.position_side != signal.position_side:
                continue  # hedge mode: the other position is not spoken of
            if order.pending_cancel or self._is_protection(order, side, delta):
                continue
            if delta and order.terms.side == side and not (order.waits_for_trigger or self._brackets.is_leg(order)):
                towards.append(order)
            else:
                self._take_back(signal.ts, order)
        missing = abs(delta)
        for order in towards:
            missing -= order.leaves + order.hidden
        while missing < ZERO:  # more is under way than is wanted: the newest orders go first
            order = towards.pop()
            self._take_back(signal.ts, order)
            missing += order.leaves + order.hidden
        if not missing:
            self.unsent["target reached or under way"] += 1
            return
        qty = instrument.floor_qty(missing)
        price = None if signal.price is None else instrument.limit_price(signal.price, side)
        # A stop that fires in the meantime must not make a close an opening order.
        closes = signal.close and bool(qty) and self._reducing.venue_flag(signal.venue, signal.symbol, side, qty)
        terms = self._terms(signal, instrument, side, qty, price, reduce_only=closes)
        trouble = self._trouble(terms)
        if trouble is not None and self._proposals.below_a_tick(terms) is None:
            self.unsent["difference to the target is below the venue's minimum"] += 1
            return
        self._place(signal.ts, terms, trouble)

    def _is_protection(self, order: Order, side: Side, delta: Decimal) -> bool:
        """A reduce-only order that waits for its trigger, or a leg of a bracket that rests: it does not lead away from
        a target, it ends with the book.

        Where the venue does not know that it only reduces, it makes way for an order of its side: on spot it locks
        what that order would sell.
        """
        terms = order.terms
        if not (order.waits_for_trigger or self._brackets.is_leg(order)) or terms not in self._reducing:
            return False
        return terms.reduce_only or terms.close_position or not delta or terms.side != side

    def _terms(
        self,
        signal: Signal,
        instrument: Instrument,
        side: Side,
        qty: Decimal,
        price: Decimal | None,
        *,
        reduce_only: bool = False,
    ) -> OrderTerms:
        """What the venue is to be asked. A signal's own `reduce_only` is for `Proposals.reduce` to decide."""
        kind = signal.type
        if kind is None:
            kind = "limit" if price is not None or signal.price_match is not None else "market"
        trigger = signal.trigger_price
        good_till = deadline = words = None
        tif: TimeInForce | None = "gtc" if kind in LIMIT_TYPES else None
        if signal.tif is not None:
            if signal.tif == "gtd" or signal.tif == "day":
                good_till, deadline, words = self._emulation.end_of(signal, rests=tif is not None)
                tif = tif if good_till is None else "gtd"
            else:
                tif = signal.tif
        return OrderTerms(
            self._next_id(),
            signal.venue,
            signal.symbol,
            signal.position_side,
            signal.strategy,
            self._sessions.get(signal.strategy, "main"),
            side,
            kind,
            qty,
            price,
            None if trigger is None else instrument.price_nearest(float(trigger)),
            signal.trigger_by,
            tif,
            good_till,
            signal.post_only,
            reduce_only,
            signal.stp,
            signal.tag,
            deadline,
            emulated=words,
        )

    # --- changes ----------------------------------------------------------------------------------------------------

    def _cancel(self, signal: Signal) -> None:
        if signal.cancel is True:
            for each in self._working.open_orders(signal.venue, signal.symbol, signal.strategy):
                self._take_back(signal.ts, each)
            return
        order = self._working.named(signal.strategy, str(signal.cancel))
        if order is None or order.status in TERMINAL:
            self.unsent["cancel of an order that is not open"] += 1
            return
        self._take_back(signal.ts, order)

    def _take_back(self, ts: int, order: Order) -> None:
        """A cancel that is meant: no change of the order that waits for it follows."""
        self._amendments.forget(order.terms.id)
        self._proposals.cancel(ts, order)

    def _amend(self, signal: Signal) -> None:
        order = self._working.named(signal.strategy, str(signal.amend))
        if order is not None and (signal.stop_loss is not None or signal.take_profit is not None):
            if not self._brackets.move(order, signal):
                self.unsent["amend of a bracket that is over"] += 1
            if signal.price is signal.qty is signal.trigger_price is None:
                return
        if order is None or order.status in TERMINAL:
            self.unsent["amend of an order that is not open"] += 1
            return
        if order.terms.type == "market":
            self.unsent["amend of a market order"] += 1
            return
        if signal.qty is not None and self._brackets.is_leg(order):
            self.unsent["amend of the size of a bracket's leg: it is what is open"] += 1
            return
        instrument = self._instruments[order.terms.venue, order.terms.symbol]
        price = order.price if signal.price is None else instrument.limit_price(signal.price, order.terms.side)
        qty = order.qty if signal.qty is None else instrument.floor_qty(signal.qty)
        change = None if signal.qty is None else self._icebergs.change(order, qty)
        qty = qty if change is None else change.qty
        trigger = order.terms.trigger_price
        if signal.trigger_price is not None:
            trigger = instrument.price_nearest(float(signal.trigger_price))
        if (price, qty, trigger) == (order.price, order.qty, order.terms.trigger_price):
            if change is None:
                self.unsent["amend that changes nothing"] += 1
            else:
                self._icebergs.hide(order, change.hidden)
            return
        if not qty:
            self.unsent["amend to less than one step"] += 1
            return
        terms = msgspec.structs.replace(order.terms, price=price, qty=qty, trigger_price=trigger)
        trouble = self._trouble(terms) if qty > order.filled else self._proposals.below_a_tick(terms)
        if signal.trigger_price is not None and not order.waits_for_trigger:
            trouble = "a `trigger_price` was given, and the order does not wait for one"
        if trouble is not None:
            if order.status is OrderStatus.INITIALIZED:  # it may be denied yet, and nobody answers for a denied one
                self.unsent["amend of an order just placed to what the venue would refuse"] += 1
            else:
                self._proposals.refuse_amend(signal.ts, terms, trouble)
            return
        if change is not None:
            self._icebergs.hide(order, change.hidden)
        self._keep_change(signal.ts, order, price, qty, trigger)

    def _keep_change(self, ts: int, order: Order, price: Decimal | None, qty: Decimal, trigger: Decimal | None) -> None:
        following, waits = self._amendments.ask(ts, order, price, qty, trigger)
        if following is not None:
            self._stands_in(order, following)
        if waits:
            self._keep()

    # --- what is kept here -------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """From here on every order's end matters."""
        if not self._keeps:
            self._keeps = True
            self._hear_fills()
            if self._events is not None:
                self._events.listen(True)

    def _hear_fills(self) -> None:
        """From here on fills matter: what only reduces is cut to what is left of its book."""
        if self._fills is not None:
            self._fills.listen(True)

    def _look_again(self, ts: int) -> None:
        """At `ts`, after all that reaches us at that moment: an order event is seldom alone."""
        if self._looks_at is None or ts < self._looks_at:
            self._looks_at = ts
            self._clock.call_at(ts, TimerFired(ts, KEPT, KEPT))

    def _stands_in(self, old: Order, new: Order) -> None:
        """An order took the place of another: whatever was kept of that is kept of this."""
        if self._keeps:
            self._icebergs.stands_in(old, new)
            self._groups.stands_in(old, new)
            self._brackets.stands_in(old, new)
            self._trailing.stands_in(old, new)
            self._closing.stands_in(old, new)

    def _over(self, order: Order, ts: int) -> None:
        """An order has ended."""
        order_id = order.terms.id
        self._icebergs.on_end(order_id)
        self._groups.on_end(order_id)
        self._brackets.on_end(order_id, ts)
        self._trailing.on_end(order_id)
        self._closing.on_end(order_id)
        self._amendments.forget(order_id)

    # --- queries ----------------------------------------------------------------------------------------------------

    def _held(self, signal: Signal) -> Decimal:
        book = self._portfolio.position(signal.venue, signal.symbol, signal.strategy, signal.position_side)
        return book.qty if book is not None else ZERO
