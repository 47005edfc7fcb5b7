"""The gateway of every simulated venue: commands in, order events out, three latency legs between (F1).

arrive = max(send + entry, previous arrival on the same session); an answer is heard at
max(engine + response, previous answer on that session). The same gateway serves the backtest and paper mode.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from core.commands import AmendOrder, Approved, CancelOrder, SubmitOrder
from core.events import Event, OrderRejected
from sim.exchange import ExecutionSimulator
from sim.models.feed_latency import FeedDerivedLegs, FeedLeg
from sim.models.latency import LatencyModel
from sim.models.legs import Operation
from sim.venue_order import OwnerKeys, VenueOrder

OPERATIONS: dict[type[Approved], Operation] = {SubmitOrder: "entry", CancelOrder: "cancel", AmendOrder: "amend"}
NOTHING_HEARD: tuple[str, int, int] = ("", 0, 0)


class Line:
    """The wire to one venue: how long each leg takes, first in first out per session."""

    def __init__(self, latency: LatencyModel, seed: int, feed_leg: FeedLeg | None = None) -> None:
        """`feed_leg` is where a latency derived from market data reads it; the others need none."""
        self._legs = latency.legs(random.Random(seed))
        if isinstance(self._legs, FeedDerivedLegs):
            self._legs.read_from(feed_leg or _no_feed)
        # A user's own legs need not know `lost_ns`: their answers take a response leg then.
        self._lost_ns: Callable[[int], int] = getattr(self._legs, "lost_ns", self._legs.response_ns)
        self._arrivals: dict[str, int] = {}
        self._answers: dict[str, int] = {}
        self._last = NOTHING_HEARD
        """Session and engine time of the last answer, and when it is heard."""

    def arrival(self, session: str, send: int, operation: Operation) -> int | None:
        """Engine time at which a request sent at `send` arrives; None where it is lost."""
        leg = self._legs.request_ns(operation, send)
        if leg is None:
            return None
        at = send + leg
        before = self._arrivals.get(session)
        if before is not None and before > at:
            at = before
        self._arrivals[session] = at
        return at

    def arrive(self, session: str, at: int) -> int:
        """First in, first out: not before what was sent earlier on the session."""
        at = max(at, self._arrivals.get(session, at))
        self._arrivals[session] = at
        return at

    def local_at(self, session: str, engine: int) -> int:
        """When answers given at engine time `engine` are heard: those of one session and moment travel together."""
        last_session, last_engine, local = self._last
        if engine != last_engine or session != last_session:
            local = self.hear(session, engine + self._legs.response_ns(engine))
            self._last = (session, engine, local)
        return local

    def hear(self, session: str, at: int) -> int:
        """When an answer is heard that would come home at `at`: not before what is under way on the session."""
        before = self._answers.get(session)
        if before is not None and before > at:
            at = before
        self._answers[session] = at
        self._last = NOTHING_HEARD
        return at

    def lost_at(self, send: int) -> int:
        """When the sender of a lost request learns of it: no answer of the venue, so it keeps none waiting."""
        return send + self._lost_ns(send)


class SimGateway:
    """Takes commands to one simulated venue."""

    def __init__(
        self,
        exchange: ExecutionSimulator,
        line: Line,
        *,
        deliver: Callable[[Event], None],
        sent: Callable[[], None],
    ) -> None:
        self.venue = exchange.venue
        self._exchange = exchange
        self._line = line
        self._deliver = deliver
        self._sent = sent
        self.closed = False
        """After the last market data nothing more is sent."""
        self.unsent = 0

    def on_command(self, command: Approved) -> None:
        """SubmitOrder, CancelOrder and AmendOrder of this venue."""
        if command.venue != self.venue:
            return
        if self.closed:
            self.unsent += 1
            return
        arrive_at = self._line.arrival(command.session, command.ts, OPERATIONS[type(command)])
        if arrive_at is None:
            self._lose(command)
            return
        if isinstance(command, SubmitOrder):
            self._exchange.request(arrive_at, "submit", VenueOrder(command.order, arrive_at))
        elif isinstance(command, CancelOrder):
            self._exchange.request(arrive_at, "cancel", (command.order_id, _keys(command)))
        elif isinstance(command, AmendOrder):
            self._exchange.request(arrive_at, "amend", (command.order_id, command.price, command.qty, _keys(command)))
        self._sent()

    def _lose(self, command: Approved) -> None:
        """The request never arrives: its sender learns of that."""
        lost = (command.order_id, None, "the request was lost on its way", "lost")
        self._deliver(OrderRejected(self._line.lost_at(command.ts), None, *_keys(command), *lost))


def _no_feed(time: int) -> int:
    """Lf where no market data was recorded."""
    return 0


def _keys(command: Approved) -> OwnerKeys:
    return command.venue, command.symbol, command.position_side, command.strategy, command.session
