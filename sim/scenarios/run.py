"""One scenario against the simulated exchange: the exchange, the line and the models of a backtest, driven by a file.

Requests leave at the client's time and travel the line; the exchange steps through engine time; each event is written
down as it happens. Time here is absolute inside and relative to `start` in everything that is compared.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any

from core.events import (
    AmendRejected,
    CancelRejected,
    Event,
    FundingPaid,
    OrderEvent,
    OrderRejected,
    OrderTriggered,
    PositionLiquidated,
    PositionSide,
)
from core.moments import INF
from core.orders import OrderStatus, OrderTerms
from core.venue_rules import VenueRules
from sim.books import kernel
from sim.books.book_market import BookMarket
from sim.gateway import Line
from sim.models.legs import Operation
from sim.scenario import Ran
from sim.scenarios.account import last_settlement, settle_asset
from sim.scenarios.bars import feed_legs_of, last_price, tape_of
from sim.scenarios.books import book_tapes, books_state
from sim.scenarios.compare import ActualEvent, ActualState
from sim.scenarios.format import LIMIT_TYPES, Request, Scenario, Submit
from sim.scenarios.invariants import Witness
from sim.scenarios.state import account_event_of, account_state, event_of, orders_of
from sim.scenarios.venue import models_of, venue_of
from sim.venue_order import VenueOrder

OPERATIONS: dict[str, Operation] = {"submit": "entry", "amend": "amend", "cancel": "cancel", "cancel_all": "cancel"}
"""Kind of a request to the leg of the latency model it travels."""
STRATEGY = "scenario"
SIDE: PositionSide = "net"


def run_one(scenario: Scenario, rules_of: Callable[[str], VenueRules], functions: Any = kernel) -> Ran:
    """What the scenario causes. Raises ConfigError for wrong models, DataError for bars that contradict each other.

    `functions` is `sim.books.kernel`, or its compiled twin: the same bytes come out.
    """
    return _Run(scenario, rules_of(scenario.venue), functions).play()


class _Run:
    """The merge of three streams: requests that leave, requests that arrive, and the exchange's own moments."""

    def __init__(self, scenario: Scenario, rules: VenueRules, functions: Any) -> None:
        self.scenario = scenario
        self.rules = rules
        self.start = scenario.start
        self.events: list[ActualEvent] = []
        self.checks: dict[int, ActualState] = {}
        """By index in the file: checks may stand in any order."""
        self._models = models_of(scenario, rules)
        # The seed a backtest gives this venue's line: equal draws for equal seeds.
        seed = scenario.seed * 1_000_003 + zlib.crc32(scenario.venue.encode())
        latency = self._models("").latency
        self._line = Line(latency, seed, feed_legs_of(scenario, latency.feed_ns).at)
        self._tapes = {symbol: tape_of(scenario, symbol) for symbol in scenario.instruments}
        books = {symbol: book_tapes(scenario, symbol, latency.feed_ns) for symbol in scenario.instruments}
        self.exchange = venue_of(
            scenario,
            rules,
            self._models,
            self._tapes,
            books,
            local_at=self._local_at,
            emit=self._on_event,
            functions=functions,
        )
        self.instruments = {symbol: market.instrument for symbol, market in self.exchange.markets.items()}
        self._settle = settle_asset(self.instruments)
        self._marked = {row.symbol for row in scenario.tape if row.mark is not None}
        self._counters = self.exchange.admission.counters
        self._witness = Witness(self.exchange.account, self.instruments)
        self._sends = sorted(scenario.requests, key=lambda request: request.at)
        self._sent = 0
        self._arrivals: list[tuple[int, int, Request]] = []
        self._answered: Request | None = None
        """The request in the engine's hands, whose own response leg its answers take."""
        self._orders: dict[str, VenueOrder] = {}
        bars = [int(tape.columns["ts_venue"][-1]) for tape in self._tapes.values() if len(tape)]
        sends = [self.start + request.at for request in self._sends]
        rows = [self.start + row.at for row in scenario.tape]
        self._end = max([self.start, *bars, *sends, *rows, self.start + last_settlement(scenario, self._models)])
        """Without `until`: the last row (a bar lasts to its close), request or answer known so far."""

    def play(self) -> Ran:
        """Run to the end."""
        waiting = sorted(enumerate(self.scenario.expectation.checks), key=lambda item: item[1].at)
        while True:
            check_at = self.start + waiting[0][1].at if waiting else INF
            at, move = self._next(check_at)
            if check_at < at:
                self.checks[waiting.pop(0)[0]] = self._state(check_at)
                continue
            if at == INF:
                break
            move(at)
        self._witness.close()
        return Ran(
            events=sorted(self.events, key=lambda event: event["local_at"]),
            checks=[self.checks[index] for index in sorted(self.checks)],
            final=self._state(self.end),
            broken=self._witness.broken,
        )

    @property
    def end(self) -> int:
        until = self.scenario.until
        return self._end if until is None else self.start + until

    # --- time -------------------------------------------------------------------------------------------------------

    def _next(self, check: int) -> tuple[int, Callable[[int], None]]:
        """The earliest thing to do, INF where the run is over: at one time what leaves, what happens, what arrives.

        The books are read up to then, or to the next check, and not further.
        """
        send = self.start + self._sends[self._sent].at if self._sent < len(self._sends) else INF
        arrive = self._arrivals[0][0] if self._arrivals else INF
        venue = self.exchange.next_moment()
        venue = min(venue, self.exchange.books.advance(min(send, venue, arrive, check, self.end)))
        at = min(send, venue, arrive)
        if at > self.end:
            return INF, self._step
        return at, self._send if at == send else self._step if at == venue else self._arrive

    def _step(self, at: int) -> None:
        self.exchange.step(at)

    def _send(self, at: int) -> None:
        request = self._sends[self._sent]
        self._sent += 1
        if request.entry_ms is not None:
            arrive_at: int | None = self._line.arrive(request.session, request.at + request.entry_ms)
        else:
            arrive_at = self._line.arrival(request.session, request.at, OPERATIONS[request.kind])
        if arrive_at is None:
            self._lost(request)
        else:
            heappush(self._arrivals, (self.start + arrive_at, self._sent, request))
            self._end = max(self._end, self.start + arrive_at)

    def _arrive(self, at: int) -> None:
        """Everything that arrives at `at`, in order; the market data of that moment has happened."""
        while self._arrivals and self._arrivals[0][0] == at:
            request = heappop(self._arrivals)[2]
            self._answered = request
            self._hand_over(request, at)
            self._answered = None

    # --- requests ---------------------------------------------------------------------------------------------------

    def _hand_over(self, request: Request, at: int) -> None:
        keys = self._keys(request)
        stamp = (self.start + (request.at if request.timestamp is None else request.timestamp), request.recv_window_ms)
        if request.submit is not None:
            order = self._orders[request.submit.id] = self._order(request.submit, request.session, at)
            self.exchange.request(at, "submit", order, stamp)
        elif request.cancel is not None:
            self.exchange.request(at, "cancel", (request.cancel.id, keys), stamp)
        elif request.amend is not None:
            known = self.exchange.orders.get(request.amend.id)
            price, qty = request.amend.price, request.amend.qty
            if known is not None:
                price = known.limit if price is None else price
                qty = known.qty if qty is None else qty
            self.exchange.request(at, "amend", (request.amend.id, price, qty, keys), stamp)
        elif request.cancel_all is not None:
            self.exchange.request(at, "cancel_all", (request.cancel_all.symbol, keys), stamp)
        self.exchange.answer(at)

    def _order(self, submit: Submit, session: str, at: int) -> VenueOrder:
        terms = OrderTerms(
            id=submit.id,
            venue=self.scenario.venue,
            symbol=submit.symbol,
            position_side=submit.position_side or SIDE,
            strategy=STRATEGY,
            session=session,
            side=submit.side,
            type=submit.type,
            qty=Decimal(0) if submit.qty is None else submit.qty,
            price=submit.price,
            trigger_price=submit.trigger_price,
            trigger_by=submit.trigger_by,
            tif="gtc" if submit.tif is None and submit.type in LIMIT_TYPES else submit.tif,
            good_till=None if submit.good_till is None else self.start + submit.good_till,
            post_only=submit.post_only,
            reduce_only=submit.reduce_only,
            stp=submit.stp,
            activation_price=submit.activation_price,
            trail_bps=submit.trail_bps,
            trail_distance=submit.trail_distance,
            oco=submit.oco,
            quote_qty=submit.quote_qty,
            close_position=submit.close_position,
            price_match=submit.price_match,
            slippage_tolerance_type=submit.slippage_tolerance_type,
            slippage_tolerance=submit.slippage_tolerance,
        )
        return VenueOrder(terms, at, client_id=submit.client_id, direction=submit.trigger_direction)

    def _lost(self, request: Request) -> None:
        """Nobody at the venue ever saw it; the client learns so much later."""
        local = self.start + self._line.lost_at(request.at)
        head = (local, None, *self._keys(request), _named(request))
        message = "the request was lost on its way"
        if request.submit is not None:
            order = self._orders[request.submit.id] = self._order(request.submit, request.session, local)
            order.status = OrderStatus.REJECTED
            self._on_event(OrderRejected(*head, None, message, "lost"), order)
            return
        kind = AmendRejected if request.amend is not None else CancelRejected
        self._on_event(kind(*head, None, message), self.exchange.orders.get(_named(request)))

    def _keys(self, request: Request) -> tuple[str, str, PositionSide, str, str]:
        symbol, side = "", SIDE
        if request.submit is not None:
            symbol, side = request.submit.symbol, request.submit.position_side or SIDE
        elif (order := self.exchange.orders.get(_named(request))) is not None:
            symbol, side = order.terms.symbol, order.terms.position_side
        return self.scenario.venue, symbol, side, STRATEGY, request.session

    # --- what happens -----------------------------------------------------------------------------------------------

    def _local_at(self, session: str, engine: int) -> int:
        """When an answer is heard. The line counts from `start`, as the rows of recorded latency do."""
        own = self._answered.response_ms if self._answered is not None else None
        if own is not None:
            return self.start + self._line.hear(session, engine - self.start + own)
        return self.start + self._line.local_at(session, engine - self.start)

    def _on_event(self, event: Event, order: VenueOrder | None) -> None:
        self._witness.see(event, order)
        self._end = max(self._end, event.ts)
        if isinstance(event, OrderTriggered) and event.ts_venue is not None:
            # The child is a request under way inside the venue.
            self._end = max(self._end, event.ts_venue + self._models(event.symbol).triggers.delay_ms)
        if isinstance(event, FundingPaid | PositionLiquidated):
            wallet = self.exchange.account.balances.get(self.instruments[event.symbol].quote)
            counters = self._counters.at(event.ts)
            self.events.append(account_event_of(event, start=self.start, wallet=wallet, counters=counters))
            return
        assert isinstance(event, OrderEvent), "a venue speaks of orders and of the account"
        known = self.instruments.get(event.symbol)
        quote = self._settle if known is None else known.quote
        self.events.append(
            event_of(
                event,
                order,
                start=self.start,
                rules=self.rules,
                wallet=self.exchange.account.balances.get(quote, self.exchange.account.free(quote)),
                counters=self._counters.at(event.ts if event.ts_venue is None else event.ts_venue),
                market=self.exchange.markets.get(event.symbol),
            )
        )

    def _state(self, at: int) -> dict[str, Any]:
        account, settlement = self.exchange.account, self.exchange.matching.settlement
        if settlement is not None:
            settlement.time = at

        def price_of(symbol: str) -> Any:
            mark = None if settlement is None or symbol not in self._marked else settlement.mark(symbol, at)
            if mark is not None:
                return mark
            market = self.exchange.markets[symbol]
            if isinstance(market, BookMarket):
                known = market.price(at)
                return None if known is None else market.decimal(known)
            held = self.exchange.matching.held_sign(symbol)
            return last_price(self._tapes[symbol], self._models(symbol).bars.path, held, at)

        return {
            "orders": orders_of(self._orders.values(), self.rules),
            "account": account_state(account, self.instruments, self._settle, price_of),
            "books": books_state(self.exchange.markets.values(), at),
            "counters": self._counters.at(at),
        }


def _named(request: Request) -> str:
    """The order a request is about; "" for all of them."""
    one = request.submit or request.amend or request.cancel
    return one.id if one is not None else ""
