"""Who moves time in a simulation. The world is the inbox: asking it for the next event is what moves time.

t = the earliest of: a due timer, the receipt of a market event somebody hears, a report under way. The venues advance
in engine time up to t, less what an answer takes at least, and not further; they stop at the first effect of ours,
because its report may be the new t. What the inside does at t reaches no venue before t, so nothing is ever taken back.
At one nanosecond: the venue's own order (F0), then what we learn (order events, then market events), then timers.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Iterator
from heapq import heappop, heappush
from operator import length_hint

from core.errors import InvariantBroken
from core.events import Event
from core.hosting.fault import ROUNDS_MAXIMUM, endless
from core.market.tape_events import RECEIVED
from core.moments import INF
from core.ports import InboxStatistics
from sim.books.books import Books
from sim.clock import SimClock
from sim.exchange import ExecutionSimulator
from sim.feed import SimFeed
from sim.gateway import SimGateway

YIELD_SECONDS = 0.010
"""Wall time after which other tasks of the event loop get a turn; no effect on results."""
YIELD_CHECK = 32
"""Events between looks at the wall clock."""


class World:
    """Owner of the clock, the tapes, the venues and the reports under way."""

    def __init__(self, clock: SimClock, feed: SimFeed) -> None:
        self.clock = clock
        self.feed = feed
        self.exchanges: list[ExecutionSimulator] = []
        self.gateways: list[SimGateway] = []
        self._reports: list[tuple[int, int, Event]] = []
        self._wishes: deque[Event] = deque()
        self._count = 0
        self._busy = False
        """Whether a venue holds anything of ours: without, it may lag and the tape runs past it."""
        self._stopped = False
        self._burst = YIELD_CHECK
        """Rows of the tape that leave in a row, without a look at the wall clock."""
        self._acted_at = 0
        self._rounds = 0
        """How often venues acted at that engine time."""
        self._clear = 0
        """No venue does anything before this engine time, unless another request is sent."""
        self.books = Books()
        """The one cursor over the rows of all order books; without a market where everything is bars."""
        self.shortest_entry_ns = 0
        """No request arrives sooner than this after it is sent: so far the books may be read ahead."""
        self.shortest_answer_ns = 0
        """Nothing a venue does is heard sooner than this after it: so far the venues may lag."""
        self.delivered = 0
        self.end: int | None = None
        """`ts` of the last market event, once it is behind us, heard or not."""
        self._closed = False
        """Whether all of that moment is: no timer fires any more, and nothing is sent."""

    # --- the Inbox port ---------------------------------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """A wish of the embedding program: heard before time moves on."""
        self._wishes.append(event)
        self.clock.attention = True

    def close(self) -> None:
        """End the run after the event in hand."""
        self._stopped = True
        self.clock.attention = True

    def statistics(self) -> InboxStatistics:
        return InboxStatistics(self.delivered, len(self._reports) + len(self._wishes), ROUNDS_MAXIMUM, 0)

    # --- called by gateways and venues ------------------------------------------------------------------------------

    def report(self, event: Event, _order: object = None) -> None:
        """An answer of a venue is under way to us; `ts` says when it arrives."""
        self._count += 1
        heappush(self._reports, (event.ts, self._count, event))
        self.clock.attention = True  # a lost request's answer is made at once, while the tape leaves in a row

    def venue_concerned(self) -> None:
        """A request is under way: the venues must be followed from now on."""
        self._busy = True
        self._clear = 0
        self.clock.attention = True

    # --- moving time ------------------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[Iterator[Event]]:
        clock = self.clock
        self.feed.start()
        turn = time.perf_counter()  # tidy: only decides when other tasks get a turn
        while not self._stopped:
            if clock.holding:
                await clock.until_released()
                continue  # who held time may have stopped the run, or somebody else may hold it now
            yield self._stretch()
            now = time.perf_counter()  # tidy: only decides when other tasks get a turn
            if now - turn > YIELD_SECONDS:
                await asyncio.sleep(0)
                self._burst = YIELD_CHECK
                turn = time.perf_counter()  # tidy: only decides when other tasks get a turn

    def _stretch(self) -> Iterator[Event]:
        """Events until it is time to look at the wall clock, or a rim task holds time, or all is over."""
        clock, feed, wishes, reports = self.clock, self.feed, self._wishes, self._reports
        for _ in range(YIELD_CHECK):
            event = self._next()
            if event is not None:
                self.delivered += 1
                clock.attention = False
                yield event
                # All else we learn at this moment follows at once, unless hearing it has set something going.
                while reports and reports[0][0] <= clock.time and not clock.attention:
                    self.delivered += 1
                    yield heappop(reports)[2]
            elif not (clock.holding or wishes):
                self._stopped = True
            if clock.holding or self._stopped:
                return
            until = min(clock.due, self._clear) if self._busy else clock.due
            if feed.next_ts < until and not (reports or wishes):
                break
        else:
            return
        # While nothing but the tape concerns us its events leave in a row, without a look at anything else.
        clock.attention = False
        first = feed.index
        stop = bisect_left(feed.batch, until, first, min(first + self._burst, len(feed.batch)), key=RECEIVED)
        left = iter(feed.batch[first:stop])
        for event in left:
            clock.time = event.ts
            yield event
            if clock.attention:
                break
        reached = stop - length_hint(left)
        self.delivered += reached - first
        if reached - first == self._burst:
            self._burst *= 2  # until the wall clock says that it is somebody else's turn
        feed.passed(reached)

    def _next(self) -> Event | None:
        """The next event, or None at the end of everything (or where a rim task was woken)."""
        clock, feed, reports = self.clock, self.feed, self._reports
        while True:
            if self._wishes:
                return self._wishes.popleft()
            heard = feed.next_ts
            if heard == INF:
                if self.end is not None or feed.heard_until >= feed.end:
                    return self._last()
                heard = feed.end  # of tapes that nobody hears: the venue walks them, and timers fire
            inside = heard if heard < clock.due else clock.due
            if reports and reports[0][0] < inside:
                inside = reports[0][0]
            if self._busy:
                # At the end of the tapes nobody lags: what arrives behind it finds no market.
                until = inside - self.shortest_answer_ns if inside < feed.end else inside
                if self._clear <= until and self._step_venues(until, inside):
                    continue
            if inside > clock.time:
                clock.time = inside
            if reports and reports[0][0] <= inside:
                return heappop(reports)[2]
            if heard <= inside:
                if feed.next_ts == INF:
                    self.end = clock.time  # all comes before the last row that would come if somebody heard it
                    continue
                return feed.pop()
            event = self._fire_timer()
            if event is not None or clock.holding:
                return event

    def _step_venues(self, until: int, inside: int) -> bool:
        """Let the earliest venue act, if that is due by `until`. False where nothing was due.

        `inside`: nobody here learns of anything before, so that no request is sent before it either.
        """
        earliest, actor = INF, None
        for exchange in self.exchanges:
            moment = exchange.next_moment()
            if moment < earliest:
                earliest, actor = moment, exchange
        passed = INF
        if self.books.owners:
            bound = min(earliest, inside + self.shortest_entry_ns)
            effect = self.books.advance(bound)
            if effect == INF:
                passed = bound + 1
            elif effect < earliest or actor is None:
                earliest, actor = effect, self.exchanges[0]
        if actor is None and passed == INF:
            self._busy = False
            return False
        if earliest > until or actor is None:
            self._clear = min(earliest, passed)
            return False
        self._clear = 0
        self._rounds = self._rounds + 1 if earliest == self._acted_at else 1
        self._acted_at = earliest
        if self._rounds > ROUNDS_MAXIMUM:
            if not actor.requests_under_way:
                raise InvariantBroken(
                    f"{actor.venue} acted {ROUNDS_MAXIMUM} times at one nanosecond ({earliest}) unasked"
                )
            raise endless(actor.asks_next(), earliest, ROUNDS_MAXIMUM)
        actor.step(earliest)
        if len(self.exchanges) == 1:
            moment = actor.next_moment()
            self._clear = min(moment, self.books.passed + 1) if self.books.owners else moment
            self._busy = self._clear != INF
        return True

    def _last(self) -> Event | None:
        """After the last market event: due timers, requests that are under way, and their answers. Nothing trades."""
        if self.end is None:
            self.end = self.clock.time
        while not self._closed and self.clock.due <= self.end:
            event = self._fire_timer()
            if event is not None or self.clock.holding:
                return event
        if not self._closed:
            self._closed = True
            for gateway in self.gateways:
                gateway.closed = True
            self.books.close(self.end)
        for exchange in self.exchanges:
            while exchange.requests_under_way:
                exchange.answer(exchange.next_request())
        if not self._reports:
            return None
        report = heappop(self._reports)[2]
        self.clock.time = max(self.clock.time, report.ts)
        return report

    def _fire_timer(self) -> Event | None:
        """The event of the timer that is due; None where it was canceled, or where it woke a rim task."""
        timer = self.clock.pop_timer()
        if timer.canceled:
            return None
        self.clock.time = max(self.clock.time, timer.at)
        if timer.future is not None:
            if not timer.future.done():
                timer.future.set_result(None)
                self.clock.hold(timer.task)
            return None
        return timer.event
