"""A tape played through the live door: rows to the simulated venue when they open, events to the inside on receipt.

A tape says that there is nothing until its next row, so the simulator may always be advanced to now. A real stream does
not say so: there `paper.hold_ms` of quiet will have to pass before a request is matched without a newer row. That wait
belongs into the task of the venue (`live/paper_venue.py`), not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain

from core.market.tape_events import BATCH, TapeStreams
from core.tape import Rows
from live.inbox import LiveInbox, not_before
from live.time_source import Rank, TimeSource

Key = tuple[str, str]


class TapedFeed:
    """Every tape of the run. `push_rows` and `play` are its two tasks; both end with the tapes."""

    def __init__(
        self,
        tapes: Sequence[Rows],
        feed_ns: Mapping[str, int],
        inbox: LiveInbox,
        time_source: TimeSource,
        *,
        push: Callable[[Key], None],
        on_last: Callable[[int], None],
        on_end: Callable[[], None],
        start: int = 0,
    ) -> None:
        """`feed_ns` is each venue's latency to us; nothing is heard before `start`.

        `push` gets (venue, symbol) of a tape whose next bar opens now.
        `on_last` gets the last event's `ts` once it is in the inbox; `on_end` is called when that moment is over.
        """
        streams = TapeStreams(tapes, feed_ns, start)
        self.subscribe = streams.subscribe
        """The DataFeed port: (venue, symbol, kind)."""
        self._streams = streams
        self._tapes = tapes
        self._inbox = inbox
        self._time = time_source
        self._push = push
        self._on_last = on_last
        self._on_end = on_end
        self._rows_alarm = time_source.alarm(Rank.DATA)
        self._events_alarm = time_source.alarm(Rank.MARKET)

    async def push_rows(self) -> None:
        """Hand every bar to its venue at its open, in venue time. Other kinds a venue reads up to its own now."""
        bars = (tape for tape in self._tapes if tape.kind == "bars")
        for at, key in merge(*(_openings(tape, number) for number, tape in enumerate(bars))):
            await self._rows_alarm.wait_until(at)
            self._push(key[1:])
        self._rows_alarm.close()

    async def play(self) -> None:
        """Put every event somebody hears into the inbox at its receipt, then see to the end of the tapes."""
        events, end, heard = chain.from_iterable(self._streams.events()), self._streams.end, -1
        event = next(events, None)
        while event is not None:
            await self._events_alarm.wait_until(event.ts)
            following, heard = next(events, None), event.ts
            self._inbox.put(not_before(event, self._time.now()))
            if following is None and heard >= end:
                self._on_last(max(end, self._time.now()))
            event = following
        if heard < end:  # tapes that nobody hears go on
            await self._events_alarm.wait_until(end)
            self._on_last(max(end, self._time.now()))
        self._events_alarm.rank = Rank.END
        await self._events_alarm.wait_until(self._time.now())
        self._on_end()
        self._events_alarm.close()


def _openings(tape: Rows, number: int) -> Iterator[tuple[int, tuple[int, str, str]]]:
    """When each row opens; `number` puts the tapes in order where they open together."""
    key = (number, tape.venue, tape.symbol)
    for columns in tape.chunks(BATCH):
        for closes in columns["ts_venue"].tolist():
            yield closes - tape.interval_ns, key
