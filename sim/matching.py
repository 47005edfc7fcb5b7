"""What becomes of orders inside a venue: they meet the market, trade, rest, wait, and end. All in engine time.

`happen` lets everything due at a moment happen in the order of F0, up to the requests that arrive then: those are the
exchange's business (`sim.exchange`), which hands on here what it has let in. Markets decide at what price and how much;
who may trade, what is booked and what is told is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any

from core.errors import InvariantBroken
from core.events import (
    Event,
    Liquidity,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderTriggered,
)
from core.exact import MATH, ZERO
from core.moments import INF
from core.orders import ACCEPTED, FILLED, OrderStatus
from core.venue_rules import VenueRules
from sim.account import VenueAccount
from sim.bars.bar_market import BarMarket
from sim.books.book_market import BookMarket
from sim.books.books import Books
from sim.ledger.charges import Charges
from sim.ledger.settlement import Settlement
from sim.linked_orders import LinkedOrders
from sim.mark_triggers import MarkTriggers
from sim.order_entry.admission import Admission
from sim.order_entry.arrival import close_whole
from sim.venue_order import Cause, EventKeys, VenueOrder

# By their own names: reading a member off an enum's class costs ten times as much.
PARTIAL, CANCELED = OrderStatus.PARTIAL, OrderStatus.CANCELED
EXPIRED, EXPIRED_IN_MATCH = OrderStatus.EXPIRED, OrderStatus.EXPIRED_IN_MATCH
Emit = Callable[[Event, VenueOrder | None], None]
AnyMarket = BarMarket | BookMarket


class Matching:
    """The orders of one venue, its markets, and what else happens there by itself."""

    def __init__(
        self,
        venue: str,
        rules: VenueRules,
        account: VenueAccount,
        admission: Admission,
        books: Books,
        *,
        local_at: Callable[[str, int], int],
        emit: Emit,
    ) -> None:
        """`books` is the cursor over all order books of the world."""
        self.venue = venue
        self.rules = rules
        self.account = account
        self.admission = admission
        self._counters = admission.counters
        self.books = books
        self.local_at = local_at
        self.emit = emit
        self.markets: dict[str, AnyMarket] = {}
        """In the order of the run's symbols: that is their order at one nanosecond."""
        self.charges = Charges(rules, account, self.markets)
        self.orders: dict[str, VenueOrder] = {}
        """Every order the venue ever accepted or refused, by our id."""
        self.linked = LinkedOrders(self)
        self.by_mark = MarkTriggers()
        self.settlement: Settlement | None = None
        """Funding, marks and liquidation, of a venue that has them."""
        self._deadlines: list[tuple[int, int, VenueOrder]] = []
        self._count = 0
        self._fills = 0
        self._due: int | None = None
        """What `next_at` says; None: to be found out."""

    # --- time -------------------------------------------------------------------------------------------------------

    def next_at(self) -> int:
        """Engine time of the next thing that concerns us, requests left aside; INF while nothing of ours is here."""
        if self._due is None:
            self._due = self._next_due()
        return self._due

    def remind(self, order: VenueOrder, at: int) -> None:
        """Come back to an order at `at`: it expires then, or acts where its trigger was pulled before (F12)."""
        self._count += 1
        heappush(self._deadlines, (at, self._count, order))

    def requests(self, at: int) -> None:
        """Requests are answered at `at`: all that comes before them has happened."""
        self._due = None
        if self.settlement is not None:
            self.settlement.requests(at)

    def revealed(self) -> None:
        """More rows of a tape are known than when `next_moment` was last asked for, or they did something to us."""
        self._due = None

    def happen(self, at: int) -> None:
        """Everything due at `at`, in the order of F0 up to requests."""
        settlement = self.settlement
        if settlement is not None and settlement.moves_to(at):
            settlement.funding(at)
            settlement.marks(at)
        working = [market for market in self.markets.values() if market.orders]
        if self.books.markets:
            self.books.settle(at)
        for market in working:
            market.data(at)
        if settlement is not None and settlement.liquidations(at):
            self.linked.void_reducers(at)
        while self._deadlines and self._deadlines[0][0] <= at:
            due, _, order = heappop(self._deadlines)
            if order.acts_at is not None and due >= order.acts_at:
                self._act(order, at)
            elif order.is_open:
                self.expire(order, at, "gtd")
        for market in working:
            market.triggers(at)
        if self.by_mark.waiting:
            for order in self.by_mark.due(settlement, at):
                self.fire(order, at, None)

    def _next_due(self) -> int:
        """The earliest of what settlements, markets, deadlines and triggers by mark say."""
        moment = INF if self.settlement is None else self.settlement.next_at()
        for market in self.markets.values():
            if market.orders:
                moment = min(moment, market.next_at())
        deadlines = self._deadlines
        while deadlines and not deadlines[0][2].is_open:
            heappop(deadlines)
        if deadlines:
            moment = min(moment, deadlines[0][0])
        if self.by_mark.waiting and self.settlement is not None:
            moment = min(moment, self.by_mark.next_at(self.settlement))
        return moment

    # --- orders that were let in ------------------------------------------------------------------------------------

    def enter(self, order: VenueOrder, market: AnyMarket, at: int, reference: Any = None) -> None:
        """An accepted or triggered order meets the market."""
        crosses = order.limit is not None and market.crosses(order, at, reference)
        if crosses and order.never_takes:
            if order.triggered and self.rules.post_only_cross == "reject":  # nobody waits for an answer any more
                self.expire(order, at, "trigger_rejected")
            else:
                self.cancel(order, at, "post_only")
        elif order.terms.tif == "fok" and not market.can_fill_whole(order, at, reference):
            self.expire(order, at, "fok", met=crosses)
        elif crosses or order.limit is None or reference is not None:
            market.take(order, at, reference)
        else:
            self.rest_taker(order, at)

    def fire(self, order: VenueOrder, at: int, reference: Any) -> None:
        """A trigger was met: the order it carries acts at the same moment, or after the model's delay."""
        market = self.markets[order.terms.symbol]
        order.waits_for_trigger, order.triggered = False, True
        order.status = ACCEPTED
        market.remove(order)
        price = order.terms.trigger_price if order.pulled_at is None else order.pulled_at
        self.emit(OrderTriggered(*self.keys(order, at), market.decimal(reference) if price is None else price), order)
        if market.models.triggers.delay_ms:
            order.acts_at = at + market.models.triggers.delay_ms
            self.remind(order, order.acts_at)
        else:
            self._act(order, at, reference)
        self.linked.after_match(order, at)

    def _act(self, order: VenueOrder, at: int, reference: Any = None) -> None:
        """The order that a trigger carries enters the engine."""
        order.acts_at = None
        if not order.is_open:
            return
        market = self.markets[order.terms.symbol]
        if order.terms.close_position:
            close_whole(order, self.account)
        known = reference if reference is not None else market.price(at)
        self.charges.tariff.rates(order.terms.symbol, at)  # what it needs is measured with the fees of now
        if order.terms.close_position and not order.qty:  # what it was to close is closed already
            self.expire(order, at, "reduce_only")
        elif not self.admission.lets_act(order, market, None if known is None else market.decimal(known), at):
            self.expire(order, at, "trigger_rejected")
        elif market.fired_crosses(order, reference, at):
            self.enter(order, market, at, reference)
        else:
            self.rest_taker(order, at)

    # --- what the markets report back -------------------------------------------------------------------------------

    def may_fill(self, order: VenueOrder) -> int:
        """Steps the order may trade now: its leaves, clipped to the position where it only reduces."""
        leaves = order.qty - order.filled - order.prevented
        if order.only_reduces:
            position = self.account.positions.get((order.terms.symbol, order.terms.position_side))
            held = ZERO if position is None else position.qty
            leaves = min(leaves, abs(held)) if held * order.sign < 0 else ZERO
        return int(leaves // self.markets[order.terms.symbol].instrument.step)

    def affordable(self, order: VenueOrder, price: Decimal, steps: int) -> int:
        """Steps a taker can pay for: a spot account cannot go below zero, nor an order beyond its quote units.

        Linear orders were checked at arrival.
        """
        if self.account.kind != "spot":
            return steps
        instrument = self.markets[order.terms.symbol].instrument
        self.account.holds.give_back(order.terms.id)
        if order.terms.side == "buy":
            most = self.account.free(instrument.quote, order.terms.oco) / price
        else:
            most = self.account.free(instrument.base, order.terms.oco)
        if order.terms.quote_qty is not None:
            most = min(most, (order.terms.quote_qty - order.value) / price)
        return max(0, min(steps, int(most // instrument.step)))

    def held_sign(self, symbol: str) -> int:
        """Sign of our position, for the worst-case path."""
        held = self.account.position_qty(symbol)
        return (held > 0) - (held < 0)

    def fill(
        self,
        order: VenueOrder,
        at: int,
        price: Decimal,
        qty: Decimal,
        liquidity: Liquidity,
        reference: Decimal,
        rule: str,
        cause: Cause,
        ahead: float | None,
    ) -> None:
        """One fill: the order, the venue's ledger, and the event that says why.

        `ahead`: the queue in front of a resting order just before, base units.
        """
        terms = order.terms
        venue, symbol, position_side, strategy, session, order_id = order.keys
        market = self.markets[symbol]
        notional = MATH.multiply(price, qty)
        fee, fee_asset = self.charges.fee(market, terms.side, notional, qty, liquidity, at)
        order.filled += qty
        order.value += notional
        order.fees += fee
        leaves = order.qty - order.filled - order.prevented
        if leaves < ZERO or qty <= ZERO:
            raise InvariantBroken(f"{symbol}: a fill of {qty} leaves {leaves} of order {order_id}")
        if order.limit is not None and (price > order.limit if order.sign > 0 else price < order.limit):
            raise InvariantBroken(f"{symbol}: a fill at {price} is beyond the limit {order.limit} of {order_id}")
        account = self.account
        order.realized = account.fill(market.instrument, terms.side, price, qty, fee, fee_asset, position_side)
        if self.settlement is not None:
            signed = qty if order.sign > 0 else -qty
            self.settlement.filled((symbol, position_side), (strategy, session), signed, at)
        if self._counters.gives_back and order.filled == qty:
            self._counters.first_fill(liquidity, at)
        order.status = PARTIAL if leaves else FILLED
        if leaves and order.limit is not None:
            account.holds.set_aside(order_id, *account.need(market.instrument, terms, leaves, order.limit), terms.oco)
        self._fills += 1
        cause_tape, cause_row, cause_at = cause
        self.emit(
            OrderFilled(
                self.local_at(session, at),
                at,
                venue,
                symbol,
                position_side,
                strategy,
                session,
                order_id,
                f"{venue}-{self._fills}",
                terms.side,
                price,
                qty,
                liquidity,
                rule,
                fee,
                fee_asset,
                reference,
                leaves,
                cause_tape,
                cause_row,
                cause_at,
                ahead,
            ),
            order,
        )
        if not leaves:
            self._end(order)

    def rest_taker(self, order: VenueOrder, at: int, reason: str | None = None) -> None:
        """What a taker did not get: rests at its limit, is carried to the next open, or ends.

        `reason`: the venue's bound that stopped it; what is left expires with that.
        """
        if order.is_open and (order.leaves or order.terms.quote_qty is not None):
            terms = order.terms
            market = self.markets[terms.symbol]
            if order.only_reduces and not self.may_fill(order):
                self.expire(order, at, "reduce_only")
            elif reason is not None:
                self.expire(order, at, reason)
            elif terms.tif == "fok":
                self.expire(order, at, "fok")
            elif order.limit is not None:
                if terms.tif == "ioc":
                    self.expire(order, at, "ioc")
                else:
                    market.place(order, at)
            elif terms.tif == "ioc" or not market.carries:
                self.expire(order, at, "no_liquidity")
            else:
                order.carried = True
                if order not in market.orders:
                    market.orders.append(order)
        if self.linked.reducers or self.linked.due or order.terms.oco is not None:
            self.linked.after_match(order, at)

    # --- orders of one account that meet (F14) ----------------------------------------------------------------------

    def prevent(self, order: VenueOrder, qty: Decimal, at: int, *, ends: bool) -> None:
        """So much of an order must not trade with our own; `ends` it, or it goes on with the rest."""
        order.prevented += qty
        if ends:
            self.expire(order, at, "stp")
        elif order.limit is not None:
            terms = order.terms
            need = self.account.need(self.markets[terms.symbol].instrument, terms, order.leaves, order.limit)
            self.account.holds.set_aside(terms.id, *need, terms.oco)

    def prevention(self, order: VenueOrder) -> str:
        """The self-trade mode of a taker: its own, the model's, or the venue's."""
        models = self.markets[order.terms.symbol].models
        return order.terms.stp or models.stp.default or self.rules.stp_default

    # --- endings ----------------------------------------------------------------------------------------------------

    def cancel(self, order: VenueOrder, at: int, reason: str) -> None:
        order.status = CANCELED
        self.emit(OrderCanceled(*self.keys(order, at), reason, self._word(order, reason)), order)
        self._end(order)

    def expire(self, order: VenueOrder, at: int, reason: str, met: bool = False) -> None:
        order.status = EXPIRED_IN_MATCH if reason == "stp" else EXPIRED
        event = OrderExpired(*self.keys(order, at), reason, self._word(order, reason, met), order.prevented)
        self.emit(event, order)
        self._end(order)

    def _word(self, order: VenueOrder, reason: str, met: bool = False) -> str | None:
        """The venue's word for why the order ends; `met`: a fill-or-kill that found somebody, too few."""
        return self.rules.expiry_word(reason, partly=met or order.filled > 0, tif=order.terms.tif)

    def _end(self, order: VenueOrder) -> None:
        self.admission.open.remove(order)
        if order.only_reduces:
            self.linked.reducers.pop(order.terms.id, None)
        self.account.holds.give_back(order.terms.id)
        order.plan += 1
        market = self.markets[order.terms.symbol]
        if market.orders:
            market.remove(order)

    def expire_orders(self, symbol: str | None, at: int) -> None:
        """The venue ends the orders of a symbol, or all of them, because it liquidates; oldest first."""
        for order in list(self.orders.values()):
            if order.is_open and symbol in (None, order.terms.symbol):
                self.expire(order, at, "liquidation")

    def keys(self, order: VenueOrder, at: int) -> EventKeys:
        """What every event about an order begins with."""
        return (self.local_at(order.terms.session, at), at, *order.keys)
