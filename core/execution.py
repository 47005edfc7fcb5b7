"""The ExecutionEngine: signals become orders, and every order's life is followed.

A signal is sized here (quantity, notional, fraction of capital, target), put onto the instrument's grid, and proposed
to the RiskEngine. What cannot be an order is denied with the reason; a target that is reached already sends nothing and
is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from core.commands import ProposeAmend, ProposeCancel, ProposeOrder
from core.events import Event, OrderDenied, OrderType, Side, Signal, StrategyFailed, TimerFired
from core.instruments import Instrument
from core.orders import TERMINAL, Order, OrderTerms
from core.portfolio import Portfolio
from core.ports import Clock, IdSource
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
        self._propose(signal.ts, terms, trouble or self._trouble(terms, instrument))

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
                notional = signal.fraction * capital
            wished = notional / at
        qty = instrument.floor_qty(wished)
        if not qty:
            return ZERO, f"quantity {wished:f} is below one step ({instrument.step:f}) of {signal.symbol}"
        return qty, None

    def _target(self, signal: Signal, target: Decimal) -> None:
        """delta = target - position - own open orders towards it; opposite ones are canceled first."""
        instrument = self._instruments[signal.venue, signal.symbol]
        held = self._held(signal)
        mine = self._working.open_orders(signal.venue, signal.symbol, signal.strategy)
        delta = target - held
        side: Side = "buy" if delta > 0 else "sell"
        for order in mine:
            if order.terms.side != side or not delta:
                self._propose_cancel(signal.ts, order)
            else:
                delta += -order.leaves if side == "buy" else order.leaves
        if not delta or (delta > 0) != (side == "buy"):
            self.unsent["target reached or under way"] += 1
            return
        qty = instrument.floor_qty(abs(delta))
        price = self._price(signal, instrument, side)
        terms = self._terms(signal, instrument, side, qty, price)
        if not qty or self._trouble(terms, instrument) is not None:
            self.unsent["difference to the target is below the venue's minimum"] += 1
            return
        self._propose(signal.ts, terms, None)

    def _terms(
        self, signal: Signal, instrument: Instrument, side: Side, qty: Decimal, price: Decimal | None
    ) -> OrderTerms:
        kind: OrderType = signal.type or ("limit" if signal.price is not None else "market")
        reduce_only = signal.reduce_only
        if reduce_only and qty:
            # The strategy's own book decides; the venue sees one net position and gets the flag only where it agrees.
            qty = min(qty, self._reducible(signal, side))
            net = self._portfolio.net.get((signal.venue, signal.symbol), ZERO)
            reduce_only = (net > 0) == (side == "sell") and abs(net) >= qty
        reduce_only = reduce_only and instrument.kind == "linear"
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
            reduce_only,
            signal.stp,
            signal.tag,
            deadline,
        )

    def _trouble(self, terms: OrderTerms, instrument: Instrument) -> str | None:
        """Why the venue would refuse the size; None where it would not."""
        qty = terms.qty
        if not qty:
            return "nothing of this strategy's position is left to reduce"
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

    def _propose(self, ts: int, terms: OrderTerms, trouble: str | None) -> None:
        self._working.add(Order.of(terms, ts))
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
        order.pending_amend = True
        self._publish(ProposeAmend(signal.ts, order.terms, price, qty, qty > order.qty))

    # --- queries ----------------------------------------------------------------------------------------------------

    def _price(self, signal: Signal, instrument: Instrument, side: Side) -> Decimal | None:
        return None if signal.price is None else instrument.limit_price(signal.price, side)

    def _held(self, signal: Signal) -> Decimal:
        book = self._portfolio.position(signal.venue, signal.symbol, signal.strategy, signal.position_side)
        return book.qty if book is not None else ZERO

    def _reducible(self, signal: Signal, side: Side) -> Decimal:
        """What of the strategy's own position an order of this side can still take away."""
        held = self._held(signal)
        if not held or (held > 0) == (side == "buy"):
            return ZERO
        return abs(held)
