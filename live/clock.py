"""The live clock: time inside is the stamp of the event in hand, timers are events that reach the inbox when due."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from typing import Any

from core.errors import RunOver
from core.events import Event
from core.moments import INF
from live.inbox import LiveInbox, not_before
from live.time_source import Rank, TimeSource


class Timer:
    """A moment somebody asked for: an event for the inbox, or a task to wake."""

    __slots__ = ("at", "canceled", "event", "future")

    def __init__(self, at: int, event: Event | None, future: asyncio.Future[None] | None) -> None:
        self.at = at
        self.event = event
        self.future = future
        self.canceled = False


class LiveClock:
    """Body of the Clock port for paper and live. `run` is its task."""

    def __init__(self, time_source: TimeSource, inbox: LiveInbox) -> None:
        self._time = time_source
        self._inbox = inbox
        self._alarm = time_source.alarm(Rank.TIMER)
        self._timers: list[tuple[int, int, Timer]] = []
        self._count = 0
        self._last = INF
        self._closed = False

    # --- the Clock port ---------------------------------------------------------------------------------------------

    def now(self) -> int:
        return self._inbox.now

    def call_at(self, ts: int, event: Event) -> Timer:
        return self._add(Timer(max(ts, self.now()), event, None))

    def cancel(self, handle: Any) -> None:
        handle.canceled = True

    async def sleep_until(self, ts: int) -> None:
        """Return when the time source has reached `ts`. A jumping source gives the task one turn of the loop there."""
        if ts <= self._time.now():
            return
        if self._closed:
            raise RunOver(ts, self._time.now())
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._add(Timer(ts, None, future))
        try:
            await future
        finally:
            timer.canceled = True

    def close(self) -> None:
        self._closed = True
        for _, _, timer in self._timers:
            if timer.future is not None and not timer.future.done():
                timer.future.set_exception(RunOver(timer.at, self._time.now()))

    def waits(self) -> None:
        """Nothing: live, nobody holds time."""

    def hold(self, task: Any) -> None:
        """Nothing: live, time waits for nobody."""

    # --- at the rim -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Let timers fire, one at a time, until canceled."""
        while True:
            await self._alarm.wait_until(self._next())
            if self._next() <= self._time.now():
                self._fire(heappop(self._timers)[2])

    def end_at(self, ts: int) -> None:
        """Timers after `ts` do not fire: the tape is over."""
        self._last = ts
        self._alarm.move(self._next())

    def _fire(self, timer: Timer) -> None:
        if timer.event is not None:
            self._inbox.put(not_before(timer.event, self._time.now()))
        elif timer.future is not None and not timer.future.done():
            timer.future.set_result(None)

    def _add(self, timer: Timer) -> Timer:
        self._count += 1
        heappush(self._timers, (timer.at, self._count, timer))
        self._alarm.move(self._next())
        return timer

    def _next(self) -> int:
        """When the next timer is due; INF without one."""
        timers = self._timers
        while timers and timers[0][2].canceled:
            heappop(timers)
        return timers[0][0] if timers and timers[0][0] <= self._last else INF
