"""Where the rim gets its time from: the wall, a tape that jumps, or a tape that is watched at some speed.

Every task at the rim waits in one way only: at an `Alarm` of the run's time source. So a source that jumps knows by its
own count when everybody waits, and nothing is found out by sleeping.
"""

from __future__ import annotations

import asyncio
import math
import time
from enum import IntEnum
from heapq import heappop, heappush
from typing import Protocol

from core.errors import UsageError
from core.moments import INF


class Rank(IntEnum):
    """Who goes first at one nanosecond: F0, as the tasks of the rim."""

    DATA = 0
    """Market data at the venue: a row handed to the simulator."""
    VENUE = 1
    """Effects, expiries and requests at the venue."""
    REPORT = 2
    """Order events reach us."""
    MARKET = 3
    """Market events reach us."""
    TIMER = 4
    END = 5
    """What is to be done when everything of a moment is over: the end of a tape."""
    INBOX = 6
    """The dispatcher: never waits for a time, only for an event."""


class TimeSource(Protocol):
    """What time it is, and alarms that ring."""

    def begin(self, start: int) -> None:
        """A tape that starts at `start` (int nanoseconds UTC) is about to be played. Called once, before any alarm."""
        ...

    def now(self) -> int:
        """Int nanoseconds UTC; never goes back."""
        ...

    def alarm(self, rank: Rank) -> Alarm:
        """An alarm for one task. Time does not jump before that task waits at it (or has closed it)."""
        ...

    # Called by alarms alone.

    def armed(self, alarm: Alarm) -> None:
        """Its task waits until `alarm.at`, from now on or instead of what was said before."""
        ...

    def woken(self, alarm: Alarm) -> None:
        """Its task waits no longer."""
        ...

    def left(self, alarm: Alarm, waiting: bool) -> None:
        """Its task is over; `waiting`: it was canceled while it waited."""
        ...


class Alarm:
    """One task's way to wait: until a moment, or until somebody rings."""

    __slots__ = ("_future", "_source", "at", "number", "rank")

    def __init__(self, source: TimeSource, rank: Rank, number: int) -> None:
        self._source = source
        self.rank = rank
        self.number = number
        """Order of making: decides between alarms of one rank that are due at one nanosecond."""
        self.at = INF
        self._future: asyncio.Future[None] | None = None

    @property
    def waits(self) -> bool:
        """Whether a task waits here and has not been woken yet."""
        return self._future is not None and not self._future.done()

    async def wait_until(self, at: int) -> None:
        """Return at `at` (int nanoseconds UTC, INF: when somebody rings), or earlier where it was moved or rung."""
        self._future = asyncio.get_running_loop().create_future()
        self.at = at
        self._source.armed(self)
        try:
            await self._future
        except asyncio.CancelledError:
            self._source.left(self, waiting=self._future.cancelled())
            raise
        finally:
            self._future = None

    def move(self, at: int) -> None:
        """Ring at `at` instead. Harmless where nobody waits: a task looks for itself before it waits again."""
        if self.waits and at != self.at:
            self.at = at
            self._source.armed(self)

    def ring(self) -> None:
        """Wake the task now. Harmless where nobody waits."""
        if self.waits:
            assert self._future is not None
            self._future.set_result(None)
            self._source.woken(self)

    def close(self) -> None:
        """The task needs no more time; called by the task itself."""
        self._source.left(self, waiting=False)


class WallTime:
    """The real clock. The only place that reads it."""

    def __init__(self) -> None:
        self._latest = 0
        self._count = 0
        self._handles: dict[int, asyncio.TimerHandle] = {}

    def begin(self, start: int) -> None:
        raise UsageError("a tape cannot be played on the wall clock, its time is over: use JumpTime or ScaledTime")

    def now(self) -> int:
        # A wall clock may be set back; ours waits until the wall has caught up.
        self._latest = max(self._latest, time.time_ns())
        return self._latest

    def alarm(self, rank: Rank) -> Alarm:
        self._count += 1
        return Alarm(self, rank, self._count)

    def armed(self, alarm: Alarm) -> None:
        self._drop(alarm)
        if alarm.at < INF:
            delay = max(0.0, (alarm.at - self.now()) / 1e9)
            self._handles[alarm.number] = asyncio.get_running_loop().call_later(delay, self._due, alarm)

    def woken(self, alarm: Alarm) -> None:
        self._drop(alarm)

    def left(self, alarm: Alarm, waiting: bool) -> None:
        self._drop(alarm)

    def _due(self, alarm: Alarm) -> None:
        """The loop's clock is not the wall's: look again where it came too early."""
        if self.now() < alarm.at:
            self.armed(alarm)
        else:
            alarm.ring()

    def _drop(self, alarm: Alarm) -> None:
        handle = self._handles.pop(alarm.number, None)
        if handle is not None:
            handle.cancel()


class JumpTime:
    """Time of a tape: stands still while any task works, then jumps to the next moment somebody waits for.

    One task is woken at a time, by (moment, rank, order of making), and everything settles before the next is.
    """

    def __init__(self) -> None:
        self._now: int | None = None
        self._count = 0
        self._working = 0
        """Tasks that have an alarm and do not wait at it."""
        self._waiting: dict[int, Alarm] = {}
        self._due: list[tuple[int, int, int]] = []
        """(moment, rank, number); an entry whose alarm does not wait for that moment any more is passed over."""
        self._handle: asyncio.Handle | None = None

    def begin(self, start: int) -> None:
        if self._now is not None:
            raise UsageError("this time source has played a tape already: every run needs one of its own")
        self._now = start

    def now(self) -> int:
        return 0 if self._now is None else self._now

    def alarm(self, rank: Rank) -> Alarm:
        self._count += 1
        self._working += 1
        return Alarm(self, rank, self._count)

    def armed(self, alarm: Alarm) -> None:
        if alarm.number not in self._waiting:
            self._waiting[alarm.number] = alarm
            self._working -= 1
        if alarm.at < INF:
            heappush(self._due, (alarm.at, alarm.rank, alarm.number))
        self._look()

    def woken(self, alarm: Alarm) -> None:
        del self._waiting[alarm.number]
        self._working += 1

    def left(self, alarm: Alarm, waiting: bool) -> None:
        if waiting:
            del self._waiting[alarm.number]
        else:
            self._working -= 1
        self._look()

    def _look(self) -> None:
        """Plan the next jump where everybody waits. It comes with a later turn of the loop, never inside a call."""
        if self._working:
            return
        due, waiting = self._due, self._waiting
        while due and (due[0][2] not in waiting or waiting[due[0][2]].at != due[0][0]):
            heappop(due)
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if due:
            self._handle = self._plan(due[0][0])

    def _plan(self, at: int) -> asyncio.Handle:
        return asyncio.get_running_loop().call_soon(self._jump)

    def _jump(self) -> None:
        self._handle = None
        if not self._working:
            at, _, number = heappop(self._due)
            self._now = max(self.now(), at)
            self._waiting[number].ring()


class ScaledTime(JumpTime):
    """Time of a tape, at most `speed` times as fast as the wall: for watching.

    It waits before each jump and is otherwise JumpTime: where the machine is too slow for the speed, the tape's time
    waits for it. So the speed never changes a result.
    """

    def __init__(self, speed: float) -> None:
        """Raises UsageError where `speed` is no positive finite number."""
        super().__init__()
        if not (math.isfinite(speed) and speed > 0):
            raise UsageError(f"speed is {speed}: expected a positive number, tape seconds per second")
        self._speed = speed
        self._origin: tuple[float, int] | None = None
        """The loop's time and the tape's when everybody waited first."""

    def _plan(self, at: int) -> asyncio.Handle:
        loop = asyncio.get_running_loop()
        if self._origin is None:
            self._origin = (loop.time(), self.now())
        started, origin = self._origin
        moment = started + (at - origin) / (1e9 * self._speed)
        if moment <= loop.time():
            return loop.call_soon(self._jump)
        return loop.call_at(moment, self._jump)
