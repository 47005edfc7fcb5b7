"""Simulated time: moves only when the world moves it, never back.

A rim task (of the program around us) that used `sleep_until` or an event stream *holds* time from its wake-up to its
next such call or its end: what it does at t reaches the inside at t. A hold of 30 s wall time ends the run and names the
task.
"""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from typing import Any

from core.errors import UsageError
from core.events import Event

INF = 2**63 - 1
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
        self._timers: list[tuple[int, int, Timer]] = []
        self._count = 0
        self._holding: set[asyncio.Task[Any]] = set()
        self._released = asyncio.Event()

    # --- the Clock port ---------------------------------------------------------------------------------------------

    def now(self) -> int:
        return self.time

    def call_at(self, ts: int, event: Event) -> Timer:
        timer = Timer(max(ts, self.time), event)
        self._add(timer)
        return timer

    def cancel(self, handle: Timer) -> None:
        handle.canceled = True

    async def sleep_until(self, ts: int) -> None:
        if ts <= self.time:
            return
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

    # --- holding time -----------------------------------------------------------------------------------------------

    def waits(self) -> asyncio.Task[Any] | None:
        """The calling task is about to wait for us: it holds time no longer."""
        task = asyncio.current_task()
        if task is not None:
            self.release(task)
        return task

    def hold(self, task: asyncio.Task[Any] | None) -> None:
        """The task was just woken by us: time stands still until it waits again or ends."""
        if task is not None and not task.done() and task not in self._holding:
            self._holding.add(task)
            task.add_done_callback(self.release)

    def release(self, task: asyncio.Task[Any]) -> None:
        """The task waits again, or is over."""
        if task in self._holding:
            self._holding.discard(task)
            task.remove_done_callback(self.release)
            if not self._holding:
                self._released.set()

    @property
    def held(self) -> bool:
        return bool(self._holding)

    async def until_released(self) -> None:
        """Wait (in wall time) for every task that holds time. Raises UsageError naming one that holds too long."""
        while self._holding:
            self._released.clear()
            try:
                await asyncio.wait_for(self._released.wait(), HOLD_SECONDS)
            except TimeoutError:
                names = ", ".join(sorted(task.get_name() for task in self._holding))
                raise UsageError(
                    f"task {names} has held simulated time for {HOLD_SECONDS:g} s: after sleep_until or an event of "
                    "engine.events() a task must come back to one of them, or end"
                ) from None

    # --- for the world ----------------------------------------------------------------------------------------------

    def next_timer(self) -> int:
        """When the next timer is due; INF without one."""
        timers = self._timers
        while timers and timers[0][2].canceled:
            heappop(timers)
        return timers[0][0] if timers else INF

    def pop_timer(self) -> Timer:
        return heappop(self._timers)[2]

    def _add(self, timer: Timer) -> None:
        self._count += 1
        heappush(self._timers, (timer.at, self._count, timer))
