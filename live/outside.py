"""The outside of paper mode on a tape: live clock and inbox, the tape through the live door, venues as tasks.

The simulators and their gateways are handed in, made by the same function as a backtest's. What differs from a backtest
is who moves: there a world asks everybody in turn, here every part is a task that waits for its own moment.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from core.commands import Approved
from core.events import Event
from core.outside import Outside
from core.plan import Plan
from core.tape import Rows
from live.clock import LiveClock
from live.feed import TapedFeed
from live.inbox import LiveInbox
from live.paper_venue import PaperVenue, PushedVenue, ReportsUnderWay
from live.time_source import JumpTime, TimeSource

MakeVenues = Callable[[Callable[[Event, object], None], Callable[[str], None]], Sequence[PushedVenue]]
"""(carry an answer home, a venue of this name has a request under way) to the run's simulated venues."""


def taped_outside(
    plan: Plan,
    tapes: Sequence[Rows],
    start: int,
    time_source: TimeSource | None,
    make_venues: MakeVenues,
    assumptions: list[str],
) -> Outside:
    """Paper mode on these tapes, with its clock at `start`. Without a time source time jumps: as fast as it goes.

    Raises UsageError where the time source cannot play a tape, or has played one before.
    """
    time = JumpTime() if time_source is None else time_source
    time.begin(start)
    inbox = LiveInbox(time, start=start)
    clock = LiveClock(time, inbox)
    reports = ReportsUnderWay(inbox, time)
    venues: dict[str, PaperVenue] = {}
    pushed = make_venues(reports.report, lambda name: venues[name].concern())
    venues.update({one.name: PaperVenue(one, time) for one in pushed})

    def on_last(ts: int) -> None:
        clock.end_at(ts)
        for venue in venues.values():
            venue.rest()

    def on_end() -> None:
        for venue in venues.values():
            venue.answer_all()
        reports.finish()

    def on_command(command: Approved) -> None:
        for venue in venues.values():
            venue.gateway.on_command(command)

    feed_ns = {one.name: one.feed_ns for one in pushed}
    feed = TapedFeed(
        tapes,
        feed_ns,
        inbox,
        time,
        push=lambda key: venues[key[0]].push(key[1]),
        on_last=on_last,
        on_end=on_end,
        start=start,
    )
    tasks: list[Callable[[], Coroutine[Any, Any, None]]] = [
        feed.push_rows,
        *(venue.run for venue in venues.values()),
        reports.run,
        feed.play,
        clock.run,
    ]
    return Outside(
        clock=clock,
        inbox=inbox,
        subscribe=feed.subscribe,
        on_command=on_command,
        assumptions=assumptions,
        feed_ns=feed_ns,
        tasks=tasks,
    )
