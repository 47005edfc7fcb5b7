"""The live rim: inbox, clock, and a tape through the live door, on time that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from core.errors import InvariantBroken, UsageError
from core.events import Bar, BookUpdate, OrderSubmitted, QuoteTick, TimerFired
from core.moments import INF
from core.tape import Tape
from live import inbox as inbox_module
from live.clock import LiveClock
from live.feed import TapedFeed
from live.inbox import LiveInbox, not_before
from live.time_source import JumpTime, Rank
from sim.bars.bar_cursor import TapeCursor
from sim.bars.push_cursor import PushCursor
from sim.clock import SimClock

MINUTE = 60_000_000_000


def bar(ts: int, close: float = 1.0, symbol: str = "X") -> Bar:
    return Bar(ts, ts, "v", symbol, MINUTE, close, close, close, close, 1.0)


def timer(ts: int, name: str = "t") -> TimerFired:
    return TimerFired(ts, name, "test")


def submitted(ts: int, order_id: str) -> OrderSubmitted:
    return OrderSubmitted(ts, None, "v", "X", "net", "s", "main", order_id)


def tape_of(closes: list[str], symbol: str = "X", start: int = 0) -> Tape:
    """Bars of one minute without wicks, from `start` on; each opens at the close before it."""
    prices = np.array([int(Decimal(close) * 10) for close in closes], dtype=np.int64)
    opens = np.concatenate((prices[:1], prices[:-1]))
    closed = start + MINUTE * np.arange(1, len(closes) + 1, dtype=np.int64)
    return Tape(
        kind="bars",
        venue="v",
        symbol=symbol,
        columns={
            "ts_venue": closed,
            "ts": closed.copy(),
            "open": opens,
            "high": np.maximum(opens, prices),
            "low": np.minimum(opens, prices),
            "close": prices,
            "volume": np.full(len(closes), 100, dtype=np.int64),
        },
        price_scale=1,
        size_scale=0,
        interval_ns=MINUTE,
        source="test",
    )


# --- inbox ----------------------------------------------------------------------------------------------------------


async def one_by_one(inbox: LiveInbox) -> AsyncIterator[Any]:
    async for stretch in inbox:
        for event in stretch:
            yield event


async def taken(inbox: LiveInbox) -> list[Any]:
    return [event async for event in one_by_one(inbox)]


async def test_the_inbox_delivers_in_order_of_arrival_until_it_is_finished() -> None:
    inbox = LiveInbox(JumpTime())
    events = [bar(1), submitted(2, "a"), timer(3)]
    for event in events:
        inbox.put(event)
    inbox.finish()
    assert await taken(inbox) == events
    assert (inbox.statistics().delivered, inbox.statistics().waiting) == (3, 0)


async def test_a_closed_inbox_ends_although_events_wait() -> None:
    inbox = LiveInbox(JumpTime())
    inbox.put(timer(1))
    inbox.put(timer(2))
    seen = []
    async for event in one_by_one(inbox):
        seen.append(event.ts)
        inbox.close()
    assert seen == [1]


async def test_the_reader_is_woken_by_a_put_and_by_the_finish() -> None:
    inbox = LiveInbox(JumpTime())
    reader = asyncio.create_task(taken(inbox))
    await asyncio.sleep(0)
    inbox.put(timer(4))
    await asyncio.sleep(0)
    inbox.finish()
    assert await reader == [timer(4)]


async def test_a_stamp_is_kept_unless_time_would_go_back() -> None:
    inbox = LiveInbox(JumpTime(), start=5)
    for ts in (3, 10, 7, 12):
        inbox.put(timer(ts))
    inbox.finish()
    assert [event.ts for event in await taken(inbox)] == [5, 10, 10, 12]
    assert inbox.now == 12


async def test_market_data_is_conflated_above_the_maximum_and_counted() -> None:
    """Three may wait: X and Y fill the queue, then the newest of each stream takes the place of the one before."""
    inbox = LiveInbox(JumpTime(), market_maximum=3)
    quote = QuoteTick(8, 8, "v", "X", 1.0, 1.0, 2.0, 1.0)
    for event in (bar(1), bar(2, symbol="Y"), bar(3), bar(4), bar(5), bar(6, symbol="Y"), submitted(7, "a"), quote):
        inbox.put(event)
    statistics = inbox.statistics()
    assert (statistics.conflated, statistics.maximum) == (3, 3)
    inbox.finish()
    # bar(1) was there before the maximum was reached; a stream that has nothing waiting always gets its newest in.
    assert await taken(inbox) == [bar(1), bar(5), bar(6, symbol="Y"), submitted(7, "a"), quote]
    assert inbox.statistics().delivered == 5


async def test_after_the_dispatcher_has_caught_up_nothing_is_conflated() -> None:
    inbox = LiveInbox(JumpTime(), market_maximum=2)
    for ts in (1, 2, 3):
        inbox.put(bar(ts))
    reader = one_by_one(inbox)
    assert [(await anext(reader)).ts for _ in range(2)] == [1, 3]
    for ts in (4, 5):
        inbox.put(bar(ts))
    inbox.finish()
    assert [event.ts for event in await taken(inbox)] == [4, 5]
    assert inbox.statistics().conflated == 1


async def test_what_only_means_something_in_full_is_never_dropped() -> None:
    inbox = LiveInbox(JumpTime(), market_maximum=1)
    changes = [BookUpdate(ts, ts, "v", "X", ((1.0, float(ts)),), ()) for ts in range(5)]
    orders = [submitted(ts, str(ts)) for ts in range(5, 10)]
    timers = [timer(ts) for ts in range(10, 15)]
    for event in (*changes, *orders, *timers):
        inbox.put(event)
    inbox.finish()
    assert await taken(inbox) == [*changes, *orders, *timers]
    assert inbox.statistics().conflated == 0


def test_an_inbox_nobody_empties_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "QUEUE_MAXIMUM", 2)
    inbox = LiveInbox(JumpTime())
    inbox.put(timer(1))
    inbox.put(timer(2))
    with pytest.raises(InvariantBroken, match="2 events wait in the inbox"):
        inbox.put(timer(3))


def test_an_event_is_copied_only_where_its_time_changes() -> None:
    event = timer(5)
    assert not_before(event, 5) is event
    assert not_before(event, 6) == timer(6)


# --- clock ----------------------------------------------------------------------------------------------------------


async def clock_story(ask: Callable[[LiveClock], None], last: int | None = None) -> list[tuple[int, str]]:
    """What the inbox gets of the timers `ask` asked for, read at the time they are due."""
    time = JumpTime()
    time.begin(0)
    inbox = LiveInbox(time)
    clock = LiveClock(time, inbox)
    end = time.alarm(Rank.END)
    ask(clock)
    if last is not None:
        clock.end_at(last)

    async def finish() -> None:
        await end.wait_until(1000)
        inbox.finish()
        end.close()

    tasks = [asyncio.create_task(clock.run()), asyncio.create_task(finish())]
    log = []
    async for event in one_by_one(inbox):
        assert isinstance(event, TimerFired)
        assert event.ts == clock.now() == time.now()
        log.append((event.ts, event.name))
    for task in tasks:
        task.cancel()
    return log


async def test_timers_reach_the_inbox_when_due_and_in_order_of_asking_at_one_moment() -> None:
    def ask(clock: LiveClock) -> None:
        for at, name in ((20, "late"), (10, "a"), (10, "b"), (5, "early")):
            clock.call_at(at, timer(at, name))

    assert await clock_story(ask) == [(5, "early"), (10, "a"), (10, "b"), (20, "late")]


async def test_a_canceled_timer_does_not_fire() -> None:
    def ask(clock: LiveClock) -> None:
        handle = clock.call_at(10, timer(10, "no"))
        clock.call_at(11, timer(11, "yes"))
        clock.cancel(handle)

    assert await clock_story(ask) == [(11, "yes")]


async def test_a_timer_in_the_past_fires_now_and_says_so() -> None:
    def ask(clock: LiveClock) -> None:
        clock.call_at(-3, timer(-3, "past"))

    assert await clock_story(ask) == [(0, "past")]


def test_a_simulated_timer_in_the_past_says_now_too() -> None:
    """Else a cancel made of it would leave, and might arrive, before what the venue has done already."""
    assert SimClock(10).call_at(5, timer(5)).event == timer(10)


async def test_timers_after_the_end_of_the_tape_do_not_fire() -> None:
    def ask(clock: LiveClock) -> None:
        clock.call_at(10, timer(10, "at the end"))
        clock.call_at(11, timer(11, "after it"))

    assert await clock_story(ask, last=10) == [(10, "at the end")]


async def test_a_rim_task_sleeps_until_its_moment() -> None:
    time = JumpTime()
    time.begin(0)
    inbox = LiveInbox(time)
    clock = LiveClock(time, inbox)
    ticks, woken = time.alarm(Rank.MARKET), []

    async def bot() -> None:
        for at in (15, 10, 25):
            await clock.sleep_until(at)
            woken.append(time.now())
        inbox.finish()

    async def tick() -> None:
        for at in (12, 20, 30):
            await ticks.wait_until(at)
        ticks.close()

    tasks = [asyncio.create_task(one) for one in (clock.run(), bot(), tick())]
    assert await taken(inbox) == []
    assert woken == [15, 15, 25]
    for task in tasks:
        task.cancel()


# --- the tape through the live door ---------------------------------------------------------------------------------


async def test_a_row_reaches_the_venue_at_its_open_and_the_inside_at_its_close_plus_latency() -> None:
    time = JumpTime()
    time.begin(0)
    inbox, log = LiveInbox(time), []

    def last(ts: int) -> None:
        log.append((time.now(), f"last at {ts}"))

    def end() -> None:
        log.append((time.now(), "end"))
        inbox.finish()

    feed = TapedFeed(
        [tape_of(["1", "2"]), tape_of(["5"], "Y", start=MINUTE)],
        {"v": 7},
        inbox,
        time,
        push=lambda key: log.append((time.now(), f"row {key[1]}")),
        on_last=last,
        on_end=end,
    )
    feed.subscribe("v", "X", "bars")
    feed.subscribe("v", "Y", "bars")
    tasks = [asyncio.create_task(feed.push_rows()), asyncio.create_task(feed.play())]
    async for event in one_by_one(inbox):
        assert event.ts == event.ts_venue + 7
        log.append((event.ts, f"bar {event.symbol} {event.close}"))
    await asyncio.gather(*tasks)
    assert log == [
        (0, "row X"),
        (MINUTE, "row X"),
        (MINUTE, "row Y"),
        (MINUTE + 7, "bar X 1.0"),
        (2 * MINUTE + 7, "bar X 2.0"),
        (2 * MINUTE + 7, f"last at {2 * MINUTE + 7}"),
        (2 * MINUTE + 7, "bar Y 5.0"),
        (2 * MINUTE + 7, "end"),
    ]


def test_a_stream_without_a_tape_is_refused_by_name() -> None:
    time, pushed = JumpTime(), list[Any]()
    to = {"push": pushed.append, "on_last": pushed.append, "on_end": pushed.clear}
    feed = TapedFeed([tape_of(["1"])], {}, LiveInbox(time), time, **to)
    with pytest.raises(UsageError, match=r"no tape has bars of Z at v; this run has v X bars"):
        feed.subscribe("v", "Z", "bars")


def test_a_row_is_hidden_from_the_venue_until_it_is_pushed() -> None:
    tape = tape_of(["1", "2", "3"])
    cursor = PushCursor(tape)
    assert (cursor.next_open(), cursor.at(MINUTE)) == (INF, None)
    cursor.push()
    assert cursor.next_open() == 0
    first = cursor.at(MINUTE - 1)
    assert first is not None
    assert first.close == 10
    # The last row that is known is over at its close, whatever the tape holds behind it.
    assert (cursor.next_open(), cursor.at(MINUTE)) == (INF, None)
    cursor.push()
    assert cursor.next_open() == MINUTE
    assert (cursor.take().close, cursor.close_before(in_hole=False), cursor.next_open()) == (20, 10, INF)
    cursor.push()
    with pytest.raises(IndexError, match="all of them were pushed"):
        cursor.push()


def test_pushed_rows_tell_the_past_as_the_tape_does() -> None:
    tape = tape_of([str(100 + 7 * n % 13) for n in range(40)])
    whole, pushed = TapeCursor(tape), PushCursor(tape)
    for row in range(40):
        pushed.push()
        assert pushed.day_before(row) == whole.day_before(row)
        ours, theirs = pushed.at(row * MINUTE + 1), whole.at(row * MINUTE + 1)
        assert ours is not None
        assert theirs is not None
        assert ours.row == theirs.row == row
