"""The way of an order's terms to the RiskEngine: everything the execution engine asks for leaves here.

What the venue would refuse for its price or its size is denied instead, with the reason. Reduce-only orders are cut to
what is left of their strategy's book (`core.order_kinds.reducing_orders`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from core.commands import ProposeAmend, ProposeCancel, ProposeOrder
from core.events import AmendRejected, Event, OrderDenied, TimerFired
from core.instruments import Instrument
from core.order_kinds.reducing_orders import ReducingOrders
from core.orders import Order, OrderTerms
from core.portfolio import Portfolio
from core.ports import Clock, IdSource
from core.working import WorkingOrders

DEADLINE = "deadline"
"""Owner of the timers of orders whose end we keep ourselves."""


class Proposals:
    """Proposes orders, cancels and amends, and tracks what was proposed among the working orders."""

    def __init__(
        self,
        *,
        instruments: dict[tuple[str, str], Instrument],
        portfolio: Portfolio,
        working: WorkingOrders,
        ids: IdSource,
        publish: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        self.instruments = instruments
        self.next_id = ids.next
        self.reducing = ReducingOrders(instruments, portfolio, working)
        self._portfolio = portfolio
        self._working = working
        self._publish = publish
        self._clock = clock

    # --- verbs ------------------------------------------------------------------------------------------------------

    def place(self, ts: int, terms: OrderTerms, trouble: str | None) -> Order:
        """Propose an order, or deny it where there is trouble."""
        order = Order.of(terms, ts)
        self._working.add(order)
        if trouble is None and (terms.good_till is not None or terms.emulated_deadline is not None):
            trouble = self._keep_end(ts, terms)
        if trouble is None:
            self._publish(ProposeOrder(ts, terms))
        else:
            keys = (terms.venue, terms.symbol, terms.position_side, terms.strategy, terms.session, terms.id)
            self._publish(OrderDenied(ts, None, *keys, trouble))
        return order

    def _keep_end(self, ts: int, terms: OrderTerms) -> str | None:
        """See to it that an order ends where its venue does not; what is wrong with its end, if it lies in the past."""
        deadline = terms.emulated_deadline
        ends = terms.good_till if deadline is None else deadline
        if ends is not None and ends <= ts:
            return f"good_till lies in the past: {ends} ns, and it is {ts} ns"
        if deadline is not None:
            self._clock.call_at(deadline, TimerFired(deadline, terms.id, DEADLINE))
        return None

    def reduce(self, ts: int, terms: OrderTerms) -> Order:
        """Clip to what the strategy's own book leaves room for, and to what the venue's flag allows."""
        qty = min(terms.qty, self.reducing.room(terms))
        flag = self.reducing.venue_flag(terms.venue, terms.symbol, terms.side, qty)
        terms = msgspec.structs.replace(terms, qty=qty, reduce_only=flag)
        order = self.place(ts, terms, self.trouble(terms))
        if qty:
            self.reducing.add(terms)
        return order

    def cancel(self, ts: int, order: Order) -> None:
        """Ask for a cancel; once is enough."""
        if not order.pending_cancel:
            order.pending_cancel = True
            self._publish(ProposeCancel(ts, order.terms))

    def amend(self, ts: int, order: Order, price: Decimal | None, qty: Decimal) -> None:
        order.pending_amend = True
        self._publish(ProposeAmend(ts, order.terms, price, qty, qty > order.qty))

    def refuse_amend(self, ts: int, terms: OrderTerms, reason: str) -> None:
        """What the venue would refuse is not asked of it."""
        keys = (terms.venue, terms.symbol, terms.position_side, terms.strategy, terms.session, terms.id)
        self._publish(AmendRejected(ts, None, *keys, None, reason))

    def stand_in(self, ts: int, order: Order, **changes: Any) -> Order:
        """Another order in the place of a reduce-only one: the old is canceled, what it still had is asked for anew.

        The two may meet at the venue; that neither takes more than the book is what reduce-only is for.
        """
        self.cancel(ts, order)
        kept = {"id": self.next_id(), "price": order.price, "qty": order.leaves}
        return self.reduce(ts, msgspec.structs.replace(order.terms, **(kept | changes)))

    def exit(self, ts: int, order: Order) -> Order:
        """The market has passed the trigger of a reduce-only order before it came: what it was to close goes now."""
        plain = {"type": "market", "price": None, "trigger_price": None, "tif": None, "oco": None}
        return self.reduce(ts, msgspec.structs.replace(order.terms, id=self.next_id(), **plain))

    # --- what the venue would say ------------------------------------------------------------------------------------

    def trouble(self, terms: OrderTerms) -> str | None:
        """Why the venue would refuse the price or the size; None where it would not."""
        if terms.price is not None or terms.trigger_price is not None:
            below = self.below_a_tick(terms)
            if below is not None:
                return below
        instrument, qty = self.instruments[terms.venue, terms.symbol], terms.qty
        if not qty:
            return self._sizeless(terms, instrument)
        if instrument.min_qty is not None and qty < instrument.min_qty:
            return f"quantity {qty:f} is below the minimum {instrument.min_qty:f} of {terms.symbol}"
        if instrument.max_qty is not None and qty > instrument.max_qty:
            return f"quantity {qty:f} is above the maximum {instrument.max_qty:f} of {terms.symbol}"
        market_max = instrument.market_max_qty
        if terms.price is None and market_max is not None and qty > market_max and terms.price_match is None:
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
    def _sizeless(terms: OrderTerms, instrument: Instrument) -> str | None:
        """An order without a quantity: the venue works it out, or there is nothing to do."""
        if terms.quote_qty is not None:
            least = instrument.min_notional
            if least is None or terms.quote_qty >= least:
                return None
            return f"quote_qty {terms.quote_qty:f} is below the minimum notional {least:f} of {terms.symbol}"
        if terms.close_position:
            return None
        return "nothing of this strategy's position is left to reduce beside its other reduce-only orders"

    def below_a_tick(self, terms: OrderTerms) -> str | None:
        """Why a price that was put on the grid is none: it came out as zero."""
        for name, price in (("price", terms.price), ("trigger_price", terms.trigger_price)):
            if price is not None and price <= 0:
                tick = self.instruments[terms.venue, terms.symbol].tick
                return f"{name} {price:f} is below one tick ({tick:f}) of {terms.symbol}"
        return None
