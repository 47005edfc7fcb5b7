"""The outside of a backtest: simulated clock, tapes, one simulated venue per venue of the plan, all in one world.

Paper mode gets its venues here too: the same simulators and lines, fed by pushed rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from core.commands import Approved
from core.events import Event
from core.outside import Outside
from core.plan import Plan
from core.ports import DataFeed, Gateway
from core.tape import Tape
from sim.account import VenueAccount
from sim.bar_market import BarMarket
from sim.clock import SimClock
from sim.exchange import ExecutionSimulator
from sim.feed import SimFeed, TapeCursor
from sim.feed_legs import FeedLegs
from sim.gateway import Line, SimGateway
from sim.models import PRESETS, Models, assumptions, choose
from sim.models.latency import FeedDerivedLatency
from sim.push_cursor import PushCursor
from sim.world import World


def simulated_outside(plan: Plan, tapes: list[Tape], history: list[Tape | None], start: int) -> Outside:
    """A world over these tapes, with its clock at `start`. `history` is what lies before each of them."""
    clock = SimClock(start)
    feed = SimFeed(tapes, {v: defaults_of(plan, v).latency.feed_ns for v in plan.venues})
    world = World(clock, feed)
    cursors = {(t.venue, t.symbol): TapeCursor(t, past) for t, past in zip(tapes, history, strict=True)}
    exchanges = simulated_venues(plan, tapes, cursors, world.report)
    for exchange, line in exchanges:
        world.exchanges.append(exchange)
        world.gateways.append(SimGateway(exchange, line, deliver=world.report, sent=world.venue_concerned))
    gateways: Sequence[Gateway] = world.gateways
    door: DataFeed = feed

    def on_command(command: Approved) -> None:
        for gateway in gateways:
            gateway.on_command(command)

    return Outside(
        clock,
        world,
        door.subscribe,
        gateways[0].on_command if len(gateways) == 1 else on_command,
        said(plan),
        {name: defaults_of(plan, name).latency.feed_ns for name in plan.venues},
        world=world,
    )


class PushedVenue(NamedTuple):
    """A simulated venue for paper mode on a tape: it knows the rows that were pushed, and answers to `deliver`."""

    name: str
    simulator: ExecutionSimulator
    gateway: SimGateway
    push: dict[str, Callable[[], None]]
    """By symbol: reveal the next row of the tape."""
    feed_ns: int
    """How long its market data takes to us."""


def pushed_venues(
    plan: Plan,
    tapes: list[Tape],
    history: list[Tape | None],
    deliver: Callable[[Event, object], None],
    sent: Callable[[str], None],
) -> list[PushedVenue]:
    """The venues of paper mode. `deliver` carries an answer home, `sent(venue)` is told of each request under way."""
    cursors = {(t.venue, t.symbol): PushCursor(t, past) for t, past in zip(tapes, history, strict=True)}

    def pushed(exchange: ExecutionSimulator, line: Line) -> PushedVenue:
        name = exchange.venue
        gateway = SimGateway(exchange, line, deliver=lambda event: deliver(event, None), sent=partial(sent, name))
        push = {symbol: cursor.push for (venue, symbol), cursor in cursors.items() if venue == name}
        return PushedVenue(name, exchange, gateway, push, defaults_of(plan, name).latency.feed_ns)

    return [pushed(*made) for made in simulated_venues(plan, tapes, cursors, deliver)]


def simulated_venues(
    plan: Plan, tapes: list[Tape], cursors: dict[tuple[str, str], Any], emit: Callable[[Any, Any], None]
) -> list[tuple[ExecutionSimulator, Line]]:
    """One ExecutionSimulator per venue, with its markets in the order of the plan, and the line to it."""
    made = []
    for venue in plan.venues.values():
        defaults = defaults_of(plan, venue.name)
        seed = plan.config.run.seed * 1_000_003 + zlib.crc32(venue.name.encode())
        if isinstance(defaults.latency, FeedDerivedLatency):
            line = Line(defaults.latency, seed, FeedLegs.of_tapes(t for t in tapes if t.venue == venue.name).at)
        else:
            line = Line(defaults.latency, seed)
        account = VenueAccount(
            venue.rules.kind, venue.balances, leverage=venue.leverage, order_margin=venue.rules.order_margin
        )
        exchange = ExecutionSimulator(venue.name, venue.rules, account, local_at=line.local_at, emit=emit)
        for key, instrument in plan.instruments.items():
            if key[0] == venue.name:
                models = choose(venue.simulation, key[1], defaults)
                exchange.add_market(BarMarket(instrument, models, cursors[key], exchange))
        made.append((exchange, line))
    return made


def defaults_of(plan: Plan, venue: str) -> Models:
    """What the venue's models are where a symbol has none of its own: the config's, else the preset's."""
    simulation = plan.venues[venue].simulation
    return choose(simulation, "", PRESETS[simulation.preset or "bars"])


def said(plan: Plan) -> list[str]:
    """One line per assumption of the simulation, for the summary."""
    lines: list[str] = []
    for venue in plan.venues.values():
        models = defaults_of(plan, venue.name)
        fees = sorted({(i.maker, i.taker) for k, i in plan.instruments.items() if k[0] == venue.name})
        lines += assumptions(models, venue.simulation)
        lines += [f"fees: maker {maker:f}, taker {taker:f} of notional" for maker, taker in fees]
        if venue.rules.kind == "linear":
            lines.append("account: isolated margin per order; funding and liquidation are not simulated yet")
        if venue.simulation.preset == "optimistic":
            lines.append("preset: optimistic, an upper bound; live fills will be worse")
    lines.append("fidelity: bars, for screening; fills inside a bar are an estimate")
    return lines
