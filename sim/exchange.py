"""The ExecutionSimulator: one venue as it would treat us. Requests arrive, are checked, matched, and answered.

Everything here happens in engine time. `next_moment` says when something of ours happens next, `step` lets it happen,
in the order of F0: market data (fills), expiries and triggers, then client requests in order of arrival. What becomes
of an order that was let in is `sim.matching`. Answers are core events already stamped with when we learn of them;
`emit` takes them to whoever carries them home.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from core.events import AmendRejected, CancelRejected, OrderAccepted, OrderRejected
from core.moments import INF, SECOND_NS
from core.orders import ACCEPTED, PENDING_TRIGGER, OrderStatus
from core.venue_rules import Request, VenueRules
from sim.account import VenueAccount
from sim.books.books import Books
from sim.matching import AnyMarket, Emit, Matching
from sim.models.rate_limits import RateLimitModel
from sim.order_entry.admission import Admission, Stamp
from sim.order_entry.amendment import amend
from sim.order_entry.arrival import close_whole, work_out
from sim.order_entry.validation import Refusal
from sim.venue_order import OwnerKeys, VenueOrder


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
        self.local_at = local_at
        self.emit = emit
        self.books = books if books is not None else Books()
        self.admission = Admission(rules, account, limits)
        self.matching = Matching(venue, rules, account, self.admission, self.books, local_at=local_at, emit=emit)
        self.markets, self.orders = self.matching.markets, self.matching.orders
        self._tariff = self.matching.charges.tariff
        self._requests: list[tuple[int, int, Request, Any, Stamp | None]] = []
        self._count = 0

    def add_market(self, market: AnyMarket) -> None:
        """Make a symbol tradable."""
        self.markets[market.instrument.symbol] = market
        self._tariff.add(market.instrument.symbol, market.instrument.fees)

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
        due, requests = self.matching.next_at(), self._requests
        return requests[0][0] if requests and requests[0][0] < due else due

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
        books = self.books
        if (books.markets and books.advance(at) <= at) or self.matching.next_at() <= at:
            self.matching.happen(at)
        self.answer(at)

    def answer(self, at: int) -> None:
        """Requests that have arrived by `at`, in order of arrival."""
        requests, counters, tariff = self._requests, self.admission.counters, self._tariff
        self.matching.requests(at)
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
        self.emit(OrderRejected(*self.matching.keys(order, at), refusal.code, refusal.message, refusal.case), order)

    # --- submit -----------------------------------------------------------------------------------------------------

    def _submit(self, order: VenueOrder, at: int) -> None:
        terms, matching = order.terms, self.matching
        market = self.markets[terms.symbol]
        self.orders[terms.id] = order
        market.wake(at)
        if order.limit is not None or order.waits_for_trigger or terms.quote_qty is not None or terms.price_match:
            work_out(order, market, at)
        if terms.close_position and not order.waits_for_trigger:
            close_whole(order, self.account)
        refusal = self.admission.refusal(order, market, at)
        if refusal is not None:
            self._reject(order, at, refusal)
            return
        self.admission.counters.succeeded("submit", at)
        if order.only_reduces:
            matching.linked.reducers[terms.id] = order
        waits = order.waits_for_trigger
        order.status = PENDING_TRIGGER if waits else ACCEPTED
        ahead = None if waits or order.limit is None else market.ahead_at(order)
        heard_at = self.local_at(terms.session, at)
        self.emit(OrderAccepted(heard_at, at, *order.keys, terms.id, waits, ahead), order)
        if terms.tif == "gtd" and terms.good_till is not None:
            matching.remind(order, terms.good_till // SECOND_NS * SECOND_NS)
        if terms.oco is not None and matching.linked.comes_late(order):
            matching.expire(order, at, "oco")
        elif waits:
            market.place(order, at)
            if terms.trigger_by != "last":
                matching.by_mark.add(order, at)
        else:
            matching.enter(order, market, at)
        if order.is_open:
            self.admission.open.add(order)

    # --- cancel and amend -------------------------------------------------------------------------------------------

    def _cancel(self, request: tuple[str, OwnerKeys], at: int) -> None:
        order_id, keys = request
        order = self.orders.get(order_id)
        if order is None or not order.is_open:
            answer = self.admission.absent(order, "cancel")
            local = self.local_at(keys[4], at)
            self.emit(CancelRejected(local, at, *keys, order_id, answer.code, answer.message), order)
            return
        self.admission.counters.succeeded("cancel", at)
        self.matching.cancel(order, at, "request")

    def _cancel_all(self, request: tuple[str | None, OwnerKeys], at: int) -> None:
        """Every open order, oldest first; of one symbol where it is named."""
        symbol, _ = request
        self.admission.counters.succeeded("cancel_all", at)
        for order in list(self.orders.values()):
            if order.is_open and symbol in (None, order.terms.symbol):
                self.matching.cancel(order, at, "request")
