"""A tape played through the live door: rows to the simulated venue when they open, bars to the inside when they close.

A tape says that there is nothing until its next row, so the simulator may always be advanced to now. A real stream does
not say so: there `paper.hold_ms` of quiet will have to pass before a request is matched without a newer row. That wait
belongs into the task of the venue (`live/paper_venue.py`), not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from heapq import merge
from itertools import repeat
from operator import attrgetter

from core.errors import UsageError
from core.events import Bar
from core.tape import Tape
from live.inbox import LiveInbox, not_before
from live.time_source import Rank, TimeSource

BATCH = 4096
"""Rows decoded at once: about a megabyte of events, a few milliseconds of work."""
Key = tuple[str, str]


class TapedFeed:
    """Every tape of the run. `push_rows` and `play` are its two tasks; both end with the tapes."""

    def __init__(
        self,
        tapes: list[Tape],
        feed_ns: Mapping[str, int],
        inbox: LiveInbox,
        time_source: TimeSource,
        *,
        push: Callable[[Key], None],
        on_last: Callable[[int], None],
        on_end: Callable[[], None],
    ) -> None:
        """`feed_ns` is each venue's latency to us. `push` gets (venue, symbol) of a tape whose next row opens now.

        `on_last` gets the last event's `ts` once it is in the inbox; `on_end` is called when that moment is over.
        """
        self._tapes: dict[tuple[str, str, str], Tape] = {(tape.venue, tape.symbol, tape.kind): tape for tape in tapes}
        self._feed_ns = feed_ns
        self._inbox = inbox
        self._time = time_source
        self._push = push
        self._on_last = on_last
        self._on_end = on_end
        self._streams: list[Tape] = []
        self._rows_alarm = time_source.alarm(Rank.DATA)
        self._bars_alarm = time_source.alarm(Rank.MARKET)

    def subscribe(self, venue: str, symbol: str, kind: str) -> None:
        """Ask for a stream: its events are made from now on. Raises UsageError where no tape has it."""
        tape = self._tapes.get((venue, symbol, kind))
        if tape is None:
            have = ", ".join(f"{v} {s} {k}" for v, s, k in self._tapes)
            raise UsageError(f"no tape has {kind} of {symbol} at {venue}; this run has {have}")
        self._streams.append(tape)

    async def push_rows(self) -> None:
        """Hand every row to its venue at its open, in venue time."""
        for at, key in merge(*(_openings(tape, number) for number, tape in enumerate(self._tapes.values()))):
            await self._rows_alarm.wait_until(at)
            self._push(key[1:])
        self._rows_alarm.close()

    async def play(self) -> None:
        """Put every bar somebody hears into the inbox at its receipt, then see to the end of the tapes."""
        bars = self._bars()
        bar = next(bars, None)
        while bar is not None:
            await self._bars_alarm.wait_until(bar.ts)
            following = next(bars, None)
            self._inbox.put(not_before(bar, self._time.now()))
            if following is None:
                self._on_last(max(bar.ts, self._time.now()))
            bar = following
        self._bars_alarm.rank = Rank.END
        await self._bars_alarm.wait_until(self._time.now())
        self._on_end()
        self._bars_alarm.close()

    def _bars(self) -> Iterator[Bar]:
        """Every subscribed stream, by receipt time; at one nanosecond in the order of subscription."""
        streams = [_bars_of(tape, self._feed_ns.get(tape.venue, 0)) for tape in self._streams]
        return merge(*streams, key=attrgetter("ts"))


def _openings(tape: Tape, number: int) -> Iterator[tuple[int, tuple[int, str, str]]]:
    """When each row opens; `number` puts the tapes in order where they open together."""
    key = (number, tape.venue, tape.symbol)
    for start in range(0, len(tape), BATCH):
        for closes in tape.columns["ts_venue"][start : start + BATCH].tolist():
            yield closes - tape.interval_ns, key


def _bars_of(tape: Tape, feed_ns: int) -> Iterator[Bar]:
    for start in range(0, len(tape), BATCH):
        stop = start + BATCH
        yield from map(
            Bar,
            (tape.columns["ts"][start:stop] + feed_ns).tolist(),
            tape.columns["ts_venue"][start:stop].tolist(),
            repeat(tape.venue),
            repeat(tape.symbol),
            repeat(tape.interval_ns),
            *(tape.floats(name, start, stop).tolist() for name in ("open", "high", "low", "close", "volume")),
        )


__all__ = ["TapedFeed"]
