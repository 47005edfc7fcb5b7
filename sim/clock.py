"""Simulated time: moves only when the world moves it, never back.

A rim task (of the program around us) that used `sleep_until` or an event stream *holds* time from its wake-up to its
next such call or its end: what it does at t reaches the inside at t. A hold of 30 s wall time ends the run and names
the task.
"""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from typing import Any

import msgspec

from core.errors import RunOver, UsageError
from core.events import Event
from core.moments import INF

HOLD_SECONDS = 30.0
"""Wall time a rim task may keep simulated time standing. A guess: longer than any sane await, shorter than patience."""


class Timer:
    """A moment somebody asked for."""

    __slots__ = ("at", "canceled", "event", "future", "task")

    def __init__(
        self,
        at: int,
        event: Event | None,
        future: asyncio.Future[None] | None = None,
        task: asyncio.Task[Any] | None = None,
    ) -> None:
        self.at = at
        self.event = event
        self.future = future
        self.task = task
        self.canceled = False


class SimClock:
    """A clock whose hands are the world's."""

    def __init__(self, start: int = 0) -> None:
        self.time = start
        """Current simulated time, int nanoseconds UTC. Written by the world alone."""
        self.attention = False
        """Set by whatever must be looked at before the tape runs on: a timer, a hold, a request, a report, a wish."""
        self.due = INF
        """When the next timer is due (it may have been canceled); INF without one."""
        self._timers: list[tuple[int, int, Timer]] = []
        self._count = 0
        self.holding: set[asyncio.Task[Any]] = set()
        """Rim tasks that hold time."""
        self._released = asyncio.Event()
        self._closed = False

    # --- the Clock port ---------------------------------------------------------------------------------------------

    def now(self) -> int:
        return self.time

    def call_at(self, ts: int, event: Event) -> Timer:
        if event.ts < self.time:
            # What happens now is told with the time of now: a command made of it must not leave in the past.
            event = msgspec.structs.replace(event, ts=self.time)
        timer = Timer(max(ts, self.time), event)
        self._add(timer)
        return timer

    def cancel(self, handle: Any) -> None:
        handle.canceled = True

    async def sleep_until(self, ts: int) -> None:
        if ts <= self.time:
            return
        if self._closed:
            raise RunOver(ts, self.time)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = self.waits()
        timer = Timer(ts, None, future, task)
        self._add(timer)
        try:
            await future
        finally:
            timer.canceled = True
            if task is not None and future.cancelled():
                self.release(task)

    def close(self) -> None:
        self._closed = True
        for _, _, timer in self._timers:
            if timer.future is not None and not timer.future.done():
                timer.future.set_exception(RunOver(timer.at, self.time))

    # --- holding time -----------------------------------------------------------------------------------------------

    def waits(self) -> asyncio.Task[Any] | None:
        """The calling task is about to wait for us: it holds time no longer."""
        task = asyncio.current_task()
        if task is not None:
            self.release(task)
        return task

    def hold(self, task: asyncio.Task[Any] | None) -> None:
        """The task was just woken by us: time stands still until it waits again or ends."""
        if task is not None and not task.done() and task not in self.holding:
            self.holding.add(task)
            self.attention = True
            task.add_done_callback(self.release)

    def release(self, task: asyncio.Task[Any]) -> None:
        """The task waits again, or is over."""
        if task in self.holding:
            self.holding.discard(task)
            task.remove_done_callback(self.release)
            if not self.holding:
                self._released.set()

    async def until_released(self) -> None:
        """Wait (in wall time) for every task that holds time. Raises UsageError naming one that holds too long."""
        while self.holding:
            self._released.clear()
            try:
                # Not `wait_for`: up to Python 3.11 it swallows a cancel that comes as the wait is over.
                async with asyncio.timeout(HOLD_SECONDS):
                    await self._released.wait()
            except TimeoutError:
                names = ", ".join(sorted(task.get_name() for task in self.holding))
                raise UsageError(
                    f"task {names} has held simulated time for {HOLD_SECONDS:g} s: after sleep_until or an event of "
                    "engine.events() a task must come back to one of them, or end"
                ) from None

    # --- for the world ----------------------------------------------------------------------------------------------

    def pop_timer(self) -> Timer:
        """The timer that is due next."""
        timer = heappop(self._timers)[2]
        self.due = self._timers[0][0] if self._timers else INF
        return timer

    def _add(self, timer: Timer) -> None:
        self._count += 1
        self.attention = True
        heappush(self._timers, (timer.at, self._count, timer))
        self.due = self._timers[0][0]
