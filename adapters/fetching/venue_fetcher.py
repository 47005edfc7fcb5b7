"""The fetcher of a venue that has REST pages and, maybe, public dumps: the same steps whichever venue it is.

A venue brings its `Desk`: where it is asked, opened for the length of one fetch. All about time and days is here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import NamedTuple, Protocol

from adapters.columns import grid_origin, span
from adapters.fetching.day_parts import Page
from adapters.fetching.fetch import Fetched, Progress
from adapters.fetching.routes import Archive, Ask, fetched_parts
from adapters.fetching.rows_tape import rows_tape
from core.errors import UsageError
from core.tape import Kind
from core.venue_rules import DatedInstrument

BY_INTERVAL: tuple[Kind, ...] = ("bars", "marks", "index")
"""Kinds that are asked for by the length of a bar."""


class Rest(Protocol):
    """A venue's REST answers and its clock."""

    async def clock(self) -> int:
        """The venue's now, ns. Raises VenueError."""
        ...

    async def instruments(self) -> dict[str, DatedInstrument]:
        """The filters of every symbol as they are now. Raises VenueError."""
        ...

    def source(self, ask: Ask) -> str:
        """Where such rows come from, for people."""
        ...

    def pages(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        """Rows of [since, until), page by page without a hole. Raises VenueError."""
        ...


class Desk(NamedTuple):
    """Where one venue is asked, as long as a session is open."""

    rest: Rest
    archive: Archive | None
    """None: dumps are not wanted, or not of this host."""


class VenueFetcher:
    """A `Fetcher` (see `adapters.fetching.fetch`) over a venue's desk."""

    def __init__(
        self,
        *,
        name: str,
        venue: str,
        market: str,
        kinds: tuple[Kind, ...],
        intervals: dict[int, str],
        desk: Callable[[], AbstractAsyncContextManager[Desk]],
    ) -> None:
        self.name = name
        self.venue = venue
        self.market = market
        self.kinds = kinds
        self.intervals = intervals
        """Length of a bar in ns to the venue's word for it."""
        self._desk = desk

    def check(self, kind: Kind, symbol: str, interval_ns: int) -> None:
        """Whether the venue can have such rows, without asking it. Raises UsageError."""
        if kind not in self.kinds:
            raise UsageError(
                f"source of {symbol}: {self.name} has no public history of {kind}; it has {', '.join(self.kinds)}; "
                "read a file, or record the stream"
            )
        if kind in BY_INTERVAL and interval_ns not in self.intervals:
            names = ", ".join(self.intervals.values())
            found = span(interval_ns) if interval_ns else "no interval"
            raise UsageError(
                f"source of {symbol}: {self.name} has {kind} of fixed lengths ({names}), found {found}; set `interval`"
            )

    async def now(self) -> int:
        """The venue's clock, int nanoseconds UTC. Raises VenueError."""
        async with self._desk() as desk:
            return await desk.rest.clock()

    async def instruments(self) -> dict[str, DatedInstrument]:
        """The filters of every symbol as the venue says them now. Raises VenueError."""
        async with self._desk() as desk:
            return await desk.rest.instruments()

    async def fetch(
        self,
        kind: Kind,
        symbol: str,
        interval_ns: int,
        start: int,
        end: int,
        progress: Progress | None = None,
    ) -> AsyncGenerator[Fetched]:
        """See `Fetcher.fetch`. Bars on the grid only: `start` is rounded up to it, `end` down."""
        self.check(kind, symbol, interval_ns)
        interval_ns = interval_ns if kind in BY_INTERVAL else 0
        ask = Ask(kind, symbol, interval_ns)
        async with self._desk() as desk:
            now = await desk.rest.clock()
            end = min(end, now)
            if interval_ns:
                start, end = grid_up(start, interval_ns), grid_down(end, interval_ns)
            tape_of = partial(
                rows_tape,
                kind,
                venue=self.venue,
                symbol=symbol,
                interval_ns=interval_ns,
                source=desk.rest.source(ask),
            )
            parts = fetched_parts(ask, desk.archive, desk.rest, tape_of, start, end, now)
            async with aclosing(parts):
                async for part in parts:
                    yield part
                    if progress is not None:
                        progress(part.until - start, end - start)


def grid_up(ts: int, interval_ns: int) -> int:
    """The first open time at or after `ts`."""
    return grid_down(ts + interval_ns - 1, interval_ns)


def grid_down(ts: int, interval_ns: int) -> int:
    """The last open time at or before `ts`."""
    origin = grid_origin(interval_ns)
    return (ts - origin) // interval_ns * interval_ns + origin
