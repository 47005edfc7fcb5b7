"""Where the rim gets its time from: jumping, watched, and the wall's. Nothing sleeps: the loop's own time jumps."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from core.errors import UsageError
from core.moments import INF
from live.time_source import JumpTime, Rank, ScaledTime, WallTime

SECOND, MINUTE = 1_000_000_000, 60_000_000_000


class FakeTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        select = self._selector.select

        def jump(timeout: float | None = None) -> Any:
            self.seconds += timeout or 0.0
            return select(0)

        self._selector.select = jump

    def time(self) -> float:
        return self.seconds


def in_fake_time(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=FakeTimeLoop) as runner:
        runner.run(main())


# --- jumping time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waits", "order"),
    [
        # (moment, rank) of tasks a, b, c … in order of making; the order in which they are woken
        ([(5, Rank.DATA), (3, Rank.TIMER), (4, Rank.MARKET)], "bca"),
        ([(5, Rank.TIMER), (5, Rank.MARKET), (5, Rank.REPORT), (5, Rank.VENUE), (5, Rank.DATA)], "edcba"),
        ([(5, Rank.END), (5, Rank.TIMER)], "ba"),
        ([(5, Rank.VENUE), (5, Rank.VENUE), (5, Rank.VENUE)], "abc"),
        ([(-7, Rank.TIMER), (0, Rank.DATA)], "ab"),
        ([(INF, Rank.DATA), (5, Rank.TIMER)], "b"),
    ],
)
async def test_waiters_are_woken_by_moment_then_rank_then_order_of_making(
    waits: list[tuple[int, Rank]], order: str
) -> None:
    time, woken = JumpTime(), ""

    async def wait(name: str, at: int, alarm: Any) -> None:
        nonlocal woken
        await alarm.wait_until(at)
        woken += name
        alarm.close()

    alarms = [(name, at, time.alarm(rank)) for name, (at, rank) in zip("abcde", waits, strict=False)]
    # Started in the opposite order: who comes to wait first does not matter.
    tasks = [asyncio.create_task(wait(*one)) for one in reversed(alarms)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert woken == order
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_everything_settles_before_the_next_waiter_is_woken() -> None:
    """A row at 10 makes the venue act at 10, before the timer of 10 that has waited all the time."""
    time, log = JumpTime(), []
    row, venue, clock = time.alarm(Rank.DATA), time.alarm(Rank.VENUE), time.alarm(Rank.TIMER)

    async def push() -> None:
        await row.wait_until(10)
        log.append(("row", time.now()))
        venue.move(10)
        for _ in range(5):
            await asyncio.sleep(0)
        log.append(("row is done", time.now()))
        row.close()

    async def act() -> None:
        await venue.wait_until(INF)
        log.append(("venue", time.now()))
        venue.close()

    async def fire() -> None:
        await clock.wait_until(10)
        log.append(("timer", time.now()))
        await clock.wait_until(25)
        log.append(("timer", time.now()))
        clock.close()

    await asyncio.gather(fire(), act(), push())
    assert log == [("row", 10), ("row is done", 10), ("venue", 10), ("timer", 10), ("timer", 25)]


async def test_time_stands_still_while_a_task_has_not_come_to_wait() -> None:
    time = JumpTime()
    alarm, busy = time.alarm(Rank.DATA), time.alarm(Rank.VENUE)
    task = asyncio.create_task(alarm.wait_until(10))
    for _ in range(20):
        await asyncio.sleep(0)
    assert (time.now(), task.done()) == (0, False)
    busy.close()
    await task
    assert time.now() == 10


async def test_a_canceled_waiter_is_neither_woken_nor_waited_for() -> None:
    time = JumpTime()
    first, second = time.alarm(Rank.DATA), time.alarm(Rank.DATA)
    gone = asyncio.create_task(first.wait_until(5))
    await asyncio.sleep(0)
    gone.cancel()
    await second.wait_until(9)
    assert time.now() == 9


async def test_a_waiter_canceled_after_it_was_woken_is_not_waited_for() -> None:
    time = JumpTime()
    first, second = time.alarm(Rank.DATA), time.alarm(Rank.DATA)
    gone = asyncio.create_task(first.wait_until(INF))
    await asyncio.sleep(0)
    first.ring()
    gone.cancel()
    await second.wait_until(9)
    assert (time.now(), gone.cancelled()) == (9, True)


async def test_a_moved_alarm_rings_at_the_new_moment_only() -> None:
    time, log = JumpTime(), []
    moved, mover = time.alarm(Rank.VENUE), time.alarm(Rank.DATA)

    async def wait() -> None:
        for _ in range(2):
            await moved.wait_until(50)
            log.append(time.now())
        moved.close()

    async def move() -> None:
        await mover.wait_until(1)
        moved.move(60)
        moved.move(20)
        await mover.wait_until(30)
        mover.close()

    await asyncio.gather(wait(), move())
    assert log == [20, 50]


def test_a_time_source_plays_one_tape() -> None:
    time = JumpTime()
    time.begin(5)
    assert time.now() == 5
    with pytest.raises(UsageError, match="every run needs one of its own"):
        time.begin(6)


# --- watched time and wall time -------------------------------------------------------------------------------------


def test_two_tape_minutes_at_sixty_fold_speed_take_two_seconds() -> None:
    async def main() -> None:
        loop, time = asyncio.get_running_loop(), ScaledTime(60)
        time.begin(7 * MINUTE)
        alarm, taken = time.alarm(Rank.DATA), []
        for minute in (8, 9):
            await alarm.wait_until(minute * MINUTE)
            taken.append((time.now(), round(loop.time(), 6)))
        assert taken == [(8 * MINUTE, 1.0), (9 * MINUTE, 2.0)]

    in_fake_time(main)


def test_tape_time_waits_for_a_slow_machine_instead_of_overtaking_it() -> None:
    async def main() -> None:
        loop, time = asyncio.get_running_loop(), ScaledTime(1)
        time.begin(0)
        alarm = time.alarm(Rank.DATA)
        await alarm.wait_until(SECOND)
        await asyncio.sleep(10)  # fake time: a task that works for ten seconds
        await alarm.wait_until(2 * SECOND)
        assert (time.now(), round(loop.time(), 6)) == (2 * SECOND, 11.0)

    in_fake_time(main)


@pytest.mark.parametrize("speed", [0, -1, math.inf, math.nan])
def test_a_speed_is_a_positive_finite_number(speed: float) -> None:
    with pytest.raises(UsageError, match="expected a positive number"):
        ScaledTime(speed)


def test_wall_time_rings_at_its_moment_and_at_once_where_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop, start = asyncio.get_running_loop(), 1_700_000_000 * SECOND
        monkeypatch.setattr("live.time_source.time.time_ns", lambda: start + int(loop.time() * 1e9))
        time, log = WallTime(), []
        alarm = time.alarm(Rank.TIMER)
        for at in (start - 5, start + SECOND, start + 3 * SECOND):
            await alarm.wait_until(at)
            log.append((time.now() >= at, round(loop.time(), 3)))
        assert log == [(True, 0.0), (True, 1.0), (True, 3.0)]

    in_fake_time(main)


def test_wall_time_does_not_go_back_when_the_wall_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([100, 90, 101])
    monkeypatch.setattr("live.time_source.time.time_ns", lambda: next(readings))
    time = WallTime()
    assert [time.now() for _ in range(3)] == [100, 100, 101]


def test_a_tape_is_not_played_on_the_wall_clock() -> None:
    with pytest.raises(UsageError, match="use JumpTime or ScaledTime"):
        WallTime().begin(0)
