"""The live inbox: all that reaches the inside, in order of arrival, in a bounded queue.

Where the dispatcher lags, market data is conflated: of a stream whose newest value is what matters (`CONFLATED`) the
event that waits is dropped for the newer one, and counted. Order, account and timer events, the host's wishes, and
market data that only means something in full (book changes, funding) are never dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from core.errors import InvariantBroken
from core.events import Bar, Event, MarkPrice, QuoteTick, TradeTick
from core.moments import INF
from core.ports import InboxStatistics
from live.time_source import Rank, TimeSource

MARKET_MAXIMUM = 1000
"""Market events that may wait before they are conflated. A guess: a second of the busiest single stream seen."""
QUEUE_MAXIMUM = 1_000_000
"""Events of any kind that may wait before the run ends: the dispatcher is stuck, and memory is not endless."""
CONFLATED: tuple[type[Event], ...] = (Bar, TradeTick, QuoteTick, MarkPrice)

Stream = tuple[type[Event], str, str]


class LiveInbox:
    """Feed, gateway, clock and host put in; the engine's loop takes out. One reader, one event loop."""

    def __init__(self, time_source: TimeSource, *, start: int = 0, market_maximum: int = MARKET_MAXIMUM) -> None:
        self.now = start
        """`ts` of the event in hand, int nanoseconds UTC; never goes back."""
        self._reader = time_source.alarm(Rank.INBOX)
        self._market_maximum = market_maximum
        self._queue: OrderedDict[int, Event] = OrderedDict()
        self._newest: dict[Stream, int] = {}
        """Where in the queue the newest waiting event of each conflatable stream is."""
        self._market = 0
        """Waiting events of conflatable streams."""
        self._count = 0
        self._delivered = 0
        self._conflated = 0
        self._closed = False
        self._finished = False

    # --- the Inbox port ---------------------------------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Add an event, behind all that waits. Raises InvariantBroken where the dispatcher takes none any more."""
        if len(self._queue) >= QUEUE_MAXIMUM:
            raise InvariantBroken(
                f"{QUEUE_MAXIMUM} events wait in the inbox and none is taken: a handler is stuck. The one that did not "
                f"fit: {event!r}"
            )
        self._count += 1
        if type(event) in CONFLATED:
            stream = _stream(event)
            before = self._newest.get(stream)
            if before is not None and self._market >= self._market_maximum:
                del self._queue[before]
                self._conflated += 1
            else:
                self._market += 1
            self._newest[stream] = self._count
        self._queue[self._count] = event
        self._reader.ring()

    def close(self) -> None:
        """End the iteration after the event in hand; what waits is not delivered."""
        self._closed = True
        self._reader.ring()

    def finish(self) -> None:
        """Nothing more will come: end the iteration when everything that waits is delivered."""
        self._finished = True
        self._reader.ring()

    def statistics(self) -> InboxStatistics:
        return InboxStatistics(self._delivered, len(self._queue), self._market_maximum, self._conflated)

    def __aiter__(self) -> AsyncIterator[Iterator[Event]]:
        return self

    async def __anext__(self) -> Iterator[Event]:
        while not self._closed:
            if self._queue:
                return iter((self._take(),))
            if self._finished:
                break
            await self._reader.wait_until(INF)
        raise StopAsyncIteration

    def _take(self) -> Event:
        """The oldest event, stamped: its `ts` is kept unless time would go back."""
        number, event = self._queue.popitem(last=False)
        if type(event) in CONFLATED:
            self._market -= 1
            stream = _stream(event)
            if self._newest[stream] == number:
                del self._newest[stream]
        self._delivered += 1
        event = not_before(event, self.now)
        self.now = event.ts
        return event


def not_before(event: Event, ts: int) -> Event:
    """The event, with `ts` where its own lies before that."""
    return event if event.ts >= ts else msgspec.structs.replace(event, ts=ts)


def _stream(event: Any) -> Stream:
    return type(event), event.venue, event.symbol
