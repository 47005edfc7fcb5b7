"""Tapes as market data in a simulation: decoded batches of what the inside hears, for the world to hand on.

The venue reads the same columns its own way (`sim.bars.bar_cursor`) and never hands a row to the inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from core.events import MarketEvent
from core.market.tape_events import TapeStreams
from core.moments import INF
from core.tape import Rows


class SimFeed:
    """Every tape of the run. Rows become events in batches, and only where somebody subscribed."""

    def __init__(self, tapes: Sequence[Rows], feed_ns: Mapping[str, int], start: int = 0) -> None:
        """Tapes in the order of the run's symbols; `feed_ns` per venue. Nothing is heard before `start`."""
        streams = TapeStreams(tapes, feed_ns, start)
        self.subscribe = streams.subscribe
        """The DataFeed port: (venue, symbol, kind)."""
        self.end = streams.end
        """Receipt time of the last row of all tapes, heard or not: until then the run goes on."""
        self._streams = streams
        self._batches: Iterator[Sequence[MarketEvent]] = iter(())
        self.batch: Sequence[MarketEvent] = []
        """Decoded events; those before `index` are delivered."""
        self.index = 0
        self.next_ts = INF
        """Receipt time of the next event; INF at the end of all tapes that somebody hears."""
        self.heard_until = -INF
        """Receipt time of the last event of the batch before."""

    def start(self) -> None:
        """Decode the first batch."""
        self._batches = self._streams.events()
        self._load()

    def pop(self) -> MarketEvent:
        """The next event."""
        event = self.batch[self.index]
        self.passed(self.index + 1)
        return event

    def passed(self, index: int) -> None:
        """Events of the batch before `index` are delivered; the next batch is decoded when this one is used up."""
        self.index = index
        if index < len(self.batch):
            self.next_ts = self.batch[index].ts
        else:
            self._load()

    def _load(self) -> None:
        self.index = 0
        if self.batch:
            self.heard_until = self.batch[-1].ts
        self.batch = next(self._batches, [])
        self.next_ts = self.batch[0].ts if self.batch else INF
