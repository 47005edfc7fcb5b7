"""The ExecutionSimulator: one venue as it would treat us. Requests arrive, are checked, matched, and answered.

Everything here happens in engine time. `next_moment` says when something of ours happens next, `step` lets it happen,
in the order of F0: market data (fills), expiries and triggers, then client requests in order of arrival. Answers are
core events already stamped with when we learn of them; `emit` takes them to whoever carries them home.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from heapq import heappop, heappush
from typing import Any

from core.errors import InvariantBroken
from core.events import (
    AmendRejected,
    CancelRejected,
    Event,
    Liquidity,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
)
from core.instruments import Instrument
from core.orders import OrderStatus, OrderTerms
from core.venue_rules import Request, VenueRules
from sim.account import VenueAccount
from sim.admission import Admission, Stamp
from sim.amendment import amend
from sim.arrival import close_whole, work_out
from sim.bar_market import INF, BarMarket
from sim.book_market import BookMarket
from sim.books import Books
from sim.charges import Charges
from sim.linked_orders import LinkedOrders
from sim.mark_triggers import MarkTriggers
from sim.models.rate_limits import RateLimitModel
from sim.self_trade import meet
from sim.settlement import Settlement
from sim.validation import Refusal
from sim.venue_order import Cause, EventKeys, OwnerKeys, VenueOrder

ZERO = Decimal(0)
SECOND_NS = 1_000_000_000
MATH = Context(prec=34)
Emit = Callable[[Event, VenueOrder | None], None]
AnyMarket = BarMarket | BookMarket


class ExecutionSimulator:
    """One simulated venue: its markets, its ledger, its rules."""

    def __init__(
        self,
        venue: str,
        rules: VenueRules,
        account: VenueAccount,
        *,
        local_at: Callable[[str, int], int],
        emit: Emit,
        books: Books | None = None,
        limits: RateLimitModel | None = None,
    ) -> None:
        """`books` is the cursor over all order books of the world; None where all its markets are bars."""
        self.venue = venue
        self.rules = rules
        self.account = account
        self.admission = Admission(rules, account, limits)
        self.local_at = local_at
        self.emit = emit
        self.books = books if books is not None else Books()
        self.markets: dict[str, AnyMarket] = {}
        """In the order of the run's symbols: that is their order at one nanosecond."""
        self.charges = Charges(rules, account, self.markets)
        self._instruments: dict[str, Instrument] = {}
        self._requests: list[tuple[int, int, Request, Any, Stamp | None]] = []
        self._deadlines: list[tuple[int, int, VenueOrder]] = []
        """Good-till dates, and orders whose trigger was pulled and that act a moment later (F12)."""
        self._due: int | None = None
        """When something else than a request comes next; None: to be found out."""
        self._count = 0
        self._fills = 0
        self.orders: dict[str, VenueOrder] = {}
        """Every order the venue ever accepted or refused, by our id."""
        self._linked = LinkedOrders(self)
        self.after_match, self.is_void = self._linked.after_match, self._linked.is_void
        self._by_mark = MarkTriggers()
        self.settlement: Settlement | None = None
        """Funding, marks and liquidation, of a venue that has them."""

    def add_market(self, market: AnyMarket) -> None:
        """Make a symbol tradable."""
        self.markets[market.instrument.symbol] = market
        self._instruments[market.instrument.symbol] = market.instrument
        self.charges.tariff.add(market.instrument.symbol, market.instrument.fees)

    # --- requests: called by the gateway ----------------------------------------------------------------------------

    def request(self, arrive_at: int, kind: Request, payload: Any, stamp: Stamp | None = None) -> None:
        """`submit` (a VenueOrder), `cancel`, `amend` (order id, …) or `cancel_all` (symbol, …) reach the engine."""
        self._count += 1
        heappush(self._requests, (arrive_at, self._count, kind, payload, stamp))

    @property
    def requests_under_way(self) -> bool:
        return bool(self._requests)

    # --- time -------------------------------------------------------------------------------------------------------

    def next_moment(self) -> int:
        """Engine time of the next thing that concerns us; INF while nothing of ours is here."""
        if self._due is None:
            self._due = self._next_due()
        requests = self._requests
        return requests[0][0] if requests and requests[0][0] < self._due else self._due

    def _next_due(self) -> int:
        """The same but for requests."""
        moment = INF if self.settlement is None else self.settlement.next_at()
        for market in self.markets.values():
            if market.orders:
                moment = min(moment, market.next_at())
        deadlines = self._deadlines
        while deadlines and not deadlines[0][2].is_open:
            heappop(deadlines)
        if deadlines:
            moment = min(moment, deadlines[0][0])
        if self._by_mark.waiting and self.settlement is not None:
            moment = min(moment, self._by_mark.next_at(self.settlement))
        return moment

    def revealed(self) -> None:
        """More rows of a tape are known than when `next_moment` was last asked for, or they did something to us."""
        self._due = None

    def next_request(self) -> int:
        """Arrival of the next request; INF where none is under way."""
        return self._requests[0][0] if self._requests else INF

    def asks_next(self) -> str:
        """The strategy whose request arrives next. Raises IndexError where none is under way."""
        _, _, kind, payload, _ = self._requests[0]
        strategy: str = payload.terms.strategy if kind == "submit" else payload[-1][3]
        return strategy

    def step(self, at: int) -> None:
        """Let everything due at `at` happen, in the order of F0."""
        if self._due is None or self._due <= at or self.books.markets:
            self._happen(at)
        self.answer(at)

    def _happen(self, at: int) -> None:
        """What comes before requests."""
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
            self._linked.void_reducers(at)
        while self._deadlines and self._deadlines[0][0] <= at:
            order = heappop(self._deadlines)[2]
            if order.acts_later:
                self._act(order, at)
            elif order.is_open:
                self.expire(order, at, "gtd")
        for market in working:
            market.triggers(at)
        for order in self._by_mark.due(settlement, at):
            self.fire(order, at, None)

    def answer(self, at: int) -> None:
        """Requests that have arrived by `at`, in order of arrival."""
        self._due = None
        requests, counters, tariff = self._requests, self.admission.counters, self.charges.tariff
        if self.settlement is not None:
            self.settlement.requests(at)
        while requests and requests[0][0] <= at:
            arrived, _, kind, payload, stamp = heappop(requests)
            if arrived >= tariff.until:
                tariff.turn(arrived)
            refusal = counters.request(kind, arrived)
            if refusal is None and stamp is not None:
                refusal = self.admission.out_of_time(stamp, arrived)
            if refusal is not None:
                self._turn_away(kind, payload, arrived, refusal)
            elif kind == "submit":
                self._submit(payload, arrived)
            elif kind == "cancel":
                self._cancel(payload, arrived)
            elif kind == "cancel_all":
                self._cancel_all(payload, arrived)
            else:
                amend(self, payload, arrived)

    def _turn_away(self, kind: Request, payload: Any, at: int, refusal: Refusal) -> None:
        """A request that is refused before it is looked at: too many of them, or its time is not accepted."""
        if kind == "submit":
            self.orders[payload.terms.id] = payload
            self._reject(payload, at, refusal)
            return
        order_id, keys = payload[0] or "", payload[-1]
        order = self.orders.get(order_id)
        head = (self.local_at(keys[4], at), at, *keys, order_id, refusal.code, refusal.message)
        self.emit(AmendRejected(*head) if kind == "amend" else CancelRejected(*head), order)

    def _reject(self, order: VenueOrder, at: int, refusal: Refusal) -> None:
        order.status = OrderStatus.REJECTED
        self.account.holds.give_back(order.terms.id)
        self.emit(OrderRejected(*self.keys(order, at), refusal.code, refusal.message, refusal.case), order)

    # --- submit -----------------------------------------------------------------------------------------------------

    def _submit(self, order: VenueOrder, at: int) -> None:
        terms = order.terms
        market = self.markets[terms.symbol]
        self.orders[terms.id] = order
        market.wake(at)
        if order.limit is not None or order.waits_for_trigger or terms.quote_qty is not None or terms.price_match:
            work_out(order, market, at)
        if terms.close_position and not order.waits_for_trigger:
            close_whole(order, self.account)
        if terms.oco is not None:
            self._linked.join(order)
        refusal = self.admission.refusal(order, market, at)
        if refusal is not None:
            self._reject(order, at, refusal)
            return
        self.admission.counters.succeeded("submit", at)
        if order.only_reduces:
            self._linked.reducers[terms.id] = order
        waits = order.waits_for_trigger
        order.status = OrderStatus.PENDING_TRIGGER if waits else OrderStatus.ACCEPTED
        place = None if waits or (ahead := market.ahead_at(order)) is None else float(ahead)
        self.emit(OrderAccepted(*self.keys(order, at), terms.id, waits, place), order)
        if terms.tif == "gtd" and terms.good_till is not None:
            self._count += 1
            heappush(self._deadlines, (terms.good_till // SECOND_NS * SECOND_NS, self._count, order))
        if waits:
            market.place(order, at)
            if terms.trigger_by != "last":
                self._by_mark.add(order, at)
        else:
            self.enter(order, market, at)
        if order.is_open:
            self.admission.open.add(order)

    def enter(self, order: VenueOrder, market: AnyMarket, at: int, reference: Any = None) -> None:
        """An accepted or triggered order meets the market."""
        crosses = order.limit is not None and market.crosses(order, at)
        if crosses and order.never_takes:
            self.cancel_order(order, at, "post_only")
        elif order.terms.tif == "fok" and not market.can_fill_whole(order, at):
            self.expire(order, at, "fok", met=crosses)
        elif crosses or order.limit is None or reference is not None:
            market.take(order, at, reference)
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
        return int(leaves // self._instruments[order.terms.symbol].step)

    def affordable(self, order: VenueOrder, price: Decimal, steps: int) -> int:
        """Steps a taker can pay for: a spot account cannot go below zero. Linear orders were checked at arrival."""
        if self.account.kind != "spot":
            return steps
        instrument = self._instruments[order.terms.symbol]
        self.account.holds.give_back(order.terms.id)
        if order.terms.side == "buy":
            most = self.account.free(instrument.quote, order.terms.oco) / price
        else:
            most = self.account.free(instrument.base, order.terms.oco)
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
        market = self.markets[terms.symbol]
        instrument = market.instrument
        notional = MATH.multiply(price, qty)
        fee, fee_asset = self.charges.fee(market, terms.side, notional, qty, liquidity, at)
        order.filled += qty
        order.value += notional
        order.fees += fee
        leaves = order.qty - order.filled - order.prevented
        if leaves < 0 or qty <= 0:
            raise InvariantBroken(f"{terms.symbol}: a fill of {qty} leaves {leaves} of order {terms.id}")
        if order.limit is not None and order.sign * (price - order.limit) > 0:
            raise InvariantBroken(f"{terms.symbol}: a fill at {price} is beyond the limit {order.limit} of {terms.id}")
        side = terms.position_side
        order.realized = self.account.fill(instrument, terms.side, price, qty, fee, fee_asset, side)
        if self.settlement is not None:
            owner = (terms.strategy, terms.session)
            self.settlement.filled(terms.symbol, side, owner, qty if order.sign > 0 else -qty, at)
        if order.filled == qty:
            self.admission.counters.first_fill(liquidity, at)
        order.status = OrderStatus.PARTIAL if leaves else OrderStatus.FILLED
        if leaves and order.limit is not None:
            need = self.account.need(instrument, terms, leaves, order.limit)
            self.account.holds.set_aside(terms.id, *need, terms.oco)
        self._fills += 1
        self.emit(
            OrderFilled(
                self.local_at(terms.session, at),
                at,
                *order.keys,
                f"{self.venue}-{self._fills}",
                terms.side,
                price,
                qty,
                liquidity,
                rule,
                fee,
                fee_asset,
                reference,
                leaves,
                *cause,
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
        if order.is_open and order.leaves:
            terms = order.terms
            market = self.markets[terms.symbol]
            if terms.reduce_only and not self.may_fill(order):
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
        if self._linked.reducers or order.terms.oco is not None:
            self.after_match(order, at)

    def expire_orders(self, symbol: str | None, at: int) -> None:
        """The venue ends the orders of a symbol, or all of them, because it liquidates; oldest first."""
        for order in list(self.orders.values()):
            if order.is_open and symbol in (None, order.terms.symbol):
                self.expire(order, at, "liquidation")

    def fire(self, order: VenueOrder, at: int, reference: Any) -> None:
        """A trigger was met: the order it carries acts at the same moment, or after the model's delay."""
        market = self.markets[order.terms.symbol]
        order.waits_for_trigger, order.triggered = False, True
        order.status = OrderStatus.ACCEPTED
        market.remove(order)
        price = order.terms.trigger_price if order.pulled_at is None else order.pulled_at
        self.emit(OrderTriggered(*self.keys(order, at), market.decimal(reference) if price is None else price), order)
        if market.models.triggers.delay_ms:
            order.acts_later = True
            self._count += 1
            heappush(self._deadlines, (at + market.models.triggers.delay_ms, self._count, order))
            self.after_match(order, at)
        else:
            self._act(order, at, reference)

    def _act(self, order: VenueOrder, at: int, reference: Any = None) -> None:
        """The order that a trigger carries enters the engine."""
        order.acts_later = False
        if not order.is_open:
            return
        market = self.markets[order.terms.symbol]
        if order.terms.close_position:
            close_whole(order, self.account)
        known = reference if reference is not None else market.price(at)
        self.charges.tariff.rates(order.terms.symbol, at)  # what it needs is measured with the fees of now
        if order.terms.close_position and not order.qty:  # what it was to close is closed already
            self.expire(order, at, "reduce_only")
            self.after_match(order, at)
        elif not self.admission.affords(order, market, None if known is None else market.decimal(known)):
            self.expire(order, at, "trigger_rejected")
            self.after_match(order, at)
        elif market.fired_crosses(order, reference, at):
            self.enter(order, market, at, reference)
        else:
            self.rest_taker(order, at)

    def meet(self, taker: VenueOrder, resting: VenueOrder, at: int) -> None:
        """Two orders of the account meet in the walk (F14): by the taker's mode they trade, or one or both end."""
        meet(self, taker, resting, at)

    def prevent(self, order: VenueOrder, qty: Decimal, at: int, *, ends: bool) -> None:
        """So much of an order must not trade with our own; `ends` it, or it goes on with the rest."""
        order.prevented += qty
        if ends:
            self.expire(order, at, "stp")
        elif order.limit is not None:
            terms = order.terms
            need = self.account.need(self._instruments[terms.symbol], terms, order.leaves, order.limit)
            self.account.holds.set_aside(terms.id, *need, terms.oco)

    def prevention(self, order: VenueOrder) -> str:
        """The self-trade mode of a taker: its own, the model's, or the venue's."""
        models = self.markets[order.terms.symbol].models
        return order.terms.stp or models.stp.default or self.rules.stp_default

    # --- cancel and amend -------------------------------------------------------------------------------------------

    def _cancel(self, request: tuple[str, OrderTerms | None, OwnerKeys], at: int) -> None:
        order_id, _, keys = request
        order = self.orders.get(order_id)
        if order is None or not order.is_open:
            answer = self.admission.absent(order, "cancel")
            local = self.local_at(keys[4], at)
            self.emit(CancelRejected(local, at, *keys, order_id, answer.code, answer.message), order)
            return
        self.admission.counters.succeeded("cancel", at)
        self.cancel_order(order, at, "request")

    def _cancel_all(self, request: tuple[str | None, OwnerKeys], at: int) -> None:
        """Every open order, oldest first; of one symbol where it is named."""
        symbol, _ = request
        self.admission.counters.succeeded("cancel_all", at)
        for order in list(self.orders.values()):
            if order.is_open and symbol in (None, order.terms.symbol):
                self.cancel_order(order, at, "request")

    def cancel_order(self, order: VenueOrder, at: int, reason: str) -> None:
        order.status = OrderStatus.CANCELED
        self.emit(OrderCanceled(*self.keys(order, at), reason, self._word(order, reason)), order)
        self._end(order)

    # --- endings ----------------------------------------------------------------------------------------------------

    def expire(self, order: VenueOrder, at: int, reason: str, met: bool = False) -> None:
        order.status = OrderStatus.EXPIRED_IN_MATCH if reason == "stp" else OrderStatus.EXPIRED
        event = OrderExpired(*self.keys(order, at), reason, self._word(order, reason, met), order.prevented)
        self.emit(event, order)
        self._end(order)

    def _word(self, order: VenueOrder, reason: str, met: bool = False) -> str | None:
        """The venue's word for why the order ends; `met`: a fill-or-kill that found somebody, too few."""
        return self.rules.expiry_word(reason, partly=met or order.filled > 0, tif=order.terms.tif)

    def _end(self, order: VenueOrder) -> None:
        self.admission.open.remove(order)
        if order.only_reduces:
            self._linked.reducers.pop(order.terms.id, None)
        self.account.holds.give_back(order.terms.id)
        order.plan += 1
        market = self.markets[order.terms.symbol]
        if market.orders:
            market.remove(order)

    def keys(self, order: VenueOrder, at: int) -> EventKeys:
        """What every event about an order begins with."""
        return (self.local_at(order.terms.session, at), at, *order.keys)
