"""A venue's past as a `HistorySource`: what is kept is read, what is missing is fetched, and both make one tape."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

from adapters.cache import Shelf
from adapters.columns import Origin, span, stamp
from adapters.fetching.fetch import Fetched, Fetcher
from adapters.fetching.venue_fetcher import BY_INTERVAL, grid_down, grid_up
from adapters.kept.cache_lock import locked
from adapters.kept.cache_periods import Span, period_of, without
from adapters.kept.cache_rows import played
from core.errors import DataError, VenueError
from core.moments import DAY_NS, MINUTE_NS
from core.ports import Downloaded
from core.tape import Kind, Rows

ROWS_MAX = 50_000_000
"""Bars in one range."""
EDGE_NS = MINUTE_NS
"""Ticks: silence at an edge of the range up to this is no news. Guess."""
FUNDING_EDGE_NS = DAY_NS
"""The same for rates, which come every few hours."""
PARTS_HELD = 64
"""Answers of one period that wait in memory until they are written together."""
ROWS_HELD = 2_000_000
"""The same in rows."""
REPAIR = "python -m core.run data repair"
LOG = logging.getLogger("anyclock")
Told = Callable[[int, int], None]


class Range(NamedTuple):
    """What one load is about."""

    start: int
    end: int
    answered: int
    """Until when the venue has answered; `end` where it has for all of it."""


class FetchedHistory:
    """The rows of one kind and symbol in [start, end), to be loaded once."""

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        kind: Kind,
        symbol: str,
        interval_ns: int,
        start: int,
        end: int | None,
        cache: Path | None = None,
    ) -> None:
        self.fetcher = fetcher
        self.kind: Kind = kind
        self.symbol = symbol
        self.interval_ns = interval_ns if kind in BY_INTERVAL else 0
        self.start = start
        self.end = end
        """None: the venue's now."""
        self.origin = Origin(f"{fetcher.name} {symbol} {kind}{f' {span(interval_ns)}' if self.interval_ns else ''}")
        self.shelf = (
            None
            if cache is None
            else Shelf(cache, venue=fetcher.name, symbol=symbol, kind=kind, interval_ns=self.interval_ns)
        )

    async def load(self, progress: Told | None = None) -> Rows:
        """The tape. Raises DataError where there are no rows or they contradict themselves, VenueError for the rest."""
        start, end = await self._range()
        if self.shelf is None:
            fetched = [part async for part in self._fetched([(start, end)], progress)]
            answered = _answered((start, end), [(part.since, part.until) for part in fetched], end)
            parts: Sequence[Rows] = [part.tape for part in fetched if len(part.tape)]
        else:
            answered = await self.complete(start, end, progress)
            parts = await asyncio.to_thread(self.shelf.parts, start, end)
        return await asyncio.to_thread(self._tape, parts, Range(start, end, answered))

    async def complete(self, start: int, end: int, progress: Told | None = None) -> int:
        """Fetch and keep what is missing of [start, end); returns until when the venue has answered. Raises as `load`.

        What was answered is kept whatever happens: an error, Ctrl-C, a killed program.
        """
        shelf = self.shelf
        assert shelf is not None, "nothing is kept without a cache"
        if not await asyncio.to_thread(shelf.missing, start, end):
            if progress is not None:
                rows = sum(map(len, shelf.parts(start, end)))
                progress(rows, rows)
            return end
        try:
            async with locked(shelf.folder):
                shelf.refresh()  # somebody else may have fetched it while we waited
                missing = await asyncio.to_thread(shelf.missing, start, end)
                return await self._kept(shelf, missing, end, progress)
        except VenueError as error:
            if not shelf.damaged:
                raise
            raise DataError(f"{'; '.join(shelf.damaged)}; that failed: {error}; try again with: {REPAIR}") from error

    async def download(self, progress: Told | None = None) -> Downloaded:
        """Fetch and keep what is missing of the whole range. Raises as `load`."""
        shelf = self.shelf
        assert shelf is not None, "nothing is kept without a cache"
        start, end = await self._range()
        missing = await asyncio.to_thread(shelf.missing, start, end)
        answered = await self.complete(start, end, progress)
        rows, *new = await asyncio.to_thread(_counts, shelf, [(start, end), *missing])
        notes = [*shelf.damaged, *self._clock_behind(Range(start, end, answered))]
        return Downloaded(self.origin.name, start, end, rows, bool(missing), sum(new), tuple(notes))

    # --- fetching ---------------------------------------------------------------------------------------------------

    async def _range(self) -> Span:
        start, end = self.start, await self.fetcher.now() if self.end is None else self.end
        if self.interval_ns:
            start, end = grid_up(start, self.interval_ns), grid_down(end, self.interval_ns)
        if start >= end or (self.interval_ns and end - start > ROWS_MAX * self.interval_ns):
            what = "bar" if self.interval_ns else "moment"
            raise self.origin.whole(
                f"no {what} fits between {stamp(start)} and {stamp(end)}, or more than {ROWS_MAX} bars do",
                f"a range of at least one {what}",
                "change `start` or `end`",
            )
        return start, end

    async def _kept(self, shelf: Shelf, missing: list[Span], end: int, progress: Told | None) -> int:
        """Fetch ranges into the shelf, a period at a time; returns until when the venue has answered."""
        held: list[Fetched] = []
        spans: list[Span] = []
        try:
            async with aclosing(self._fetched(missing, progress)) as parts:
                async for part in parts:
                    if held and not _belong_together(self.kind, self.interval_ns, held, part):
                        await asyncio.to_thread(shelf.add, held)
                        held = []
                    held.append(part)
                    spans.append((part.since, part.until))
        finally:
            if held:
                shelf.add(held)  # at once: who is canceled may not wait
        return _answered(missing[-1], spans, end) if missing else end

    async def _fetched(self, missing: list[Span], progress: Told | None) -> AsyncGenerator[Fetched]:
        """What the venue has of the ranges; `progress` hears of rows so far and how many there may be."""
        rows = done = 0
        asked = sum(until - since for since, until in missing)
        for since, until in missing:
            fetching = self.fetcher.fetch(self.kind, self.symbol, self.interval_ns, since, until)
            async with aclosing(fetching):
                async for part in fetching:
                    yield part
                    rows, done = rows + len(part.tape), done + part.until - part.since
                    if progress is not None:
                        progress(rows, max(rows, rows * asked // max(done, 1)))

    # --- the tape ---------------------------------------------------------------------------------------------------

    def _tape(self, parts: Sequence[Rows], told: Range) -> Rows:
        if not parts:
            raise self.origin.whole(
                f"no {self.kind} from {stamp(told.start)} to {stamp(told.end)}",
                "at least one row",
                "check when the symbol was listed, and change `start`",
            )
        tape = played(
            self.kind,
            parts,
            venue=self.fetcher.venue,
            interval_ns=self.interval_ns,
            origin=Origin(_sources(parts)),
        )
        kept = () if self.shelf is None else self.shelf.damaged
        tape.notes = (*self._edges(tape, told), *self._holes(tape, told), *tape.notes, *kept)
        return tape

    def _edges(self, tape: Rows, told: Range) -> Iterator[str]:
        """Rows missing before the first or after the last are no hole between rows: they are told in words."""
        first, over = tape.edges.first_ts_venue - self.interval_ns, tape.edges.last_ts_venue
        allowed = 0 if self.interval_ns else FUNDING_EDGE_NS if self.kind == "funding" else EDGE_NS
        if first > told.start + allowed:
            yield f"asked for from {stamp(told.start)}, the venue has {self.kind} from {stamp(first)}"
        if over < told.end - allowed:
            yield f"asked for until {stamp(told.end)}, the venue has {self.kind} until {stamp(over)}"
        yield from self._clock_behind(told)

    def _clock_behind(self, told: Range) -> Iterator[str]:
        if told.answered < told.end:
            yield (
                "the venue's clock stands before the end asked for: "
                f"{self.kind} end at {stamp(max(told.answered, told.start))}"
            )

    def _holes(self, tape: Rows, told: Range) -> Iterator[str]:
        """Whose the holes between the rows are."""
        if not self.interval_ns or not tape.gaps:
            return
        unasked: list[Span] = []
        if self.shelf is not None:
            spans = self.shelf.answered(told.start, told.answered)
            unasked = [left for gap in tape.gaps for left in without((gap.since, gap.until), spans)]
        if unasked:
            since, until = unasked[0]
            yield f"not all holes are the venue's: it has not been asked for {stamp(since)} to {stamp(until)}"
        else:
            yield "all holes are the venue's: it was asked and has no rows there"


def _belong_together(kind: Kind, interval_ns: int, held: Sequence[Fetched], part: Fetched) -> bool:
    """Whether an answer may wait for being written with those in hand."""
    period = period_of(kind, interval_ns, held[0].since)
    return part.since < period.until and len(held) < PARTS_HELD and sum(len(one.tape) for one in held) < ROWS_HELD


def _answered(asked: Span, spans: Sequence[Span], end: int) -> int:
    """Until when the venue has answered, judged by the last range it was asked for; `end` where for all of it."""
    left = without(asked, spans)
    return left[-1][0] if left and left[-1][1] == asked[1] else end


def _counts(shelf: Shelf, spans: Sequence[Span]) -> list[int]:
    """How many rows are kept of each range."""
    return [sum(map(len, shelf.parts(since, until))) for since, until in spans]


def _sources(parts: Sequence[Rows]) -> str:
    """Where all of it came from: one way, or the first and how many more."""
    ways = list(dict.fromkeys(way for part in parts for way in part.source.split("; ")))
    return ways[0] if len(ways) == 1 else f"{ways[0]} and {len(ways) - 1} more"
