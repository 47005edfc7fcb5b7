"""The ExecutionSimulator: one venue as it would treat us. Requests arrive, are checked, matched, and answered.

Everything here happens in engine time. `next_moment` says when something of ours happens next, `step` lets it happen,
in the order of F0: market data (fills), expiries and triggers, then client requests in order of arrival. Answers are
core events already stamped with when we learn of them; `emit` takes them to whoever carries them home.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Context, Decimal
from heapq import heappop, heappush
from typing import Any

import msgspec

from core.errors import InvariantBroken
from core.events import (
    AmendRejected,
    CancelRejected,
    Event,
    Liquidity,
    OrderAccepted,
    OrderAmended,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
)
from core.instruments import Instrument
from core.orders import OrderStatus, OrderTerms
from core.venue_rules import VenueRules
from sim.account import VenueAccount
from sim.bar_market import INF, BarMarket
from sim.validation import Refusal, amended_failure, first_failure
from sim.venue_order import EventKeys, OwnerKeys, VenueOrder

ZERO = Decimal(0)
EIGHT = Decimal("1e-8")
SECOND_NS = 1_000_000_000
MATH = Context(prec=34)
Emit = Callable[[Event, VenueOrder | None], None]


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
    ) -> None:
        self.venue = venue
        self.rules = rules
        self.account = account
        self._local_at = local_at
        self._emit = emit
        self.markets: dict[str, BarMarket] = {}
        """In the order of the run's symbols: that is their order at one nanosecond."""
        self._instruments: dict[str, Instrument] = {}
        self._requests: list[tuple[int, int, str, Any]] = []
        self._deadlines: list[tuple[int, int, VenueOrder]] = []
        self._count = 0
        self._fills = 0
        self.orders: dict[str, VenueOrder] = {}
        """Every order the venue ever accepted or refused, by our id."""
        self._open_clients: set[str] = set()
        self._reducers: dict[str, VenueOrder] = {}

    def add_market(self, market: BarMarket) -> None:
        """Make a symbol tradable."""
        self.markets[market.instrument.symbol] = market
        self._instruments[market.instrument.symbol] = market.instrument

    # --- requests: called by the gateway ----------------------------------------------------------------------------

    def request(self, arrive_at: int, kind: str, payload: Any) -> None:
        """`submit` (a VenueOrder), `cancel` or `amend` (order id, …) reach the engine at `arrive_at`."""
        self._count += 1
        heappush(self._requests, (arrive_at, self._count, kind, payload))

    @property
    def requests_under_way(self) -> bool:
        return bool(self._requests)

    # --- time -------------------------------------------------------------------------------------------------------

    def next_moment(self) -> int:
        """Engine time of the next thing that concerns us; INF while nothing of ours is here."""
        moment = self._requests[0][0] if self._requests else INF
        for market in self.markets.values():
            if market.orders:
                at = market.next_at()
                if at < moment:
                    moment = at
        deadlines = self._deadlines
        while deadlines and not deadlines[0][2].is_open:
            heappop(deadlines)
        if deadlines and deadlines[0][0] < moment:
            moment = deadlines[0][0]
        return moment

    def next_request(self) -> int:
        """Arrival of the next request; INF where none is under way."""
        return self._requests[0][0] if self._requests else INF

    def asks_next(self) -> str:
        """The strategy whose request arrives next. Raises IndexError where none is under way."""
        _, _, kind, payload = self._requests[0]
        strategy: str = payload.terms.strategy if kind == "submit" else payload[-1][3]
        return strategy

    def step(self, at: int) -> None:
        """Let everything due at `at` happen, in the order of F0."""
        working = [market for market in self.markets.values() if market.orders]
        for market in working:
            market.data(at)
        while self._deadlines and self._deadlines[0][0] <= at:
            order = heappop(self._deadlines)[2]
            if order.is_open:
                self._expire(order, at, "gtd")
        for market in working:
            market.triggers(at)
        self.answer(at)

    def answer(self, at: int) -> None:
        """Requests that have arrived by `at`, in order of arrival."""
        requests = self._requests
        while requests and requests[0][0] <= at:
            arrived, _, kind, payload = heappop(requests)
            if kind == "submit":
                self._submit(payload, arrived)
            elif kind == "cancel":
                self._cancel(payload, arrived)
            else:
                self._amend(payload, arrived)

    # --- submit -----------------------------------------------------------------------------------------------------

    def _submit(self, order: VenueOrder, at: int) -> None:
        terms = order.terms
        self.orders[terms.id] = order
        market = self.markets[terms.symbol]
        market.wake(at)
        if terms.price is not None:
            order.limit_mantissa = int(terms.price.scaleb(market.scale))
        if terms.trigger_price is not None:
            order.trigger = int(terms.trigger_price.scaleb(market.scale))
        refusal = self._refusal(order, market, at)
        if refusal is not None:
            order.status = OrderStatus.REJECTED
            self.account.release(terms.id)
            self._emit(OrderRejected(*self._keys(order, at), refusal.code, refusal.message, refusal.case), order)
            return
        self._open_clients.add(order.client_id)
        if terms.reduce_only:
            self._reducers[terms.id] = order
        order.status = OrderStatus.PENDING_TRIGGER if order.waits_for_trigger else OrderStatus.ACCEPTED
        self._emit(OrderAccepted(*self._keys(order, at), terms.id, order.waits_for_trigger), order)
        if terms.tif == "gtd" and terms.good_till is not None:
            self._count += 1
            heappush(self._deadlines, (terms.good_till // SECOND_NS * SECOND_NS, self._count, order))
        if order.waits_for_trigger:
            market.place(order, at)
        else:
            self._enter(order, market, at)

    def _refusal(self, order: VenueOrder, market: BarMarket, at: int) -> Refusal | None:
        """The first check that fails, in the venue's order: terms, then funds, then the engine's own."""
        terms = order.terms
        reference = market.price(at)
        if reference is None:  # a hole in the data: the last price before it
            reference = market.known_before(at)
        known = market.decimal(reference) if reference is not None else None
        refusal = first_failure(
            terms,
            market.instrument,
            self.rules,
            duplicate=order.client_id in self._open_clients,
            position=self.account.position_qty(terms.symbol),
            reference=known,
            at=at,
        )
        if refusal is not None:
            return refusal
        if order.waits_for_trigger:
            if self.rules.trigger_holds and not self._affords(order, market, terms.trigger_price):
                return self._refused("funds")
            before = market.known_before(at)
            if before is not None and order.trigger_sign * before >= order.trigger_sign * order.trigger:
                case = "trigger_fall" if order.trigger_sign < 0 and "trigger_fall" in self.rules.errors else "trigger"
                return self._refused(case)
            return None
        if not self._affords(order, market, known):
            return self._refused("funds")
        if terms.price is None and terms.tif is None:
            return None
        if terms.post_only and self.rules.post_only_cross == "reject" and market.crosses(order, at):
            return self._refused("post_only")
        if terms.tif == "fok" and self.rules.fok_unfillable == "reject" and not market.can_fill_whole(order, at):
            return self._refused("fok")
        return None

    def _refused(self, case: str) -> Refusal:
        answer = self.rules.errors[case]
        return Refusal(case, answer.code, answer.message)

    def _affords(self, order: VenueOrder, market: BarMarket, known: Decimal | None) -> bool:
        """Whether the account has what the order needs; a limit order then holds it."""
        price = order.limit if order.limit is not None else known
        if price is None:
            return True
        account, holds = self.account, order.limit is not None or order.waits_for_trigger
        asset, amount = account.need(market.instrument, order.terms, order.leaves, price)
        if holds:
            account.release(order.terms.id)
        if amount > 0 and account.free(asset) < amount:
            return False
        if holds:
            account.hold(order.terms.id, asset, amount)
        return True

    def _enter(self, order: VenueOrder, market: BarMarket, at: int, reference: Any = None) -> None:
        """An accepted or triggered order meets the market."""
        terms = order.terms
        if terms.post_only and market.crosses(order, at):
            self._cancel_order(order, at, "post_only")
        elif terms.tif == "fok" and not market.can_fill_whole(order, at):
            self._expire(order, at, "fok")
        elif order.limit is None or reference is not None or market.crosses(order, at):
            market.take(order, at, reference)
        else:
            self.rest_taker(order, at)

    # --- what the markets report back -------------------------------------------------------------------------------

    def may_fill(self, order: VenueOrder) -> int:
        """Steps the order may trade now: its leaves, clipped to the position where it only reduces."""
        leaves = order.qty - order.filled - order.prevented
        if order.terms.reduce_only:
            held = self.account.position_qty(order.terms.symbol)
            leaves = min(leaves, abs(held)) if held * order.sign < 0 else ZERO
        return int(leaves // self._instruments[order.terms.symbol].step)

    def affordable(self, order: VenueOrder, price: Decimal, steps: int) -> int:
        """Steps a taker can pay for: a spot account cannot go below zero. Linear orders were checked at arrival."""
        if self.account.kind != "spot":
            return steps
        instrument = self._instruments[order.terms.symbol]
        self.account.release(order.terms.id)
        if order.terms.side == "buy":
            most = self.account.free(instrument.quote) / price
        else:
            most = self.account.free(instrument.base)
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
        row: int,
    ) -> None:
        """One fill: the order, the venue's ledger, and the event that says why."""
        terms = order.terms
        market = self.markets[terms.symbol]
        instrument = market.instrument
        fee, fee_asset = self._fee(market, order, price, qty, liquidity)
        order.filled += qty
        order.value += MATH.multiply(price, qty)
        order.fees += fee
        leaves = order.leaves
        if leaves < 0 or qty <= 0:
            raise InvariantBroken(f"{terms.symbol}: a fill of {qty} leaves {leaves} of order {terms.id}")
        if order.limit is not None and order.sign * (price - order.limit) > 0:
            raise InvariantBroken(f"{terms.symbol}: a fill at {price} is beyond the limit {order.limit} of {terms.id}")
        order.realized = self.account.fill(instrument, terms.side, price, qty, fee, fee_asset)
        order.status = OrderStatus.PARTIAL if leaves else OrderStatus.FILLED
        if order.limit is not None:
            if leaves:
                self.account.hold(terms.id, *self.account.need(instrument, terms, leaves, order.limit))
            else:
                self.account.release(terms.id)
        self._fills += 1
        self._emit(
            OrderFilled(
                *self._keys(order, at),
                f"{self.venue}-{self._fills}",
                terms.side,
                price,
                qty,
                liquidity,
                "bar",
                fee,
                fee_asset,
                reference,
                leaves,
                market.cursor.tape_id,
                row,
                market.bar.open_time,
            ),
            order,
        )
        if not leaves:
            self._end(order)

    def rest_taker(self, order: VenueOrder, at: int) -> None:
        """What a taker did not get: rests at its limit, is carried to the next open, or ends."""
        if order.leaves:
            terms = order.terms
            market = self.markets[terms.symbol]
            if terms.reduce_only and not self.may_fill(order):
                self._expire(order, at, "reduce_only")
            elif terms.tif == "fok":
                self._expire(order, at, "fok")
            elif order.limit is not None:
                if terms.tif == "ioc":
                    self._expire(order, at, "ioc")
                else:
                    market.place(order, at)
            elif terms.tif == "ioc" or market.models.bars.remainder == "expire":
                self._expire(order, at, "no_liquidity")
            else:
                order.carried = True
                if order not in market.orders:
                    market.orders.append(order)
        if self._reducers:
            self.after_match(order, at)

    def after_match(self, order: VenueOrder, at: int) -> None:
        """What a match leaves void: reduce-only orders without a position to reduce."""
        symbol = order.terms.symbol
        for other in list(self._reducers.values()):
            if other.terms.symbol == symbol and other.is_open and not self.may_fill(other):
                self._expire(other, at, "reduce_only")

    def fire(self, order: VenueOrder, at: int, reference: Any) -> None:
        """A trigger was met: the order it carries acts at the same moment."""
        market = self.markets[order.terms.symbol]
        order.waits_for_trigger = False
        order.status = OrderStatus.ACCEPTED
        assert order.terms.trigger_price is not None
        self._emit(OrderTriggered(*self._keys(order, at), order.terms.trigger_price), order)
        if not self._affords(order, market, market.decimal(reference)):
            self._expire(order, at, "trigger_rejected")
            return
        if order.limit is None or order.sign * (reference - order.limit_mantissa) <= 0:
            self._enter(order, market, at, reference)
        else:
            self.rest_taker(order, at)

    # --- cancel and amend -------------------------------------------------------------------------------------------

    def _cancel(self, request: tuple[str, OrderTerms | None, OwnerKeys], at: int) -> None:
        order_id, _, keys = request
        order = self.orders.get(order_id)
        if order is None or not order.is_open:
            answer = self.rules.errors["unknown_cancel"]
            local = self._local_at(keys[4], at)
            self._emit(CancelRejected(local, at, *keys, order_id, answer.code, answer.message), order)
            return
        self._cancel_order(order, at, "request")

    def _cancel_order(self, order: VenueOrder, at: int, reason: str) -> None:
        order.status = OrderStatus.CANCELED
        self._emit(OrderCanceled(*self._keys(order, at), reason, self.rules.expiry_words.get(reason)), order)
        self._end(order)

    def _amend(self, request: tuple[str, Decimal | None, Decimal, OwnerKeys], at: int) -> None:
        order_id, price, qty, keys = request
        order = self.orders.get(order_id)
        case = "unknown_amend" if order is None or not order.is_open else self._amend_failure(order, price, qty)
        if case is not None or order is None:
            answer = self.rules.errors[case or "unknown_amend"]
            local = self._local_at(keys[4], at)
            self._emit(AmendRejected(local, at, *keys, order_id, answer.code, answer.message), order)
            return
        if qty <= order.filled:
            self._cancel_order(order, at, "amend")
            return
        market = self.markets[order.terms.symbol]
        market.wake(at)
        before = (order.qty, order.limit, order.limit_mantissa)
        order.qty, order.limit = qty, price
        if price is not None:
            order.limit_mantissa = int(price.scaleb(market.scale))
        self.account.release(order.terms.id)
        failed = "funds" if not self._affords(order, market, None) else None
        if failed is None and order.terms.post_only and market.crosses(order, at):
            failed = "post_only" if "post_only" in self.rules.errors else "unknown_amend"
        if failed is not None:
            order.qty, order.limit, order.limit_mantissa = before
            self._affords(order, market, None)
            answer = self.rules.errors[failed]
            self._emit(AmendRejected(*self._keys(order, at), answer.code, answer.message), order)
            return
        market.remove(order)
        self._emit(OrderAmended(*self._keys(order, at), price, qty), order)
        self._enter(order, market, at)

    def _amend_failure(self, order: VenueOrder, price: Decimal | None, qty: Decimal) -> str | None:
        """Why the venue would not amend; None where it would."""
        if order.limit is None or order.waits_for_trigger:
            return "unknown_amend"
        if price is None:
            return "parameter"
        same_price = price == order.limit
        if self.rules.amend == "qty_down":
            if not same_price:
                return "parameter"
            if qty > order.qty:
                return "amend_up"
        if same_price and qty == order.qty:
            return "amend_same"
        if qty <= order.filled:
            return None if self.rules.amend_below_filled == "cancel" else "amend_same"
        case = amended_failure(
            msgspec.structs.replace(order.terms, price=price, qty=qty),
            self._instruments[order.terms.symbol],
            self.rules,
        )
        return case if case is None or case in self.rules.errors else "parameter"

    # --- endings ----------------------------------------------------------------------------------------------------

    def _expire(self, order: VenueOrder, at: int, reason: str) -> None:
        order.status = OrderStatus.EXPIRED
        event = OrderExpired(*self._keys(order, at), reason, self.rules.expiry_words.get(reason), order.prevented)
        self._emit(event, order)
        self._end(order)

    def _end(self, order: VenueOrder) -> None:
        terms = order.terms
        if self.rules.client_ids == "unique_open":
            self._open_clients.discard(order.client_id)
        self._reducers.pop(terms.id, None)
        self.account.release(terms.id)
        order.plan += 1
        market = self.markets[terms.symbol]
        if market.orders:
            market.remove(order)

    # --- small things -----------------------------------------------------------------------------------------------

    def _keys(self, order: VenueOrder, at: int) -> EventKeys:
        t = order.terms
        return (self._local_at(t.session, at), at, *order.keys)

    def _fee(
        self, market: BarMarket, order: VenueOrder, price: Decimal, qty: Decimal, liquidity: Liquidity
    ) -> tuple[Decimal, str]:
        instrument = market.instrument
        rate = instrument.maker if liquidity == "maker" else instrument.taker
        paid = market.models.fees
        if paid.pay_in is not None and paid.pay_price is not None and rate > 0:
            full = MATH.multiply(MATH.multiply(price, qty), rate)
            less = MATH.divide(MATH.multiply(full, 1 - paid.discount), paid.pay_price)
            fee = less.quantize(EIGHT, ROUND_DOWN, MATH)
            if self.account.can_pay(paid.pay_in, fee):
                return fee, paid.pay_in
        if self.rules.fee_in == "received" and order.terms.side == "buy":
            return MATH.multiply(qty, rate).quantize(EIGHT, ROUND_DOWN, MATH), instrument.base
        notional = MATH.multiply(price, qty)
        return MATH.multiply(notional, rate).quantize(EIGHT, ROUND_DOWN, MATH), instrument.quote
