"""One scenario against the simulated exchange: the exchange, the line and the models of a backtest, driven by a file.

Requests leave at the client's time and travel the line; the exchange steps through engine time; each event is written
down as it happens. Time here is absolute inside and relative to `start` in everything that is compared.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from core.events import AmendRejected, CancelRejected, Event, OrderEvent, OrderRejected, PositionSide
from core.orders import OrderStatus, OrderTerms
from core.venue_rules import VenueRules
from sim.bar_market import INF
from sim.gateway import Line
from sim.models.latency import Operation
from sim.scenario import NotCovered, Outcome, Ran
from sim.scenario_bars import feed_legs_of, last_price, tape_of
from sim.scenario_compare import ActualEvent, ActualState
from sim.scenario_coverage import what_is_needed
from sim.scenario_format import LIMIT_TYPES, Request, Scenario, Submit
from sim.scenario_invariants import Witness
from sim.scenario_state import OrderCounters, account_state, event_of, orders_of
from sim.scenario_venue import models_of, read_models, settle_asset, venue_of
from sim.venue_order import VenueOrder

NS_PER_MS = 1_000_000
OPERATIONS: dict[str, Operation] = {"submit": "entry", "amend": "amend", "cancel": "cancel", "cancel_all": "cancel"}
"""Kind of a request to the leg of the latency model it travels."""
STRATEGY = "scenario"
SIDE: PositionSide = "net"

__all__ = ["read_models", "run_one"]


def run_one(scenario: Scenario, rules_of: Callable[[str], VenueRules]) -> Outcome:
    """What the scenario causes. Raises ConfigError for wrong models, DataError for bars that contradict each other."""
    needed = what_is_needed(scenario)
    return NotCovered(needed) if needed is not None else _Run(scenario, rules_of(scenario.venue)).play()


class _Run:
    """The merge of three streams: requests that leave, requests that arrive, and the exchange's own moments."""

    def __init__(self, scenario: Scenario, rules: VenueRules) -> None:
        self.scenario = scenario
        self.rules = rules
        self.start = scenario.start
        self.events: list[ActualEvent] = []
        self.checks: dict[int, ActualState] = {}
        """By index in the file: checks may stand in any order."""
        self._models = models_of(scenario)
        # The seed a backtest gives this venue's line: equal draws for equal seeds.
        seed = scenario.seed * 1_000_003 + zlib.crc32(scenario.venue.encode())
        latency = self._models("").latency
        self._line = Line(latency, seed, feed_legs_of(scenario, latency.feed_ns).at)
        self._tapes = {symbol: tape_of(scenario, symbol) for symbol in scenario.instruments}
        self.exchange = venue_of(
            scenario, rules, self._models, self._tapes, local_at=self._local_at, emit=self._on_event
        )
        self.instruments = {symbol: market.instrument for symbol, market in self.exchange.markets.items()}
        self._settle = settle_asset(self.instruments)
        self._counters = OrderCounters(rules)
        self._witness = Witness(self.exchange.account, self.instruments)
        self._sends = sorted(scenario.requests, key=lambda request: request.at)
        self._sent = 0
        self._arrivals: list[tuple[int, int, Request]] = []
        self._answered: Request | None = None
        """The request in the engine's hands, whose own response leg its answers take."""
        self._orders: dict[str, VenueOrder] = {}
        bars = [int(tape.columns["ts_venue"][-1]) for tape in self._tapes.values() if len(tape)]
        sends = [self.start + request.at for request in self._sends]
        self._end = max([self.start, *bars, *sends])
        """Without `until`: the last row (a bar lasts to its close), request or answer known so far."""

    def play(self) -> Ran:
        """Run to the end."""
        waiting = sorted(enumerate(self.scenario.expectation.checks), key=lambda item: item[1].at)
        while True:
            at, move = self._next()
            while waiting and self.start + waiting[0][1].at < at:
                index, check = waiting.pop(0)
                self.checks[index] = self._state(self.start + check.at)
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

    def _next(self) -> tuple[int, Callable[[int], None]]:
        """The earliest thing to do, INF where the run is over: at one time what leaves, what happens, what arrives."""
        send = self.start + self._sends[self._sent].at if self._sent < len(self._sends) else INF
        arrive = self._arrivals[0][0] if self._arrivals else INF
        venue = self.exchange.next_moment()
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
        if request.submit is not None:
            self._orders[request.submit.id] = self._order(request.submit, request.session, at)
        if not self._in_time(request, at):
            self._refuse(request, at)
        elif request.submit is not None:
            self.exchange.request(at, "submit", self._orders[request.submit.id])
        elif request.cancel is not None:
            self.exchange.request(at, "cancel", (request.cancel.id, None, keys))
        elif request.amend is not None:
            order = self.exchange.orders.get(request.amend.id)
            price, qty = request.amend.price, request.amend.qty
            if order is not None:
                price = order.limit if price is None else price
                qty = order.qty if qty is None else qty
            self.exchange.request(at, "amend", (request.amend.id, price, qty, keys))
        elif request.cancel_all is not None:
            symbol = request.cancel_all.symbol
            for order in list(self.exchange.orders.values()):
                if order.is_open and symbol in (None, order.terms.symbol):
                    self.exchange.request(at, "cancel", (order.terms.id, None, keys))
        self.exchange.answer(at)

    def _order(self, submit: Submit, session: str, at: int) -> VenueOrder:
        assert submit.qty is not None, "sizes in quote units and whole positions are not covered yet"
        terms = OrderTerms(
            id=submit.id,
            venue=self.scenario.venue,
            symbol=submit.symbol,
            position_side=SIDE,
            strategy=STRATEGY,
            session=session,
            side=submit.side,
            type=submit.type,
            qty=submit.qty,
            price=submit.price,
            trigger_price=submit.trigger_price,
            trigger_by=submit.trigger_by,
            tif="gtc" if submit.tif is None and submit.type in LIMIT_TYPES else submit.tif,
            good_till=None if submit.good_till is None else self.start + submit.good_till,
            post_only=submit.post_only,
            reduce_only=submit.reduce_only,
            stp=submit.stp,
        )
        return VenueOrder(terms, at, client_id=submit.client_id, direction=submit.trigger_direction)

    def _in_time(self, request: Request, at: int) -> bool:
        """venues.md section 1: timestamp < server + 1000 ms and server - timestamp <= recvWindow, at the engine."""
        claimed = self.start + (request.at if request.timestamp is None else request.timestamp)
        window = request.recv_window_ms
        oldest = self.rules.recv_window_ms * NS_PER_MS if window is None else window
        return claimed < at + self.rules.clock_ahead_ms * NS_PER_MS and at - claimed <= oldest

    def _refuse(self, request: Request, at: int) -> None:
        """The timestamp was not accepted."""
        answer = self.rules.errors["timestamp"]
        head = (self._local_at(request.session, at), at, *self._keys(request), _named(request))
        if request.submit is not None:
            order = self._orders[request.submit.id]
            order.status = OrderStatus.REJECTED
            self._on_event(OrderRejected(*head, answer.code, answer.message, "timestamp"), order)
            return
        kind = AmendRejected if request.amend is not None else CancelRejected
        self._on_event(kind(*head, answer.code, answer.message), self.exchange.orders.get(_named(request)))

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
        symbol = ""
        if request.submit is not None:
            symbol = request.submit.symbol
        elif (order := self.exchange.orders.get(_named(request))) is not None:
            symbol = order.terms.symbol
        return self.scenario.venue, symbol, SIDE, STRATEGY, request.session

    # --- what happens -----------------------------------------------------------------------------------------------

    def _local_at(self, session: str, engine: int) -> int:
        """When an answer is heard. The line counts from `start`, as the rows of recorded latency do."""
        own = self._answered.response_ms if self._answered is not None else None
        if own is not None:
            return self.start + self._line.hear(session, engine - self.start + own)
        return self.start + self._line.local_at(session, engine - self.start)

    def _on_event(self, event: Event, order: VenueOrder | None) -> None:
        assert isinstance(event, OrderEvent), "an exchange on bars speaks of orders alone"
        self._witness.see(event, order)
        self._counters.see(event, order)
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
            )
        )
        self._end = max(self._end, event.ts)

    def _state(self, at: int) -> dict[str, Any]:
        account = self.exchange.account

        def price_of(symbol: str) -> Any:
            held = self.exchange.held_sign(symbol)
            return last_price(self._tapes[symbol], self._models(symbol).bars.path, held, at)

        return {
            "orders": orders_of(self._orders.values(), self.rules),
            "account": account_state(account, self.instruments, self._settle, price_of),
            "books": {},
            "counters": self._counters.at(at),
        }


def _named(request: Request) -> str:
    """The order a request is about; "" for all of them."""
    one = request.submit or request.amend or request.cancel
    return one.id if one is not None else ""
