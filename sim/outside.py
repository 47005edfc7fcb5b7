"""The outside of a backtest: simulated clock, tapes, one simulated venue per venue of the plan, all in one world.

Paper mode gets its venues here too: the same simulators and lines, fed by pushed rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from core.commands import Approved
from core.events import Event
from core.outside import Outside
from core.plan import Plan, VenuePlan
from core.tape import Rows
from sim.bars.bar_cursor import TapeCursor
from sim.bars.push_cursor import PushCursor
from sim.books.books import Books
from sim.books.own_books import OwnBooks
from sim.clock import SimClock
from sim.exchange import ExecutionSimulator
from sim.feed import SimFeed
from sim.feed_legs import FeedLegs
from sim.gateway import Line, SimGateway
from sim.ledger.contracts import account_for, said_of_contracts, settle
from sim.ledger.fee_words import said_of_fees
from sim.markets import books_over, market_of, preset_of
from sim.models import PRESETS, Models, assumptions, choose
from sim.models.feed_latency import FeedDerivedLatency
from sim.models.latency import ConstantLatency
from sim.reference_prices import ReferencePrices
from sim.world import World

FIDELITY = {
    "l2": "fidelity: order book and prints",
    "l1": "fidelity: best bid and ask and prints; what lies behind the touch is not known",
    "trades": "fidelity: prints alone; queues and spreads are estimates",
    "bars": "fidelity: bars, for screening; fills inside a bar are an estimate, own orders never meet",
}


def simulated_outside(plan: Plan, tapes: Sequence[Rows], history: Sequence[Rows | None], start: int) -> Outside:
    """A world over these tapes, with its clock at `start`. `history` is what lies before each of them."""
    clock = SimClock(start)
    feed_ns = {name: defaults_of(plan, name, tapes).latency.feed_ns for name in plan.venues}
    feed = SimFeed(tapes, feed_ns, start)
    world = World(clock, feed)
    world.books = books_over(tapes)
    latencies = [defaults_of(plan, name, tapes).latency for name in plan.venues]
    known = [one for one in latencies if isinstance(one, ConstantLatency)]
    if len(known) == len(latencies):  # of the others any leg may be as short as none
        world.shortest_entry_ns = min(one.shortest_ns for one in known)
    if world.shortest_entry_ns:  # where a request arrives as it is sent, each opens a round of its own at its venue
        world.shortest_answer_ns = min(one.response_ms for one in known)
    cursors = {
        (t.venue, t.symbol): TapeCursor(t.load(), None if past is None else past.load())
        for t, past in zip(tapes, history, strict=True)
        if t.kind == "bars"
    }
    exchanges = simulated_venues(plan, tapes, cursors, world.books, world.report)
    for exchange, line in exchanges:
        world.exchanges.append(exchange)
        world.gateways.append(SimGateway(exchange, line, deliver=world.report, sent=world.venue_concerned))
    gateways = world.gateways

    def to_each(command: Approved) -> None:
        for gateway in gateways:
            gateway.on_command(command)

    return Outside(
        clock=clock,
        inbox=world,
        subscribe=feed.subscribe,
        on_command=gateways[0].on_command if len(gateways) == 1 else to_each,
        assumptions=said(plan, tapes),
        feed_ns=feed_ns,
        world=world,
        books=own_books(tapes, feed_ns, world.books),
    )


def own_books(tapes: Sequence[Rows], feed_ns: Mapping[str, int], venues: Books | None = None) -> OwnBooks:
    """What `market_data.book` reads: our books by receipt time, whoever plays the tapes.

    `venues`: the books of the simulated venues, where they walk the same tapes beside ours.
    """
    return OwnBooks(tapes, feed_ns, venues or books_over(tapes))


class PushedVenue(NamedTuple):
    """A simulated venue for paper mode on a tape: it knows the rows that were pushed, and answers to `deliver`."""

    name: str
    simulator: RowByRow
    gateway: SimGateway
    push: dict[str, Callable[[], None]]
    """By symbol: reveal the next row of the tape."""
    feed_ns: int
    """How long its market data takes to us."""


def pushed_venues(
    plan: Plan,
    tapes: Sequence[Rows],
    history: Sequence[Rows | None],
    deliver: Callable[[Event, object], None],
    sent: Callable[[str], None],
) -> list[PushedVenue]:
    """The venues of paper mode. `deliver` carries an answer home, `sent(venue)` is told of each request under way."""
    cursors = {
        (t.venue, t.symbol): PushCursor(t.load(), None if past is None else past.load())
        for t, past in zip(tapes, history, strict=True)
        if t.kind == "bars"
    }
    books = books_over(tapes)

    def pushed(exchange: ExecutionSimulator, line: Line) -> PushedVenue:
        name = exchange.venue
        gateway = SimGateway(exchange, line, deliver=lambda event: deliver(event, None), sent=partial(sent, name))
        push = {symbol: cursor.push for (venue, symbol), cursor in cursors.items() if venue == name}
        return PushedVenue(name, RowByRow(exchange), gateway, push, defaults_of(plan, name, tapes).latency.feed_ns)

    return [pushed(*made) for made in simulated_venues(plan, tapes, cursors, books, deliver)]


class RowByRow:
    """A simulator that is never asked to look past now: with an order in a book, each row is a moment of its own."""

    def __init__(self, exchange: ExecutionSimulator) -> None:
        self._exchange = exchange
        self.next_request = exchange.next_request
        self.asks_next = exchange.asks_next
        self.step = exchange.step

    @property
    def requests_under_way(self) -> bool:
        return self._exchange.requests_under_way

    def next_moment(self) -> int:
        """Engine time of the next thing that concerns us, or of the next row of a book that holds an order of ours."""
        self._exchange.matching.revealed()
        moment, books = self._exchange.next_moment(), self._exchange.books
        return min(moment, books.next_row_at()) if books.owners else moment

    def answer(self, at: int) -> None:
        """Requests after the end of the tapes: they find no market."""
        self._exchange.books.close(at)
        self._exchange.answer(at)


def simulated_venues(
    plan: Plan,
    tapes: Sequence[Rows],
    cursors: dict[tuple[str, str], Any],
    books: Books,
    emit: Callable[[Any, Any], None],
) -> list[tuple[ExecutionSimulator, Line]]:
    """One ExecutionSimulator per venue, with its markets in the order of the plan, and the line to it."""
    made = []
    for venue in plan.venues.values():
        defaults = defaults_of(plan, venue.name, tapes)
        # A prime apart, so that the venues of one run and of the run with the next seed do not meet.
        seed = plan.config.run.seed * 1_000_003 + zlib.crc32(venue.name.encode())
        if isinstance(defaults.latency, FeedDerivedLatency):
            line = Line(defaults.latency, seed, FeedLegs.of_tapes(t for t in tapes if t.venue == venue.name).at)
        else:
            line = Line(defaults.latency, seed)
        account = account_for(plan, venue, defaults, tapes)
        doors: dict[str, Any] = {"local_at": line.local_at, "emit": emit}
        limits = defaults.rate_limits
        exchange = ExecutionSimulator(venue.name, venue.rules, account, **doors, books=books, limits=limits)
        for key, instrument in plan.instruments.items():
            if key[0] == venue.name:
                models = choose(venue.simulation, key[1], defaults)
                exchange.add_market(market_of(instrument, models, tapes, cursors.get(key), books, exchange.matching))
        chosen = partial(choose, venue.simulation, defaults=defaults)
        settle(exchange, chosen, tapes, cursors, **doors)
        exchange.admission.price_of = ReferencePrices(exchange.matching.settlement)
        made.append((exchange, line))
    return made


def defaults_of(plan: Plan, venue: str, tapes: Sequence[Rows]) -> Models:
    """What the venue's models are where a symbol has none of its own: the config's, else those of its finest data."""
    simulation = plan.venues[venue].simulation
    return choose(simulation, "", PRESETS[simulation.preset or preset_of(venue, tapes)])


def said(plan: Plan, tapes: Sequence[Rows]) -> list[str]:
    """One line per assumption of the simulation, for the summary; what is not true of every venue says of which."""
    by_venue = {venue.name: _said_of(plan, venue, tapes) for venue in plan.venues.values()}
    lines = [
        line if all(line in others for others in by_venue.values()) else f"{name}: {line}"
        for name, own in by_venue.items()
        for line in own
    ]
    return list(dict.fromkeys(lines))


def _said_of(plan: Plan, venue: VenuePlan, tapes: Sequence[Rows]) -> list[str]:
    """The same of one venue."""
    models = defaults_of(plan, venue.name, tapes)
    finest = preset_of(venue.name, tapes)
    lines = assumptions(models, venue.simulation, finest)
    lines += said_of_fees(plan, venue, tapes)
    lines += said_of_contracts(plan, venue, tapes)
    if venue.simulation.preset == "optimistic":
        lines.append("preset: optimistic, an upper bound; live fills will be worse")
    return [*lines, FIDELITY[finest]]
