"""Which way a range of the past comes: public dumps for whole past months and days, pages over REST for the rest.

A dump costs two requests whatever it holds, so it is the faster way as soon as its rows would need more pages than
that; of ticks REST reaches back a few hours at some venues, so that they come from dumps, in part too, once their day
is over. Where a dump is not there (not yet published, or never), its range comes over REST.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from adapters.fetching.day_parts import MakeTape, Page, days_of
from adapters.fetching.fetch import Fetched
from core.moments import DAY_NS
from core.tape import Kind

DUMP_REQUESTS = 2
"""The file and its checksum."""
CUT: tuple[Kind, ...] = ("trades", "quotes")
"""Of these a part of a dump is as good as the whole; a book needs all of it, of bars REST has the rest."""
Sizes = tuple[Literal["month", "day"], ...]


class Ask(NamedTuple):
    """Rows of which kind."""

    kind: Kind
    symbol: str
    interval_ns: int


class DumpSpan(NamedTuple):
    """What is wanted of one dump: its rows of [since, until)."""

    size: Literal["month", "day"]
    since: int
    """Within the month or day that names the dump."""
    until: int


class Archive(Protocol):
    """A venue's public dumps."""

    def sizes(self, ask: Ask) -> Sizes:
        """Which dumps there are of such rows and are worth it, in the order in which to look for them."""
        ...

    async def parts(self, ask: Ask, span: DumpSpan) -> Iterator[Fetched] | None:
        """The rows of one dump by days, none missing, each read when it is asked for; None where there is no such dump.

        Raises VenueError; the iterator raises DataError.
        """
        ...


class Paging(Protocol):
    """A venue's REST answers."""

    def pages(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        """Rows of [since, until), page by page without a hole. Raises VenueError, UsageError."""
        ...


async def fetched_parts(
    ask: Ask, archive: Archive | None, paging: Paging, tape_of: MakeTape, start: int, end: int, now: int
) -> AsyncGenerator[Fetched]:
    """The rows of [start, end), none of it after `now`, by the fastest way. Raises VenueError, DataError."""
    cursor = start
    while cursor < end:
        in_part = ask.kind in CUT
        spans = [] if archive is None else dump_spans(archive.sizes(ask), cursor, end, now, in_part=in_part)
        found = None
        for span in spans:
            assert archive is not None, "spans are of an archive"
            found = await archive.parts(ask, span)
            if found is not None:
                # Read in a thread and not closed here: where this is canceled, the thread may still be in it.
                while (part := await asyncio.to_thread(next, found, None)) is not None:
                    yield part
                cursor = span.until
                break
        if found is not None:
            continue
        if spans:
            until = min(span.until for span in spans)
        else:
            until = end if archive is None else next_dump(archive.sizes(ask), cursor, end, now)
        whole = ask.interval_ns >= DAY_NS
        async with aclosing(days_of(paging.pages(ask, cursor, until), tape_of, whole=whole)) as parts:
            async for part in parts:
                yield part
                cursor = part.until
        if cursor < until:
            return  # the venue's answers end here, and parts leave no hole


def dump_spans(sizes: Sizes, cursor: int, end: int, now: int, *, in_part: bool = False) -> list[DumpSpan]:
    """What dumps have of the rows from `cursor` to before `end`, each over by `now`.

    Those that begin at `cursor` and lie wholly before `end`; `in_part`: those with `cursor` in them.
    """
    spans = []
    for size in sizes:
        since = month_start(cursor) if size == "month" else cursor // DAY_NS * DAY_NS
        until = next_month(cursor) if size == "month" else since + DAY_NS
        whole = since == cursor and until <= end
        if until <= now and (whole or in_part):
            spans.append(DumpSpan(size, cursor, min(until, end)))
    return spans


def next_dump(sizes: Sizes, cursor: int, end: int, now: int) -> int:
    """Where after `cursor` the next dump begins; `end` where none does."""
    if "day" in sizes:
        midnight = (cursor // DAY_NS + 1) * DAY_NS
        return midnight if midnight + DAY_NS <= min(end, now) else end
    if "month" in sizes:
        first = next_month(cursor)
        return first if next_month(first) <= min(end, now) else end
    return end


def month_start(ns: int) -> int:
    """Midnight of the first day of a time's month, UTC."""
    return _ns(_date(ns).replace(day=1))


def next_month(ns: int) -> int:
    """Midnight of the first day of the month after a time's."""
    return _ns((_date(ns).replace(day=1) + timedelta(days=32)).replace(day=1))


def day_text(ns: int) -> str:
    """The UTC day of a time as dumps are named: 2025-05-04."""
    return f"{_date(ns):%Y-%m-%d}"


def _date(ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=ns // DAY_NS)


def _ns(date: datetime) -> int:
    return (date - datetime(1970, 1, 1, tzinfo=UTC)).days * DAY_NS
