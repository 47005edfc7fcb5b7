"""The simulated venue of paper mode, as a task: it acts when something of ours is due there.

The simulator works in venue time and is never asked to look past now. On a tape it may always be advanced to now; on a
real stream `run` is where `paper.hold_ms` will be waited before a request is matched without a newer row.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from core.errors import InvariantBroken
from core.events import Event
from core.hosting.fault import ROUNDS_MAXIMUM, endless
from core.moments import INF
from live.inbox import LiveInbox, not_before
from live.time_source import Rank, TimeSource


class Simulator(Protocol):
    """What paper mode needs of an ExecutionSimulator."""

    @property
    def requests_under_way(self) -> bool: ...

    def next_moment(self) -> int:
        """Engine time of the next thing that concerns us; INF while nothing of ours is there."""
        ...

    def next_request(self) -> int: ...

    def asks_next(self) -> str: ...

    def step(self, at: int) -> None: ...

    def answer(self, at: int) -> None: ...


class SimulatorGateway(Protocol):
    """What paper mode needs of a gateway to a simulator."""

    closed: bool

    def on_command(self, command: Any) -> None: ...


class PushedVenue(Protocol):
    """A simulated venue as it is handed in: its rows are pushed, its market data takes `feed_ns` to us."""

    @property
    def name(self) -> str: ...

    @property
    def simulator(self) -> Simulator: ...

    @property
    def gateway(self) -> SimulatorGateway: ...

    @property
    def push(self) -> dict[str, Callable[[], None]]:
        """By symbol: reveal the next row to the simulator."""
        ...

    @property
    def feed_ns(self) -> int: ...


class PaperVenue:
    """One simulated venue with its task `run`."""

    def __init__(self, pushed: PushedVenue, time_source: TimeSource) -> None:
        self.gateway = pushed.gateway
        self._simulator = pushed.simulator
        self._pushes = pushed.push
        self._time = time_source
        self._alarm = time_source.alarm(Rank.VENUE)
        self._rests = False
        self._rounds = (0, 0)

    async def run(self) -> None:
        """Act at every moment that concerns us, in order, until canceled."""
        while True:
            await self._alarm.wait_until(self._next())
            moment = self._next()
            if moment <= self._time.now():
                self._count_round(moment)
                self._simulator.step(moment)

    def concern(self) -> None:
        """A request is under way to the venue."""
        self._alarm.move(self._next())

    def push(self, symbol: str) -> None:
        """The next row of a symbol opens now."""
        self._pushes[symbol]()
        self._alarm.move(self._next())

    def rest(self) -> None:
        """The tape is over: nothing trades any more."""
        self._rests = True
        self._alarm.move(INF)

    def answer_all(self) -> None:
        """Close the way there, and let requests that are under way arrive: they are answered and do not trade."""
        self.gateway.closed = True
        while self._simulator.requests_under_way:
            self._simulator.answer(self._simulator.next_request())

    def _next(self) -> int:
        return INF if self._rests else self._simulator.next_moment()

    def _count_round(self, moment: int) -> None:
        at, rounds = self._rounds
        self._rounds = (moment, rounds + 1 if at == moment else 1)
        if self._rounds[1] > ROUNDS_MAXIMUM:
            if not self._simulator.requests_under_way:
                raise InvariantBroken(f"the venue acted {ROUNDS_MAXIMUM} times at one nanosecond ({moment}) unasked")
            raise endless(self._simulator.asks_next(), moment, ROUNDS_MAXIMUM)


class ReportsUnderWay:
    """Answers of the venues on their way to us: each reaches the inbox when it is due. `run` is the task."""

    def __init__(self, inbox: LiveInbox, time_source: TimeSource) -> None:
        self._inbox = inbox
        self._time = time_source
        self._alarm = time_source.alarm(Rank.REPORT)
        self._reports: list[tuple[int, int, Event]] = []
        self._count = 0
        self._last = False

    def report(self, event: Event, _order: object = None) -> None:
        """An answer left the venue; its `ts` says when it is due here."""
        self._count += 1
        heappush(self._reports, (event.ts, self._count, event))
        self._alarm.move(self._next())

    def finish(self) -> None:
        """No venue will answer again: the inbox ends behind the last report."""
        self._last = True
        self._alarm.ring()

    async def run(self) -> None:
        """Carry reports home, one at a time."""
        while self._reports or not self._last:
            await self._alarm.wait_until(self._next())
            if self._next() <= self._time.now():
                self._inbox.put(not_before(heappop(self._reports)[2], self._time.now()))
        self._inbox.finish()
        self._alarm.close()

    def _next(self) -> int:
        return self._reports[0][0] if self._reports else INF
