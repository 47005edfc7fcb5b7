"""The ExecutionEngine: signals become orders, and every order's life is followed.

A signal is sized here (quantity, notional, fraction of capital, target), put onto the instrument's grid, and proposed
to the RiskEngine. What cannot be an order is denied with the reason; a target that is reached already sends nothing and
is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import msgspec

from core.commands import ProposeAmend, ProposeCancel, ProposeOrder
from core.events import (
    AmendRejected,
    Event,
    OrderDenied,
    OrderFilled,
    OrderType,
    Side,
    Signal,
    StrategyFailed,
    TimerFired,
)
from core.instruments import Instrument
from core.orders import TERMINAL, Order, OrderStatus, OrderTerms
from core.portfolio import Portfolio
from core.ports import Clock, IdSource
from core.reducing_orders import ReducingOrders
from core.signals import LIMIT_TYPES
from core.working import WorkingOrders

ZERO = Decimal(0)
DEADLINE = "deadline"
"""Owner of the timers of emulated good-till-date orders."""
GTD_MARGIN_NS = 60_000_000_000
"""Beyond the venue's own minimum, so that a slow request is not refused for it. A guess: no request takes a minute."""


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
        native_gtd: dict[str, int],
    ) -> None:
        self._instruments = instruments
        self._portfolio = portfolio
        self._working = working
        self._next_id = ids.next
        self._publish = publish
        self._sessions = sessions
        self._capital = capital
        """What a strategy's fractions refer to, quote units; the account's equity where a strategy names none."""
        self._clock = clock
        self._native_gtd = native_gtd
        """Venues with good-till-date orders of their own: how many nanoseconds ahead the date must lie at least."""
        self.unsent: Counter[str] = Counter()
        """Signals that needed no order, by reason: `target reached`, `below the step`, …"""
        self._reducing = ReducingOrders(instruments, portfolio, working)

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
        """The deadline of a good-till-date order at a venue that has none of its own."""
        if event.owner == DEADLINE:
            order = self._working.all[event.name]
            if order.is_open:
                self._propose_cancel(event.ts, order)

    def on_fill(self, fill: OrderFilled) -> None:
        """Heard after the portfolio: reduce-only orders that ask for more than is left of their book are cut to it.

        What is left of one is asked for anew, with a new id and the same tag: a stop cannot be amended everywhere.
        """
        for order, stays in self._reducing.excess(fill.venue, fill.symbol):
            self._propose_cancel(fill.ts, order)
            if stays:
                terms = msgspec.structs.replace(order.terms, id=self._next_id(), price=order.price, qty=stays)
                self._propose_reducing(fill.ts, terms)

    def on_strategy_failed(self, event: StrategyFailed) -> None:
        """A strategy that failed has no more say: its working orders are canceled, its positions stay."""
        for order in self._working.open_of(event.strategy):
            self._propose_cancel(event.ts, order)

    # --- orders -----------------------------------------------------------------------------------------------------

    def _order(self, signal: Signal) -> None:
        instrument = self._instruments[signal.venue, signal.symbol]
        assert signal.side is not None
        price = self._price(signal, instrument, signal.side)
        qty, trouble = self._size(signal, instrument, price)
        terms = self._terms(signal, instrument, signal.side, qty, price)
        if signal.reduce_only and trouble is None:
            self._propose_reducing(signal.ts, terms)
        else:
            self._propose(signal.ts, terms, trouble or self._trouble(terms, instrument))

    def _propose_reducing(self, ts: int, terms: OrderTerms) -> None:
        """Clip to what the strategy's own book leaves room for, and to what the venue's flag allows."""
        qty = min(terms.qty, self._reducing.room(terms))
        terms = msgspec.structs.replace(terms, qty=qty, reduce_only=self._reducing.venue_flag(terms, qty))
        self._propose(ts, terms, self._trouble(terms, self._instruments[terms.venue, terms.symbol]))
        if qty:
            self._reducing.add(terms)

    def _size(self, signal: Signal, instrument: Instrument, price: Decimal | None) -> tuple[Decimal, str | None]:
        """The order's quantity on the step, and why there is none."""
        wished = signal.qty
        if wished is None:
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

    def _target(self, signal: Signal, target: Decimal) -> None:
        """delta = target - position - own open orders towards it; what would lead elsewhere is canceled first.

        Orders whose cancel is under way count no more, those that wait for a trigger not yet.
        """
        instrument = self._instruments[signal.venue, signal.symbol]
        delta = target - self._held(signal)
        side: Side = "buy" if delta > 0 else "sell"
        towards: list[Order] = []
        for order in self._working.open_orders(signal.venue, signal.symbol, signal.strategy):
            if order.pending_cancel or self._is_protection(order, side, delta):
                continue
            if delta and order.terms.side == side and not order.waits_for_trigger:
                towards.append(order)
            else:
                self._propose_cancel(signal.ts, order)
        missing = abs(delta) - sum((order.leaves for order in towards), ZERO)
        while missing < 0:  # more is under way than is wanted: the newest orders go first
            order = towards.pop()
            self._propose_cancel(signal.ts, order)
            missing += order.leaves
        if not missing:
            self.unsent["target reached or under way"] += 1
            return
        qty = instrument.floor_qty(missing)
        price = self._price(signal, instrument, side)
        terms = self._terms(signal, instrument, side, qty, price)
        if signal.close and qty:
            # A stop that fires in the meantime must not make it an opening order.
            terms = msgspec.structs.replace(terms, reduce_only=self._reducing.venue_flag(terms, qty))
        unpriced = self._below_a_tick(terms, instrument)
        if unpriced is None and (not qty or self._trouble(terms, instrument) is not None):
            self.unsent["difference to the target is below the venue's minimum"] += 1
            return
        self._propose(signal.ts, terms, unpriced)

    def _is_protection(self, order: Order, side: Side, delta: Decimal) -> bool:
        """A reduce-only order that waits for its trigger: it does not lead away from a target, it ends with the book.

        Where the venue does not know that it only reduces, it makes way for an order of its side: on spot it locks
        what that order would sell.
        """
        terms = order.terms
        if not order.waits_for_trigger or terms not in self._reducing:
            return False
        return terms.reduce_only or not delta or terms.side != side

    def _terms(
        self, signal: Signal, instrument: Instrument, side: Side, qty: Decimal, price: Decimal | None
    ) -> OrderTerms:
        kind: OrderType = signal.type or ("limit" if signal.price is not None else "market")
        trigger = signal.trigger_price
        tif, good_till, deadline = signal.tif or ("gtc" if kind in LIMIT_TYPES else None), signal.good_till, None
        if tif == "gtd" and good_till is not None:
            ahead = self._native_gtd.get(signal.venue)
            if ahead is None or good_till <= signal.ts + ahead + GTD_MARGIN_NS:
                tif, good_till, deadline = "gtc", None, good_till
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
            False,  # whoever asks for it decides what the venue is told
            signal.stp,
            signal.tag,
            deadline,
        )

    def _trouble(self, terms: OrderTerms, instrument: Instrument) -> str | None:
        """Why the venue would refuse the price or the size; None where it would not."""
        below = self._below_a_tick(terms, instrument)
        if below is not None:
            return below
        qty = terms.qty
        if not qty:
            return "nothing of this strategy's position is left to reduce beside its other reduce-only orders"
        if instrument.min_qty is not None and qty < instrument.min_qty:
            return f"quantity {qty:f} is below the minimum {instrument.min_qty:f} of {terms.symbol}"
        if instrument.max_qty is not None and qty > instrument.max_qty:
            return f"quantity {qty:f} is above the maximum {instrument.max_qty:f} of {terms.symbol}"
        market_max = instrument.market_max_qty
        if terms.price is None and market_max is not None and qty > market_max:
            return f"quantity {qty:f} is above the market order maximum {market_max:f} of {terms.symbol}"
        if instrument.min_notional is not None and not terms.reduce_only:
            at = terms.price if terms.price is not None else self._portfolio.mark(terms.venue, terms.symbol)
            if at is not None and at * qty < instrument.min_notional:
                return (
                    f"notional {at * qty:f} is below the minimum {instrument.min_notional:f} of {terms.symbol}: "
                    f"at {at:f} it takes at least {instrument.min_notional / at:.8f}"
                )
        return None

    @staticmethod
    def _below_a_tick(terms: OrderTerms, instrument: Instrument) -> str | None:
        """Why a price that was put on the grid is none: it came out as zero."""
        for name, price in (("price", terms.price), ("trigger_price", terms.trigger_price)):
            if price is not None and price <= 0:
                return f"{name} {price:f} is below one tick ({instrument.tick:f}) of {terms.symbol}"
        return None

    def _propose(self, ts: int, terms: OrderTerms, trouble: str | None) -> None:
        self._working.add(Order.of(terms, ts))
        ends = terms.good_till if terms.emulated_deadline is None else terms.emulated_deadline
        if trouble is None and ends is not None and ends <= ts:
            trouble = f"good_till lies in the past: {ends} ns, and it is {ts} ns"
        if trouble is None:
            self._publish(ProposeOrder(ts, terms))
            if terms.emulated_deadline is not None:
                deadline = terms.emulated_deadline
                self._clock.call_at(deadline, TimerFired(deadline, terms.id, DEADLINE))
            return
        self._publish(
            OrderDenied(
                ts,
                None,
                terms.venue,
                terms.symbol,
                terms.position_side,
                terms.strategy,
                terms.session,
                terms.id,
                trouble,
            )
        )

    # --- changes ----------------------------------------------------------------------------------------------------

    def _cancel(self, signal: Signal) -> None:
        if signal.cancel is True:
            for each in self._working.open_orders(signal.venue, signal.symbol, signal.strategy):
                self._propose_cancel(signal.ts, each)
            return
        order = self._working.named(signal.strategy, str(signal.cancel))
        if order is None or order.status in TERMINAL:
            self.unsent["cancel of an order that is not open"] += 1
            return
        self._propose_cancel(signal.ts, order)

    def _propose_cancel(self, ts: int, order: Order) -> None:
        if not order.pending_cancel:
            order.pending_cancel = True
            self._publish(ProposeCancel(ts, order.terms))

    def _amend(self, signal: Signal) -> None:
        order = self._working.named(signal.strategy, str(signal.amend))
        if order is None or order.status in TERMINAL:
            self.unsent["amend of an order that is not open"] += 1
            return
        instrument = self._instruments[order.terms.venue, order.terms.symbol]
        price = order.price if signal.price is None else instrument.limit_price(signal.price, order.terms.side)
        qty = order.qty if signal.qty is None else instrument.floor_qty(signal.qty)
        if price == order.price and qty == order.qty:
            self.unsent["amend that changes nothing"] += 1
            return
        if not qty:
            self.unsent["amend to less than one step"] += 1
            return
        terms = msgspec.structs.replace(order.terms, price=price, qty=qty)
        trouble = self._trouble(terms, instrument) if qty > order.filled else self._below_a_tick(terms, instrument)
        if trouble is not None:
            if order.status is OrderStatus.INITIALIZED:  # it may be denied yet, and nobody answers for a denied one
                self.unsent["amend of an order just placed to what the venue would refuse"] += 1
            else:
                self._refuse_amend(signal.ts, terms, trouble)
            return
        order.pending_amend = True
        self._publish(ProposeAmend(signal.ts, order.terms, price, qty, qty > order.qty))

    def _refuse_amend(self, ts: int, terms: OrderTerms, reason: str) -> None:
        """What the venue would refuse is not asked of it."""
        self._publish(
            AmendRejected(
                ts,
                None,
                terms.venue,
                terms.symbol,
                terms.position_side,
                terms.strategy,
                terms.session,
                terms.id,
                None,
                reason,
            )
        )

    # --- queries ----------------------------------------------------------------------------------------------------

    def _price(self, signal: Signal, instrument: Instrument, side: Side) -> Decimal | None:
        return None if signal.price is None else instrument.limit_price(signal.price, side)

    def _held(self, signal: Signal) -> Decimal:
        book = self._portfolio.position(signal.venue, signal.symbol, signal.strategy, signal.position_side)
        return book.qty if book is not None else ZERO
