"""Pages into days: what arrives in a venue's page lengths leaves as tapes that do not cross midnight UTC."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import NamedTuple, TypeVar

from adapters.columns import Bars, stamp
from adapters.fetching.fetch import Fetched
from adapters.fetching.history_rows import FundingRows, Rows, TradeRows
from core.errors import VenueError
from core.moments import DAY_NS
from core.tape import Tape


class Page(NamedTuple):
    """Rows, and the range the venue has thereby answered for, [since, until)."""

    rows: Rows | None
    """None: nothing there."""
    since: int
    until: int


MakeTape = Callable[[list[Rows]], Tape]


async def days_of(pages: AsyncIterator[Page], tape_of: MakeTape, *, whole: bool = False) -> AsyncGenerator[Fetched]:
    """A part per UTC day (`whole`: per page, for bars of a day and longer), from pages that follow one another.

    Where the venue fails, what was answered before comes as a part of its own, then the VenueError.
    """
    held: list[Rows] = []
    since = until = -1
    try:
        async for page in pages:
            since = page.since if since < 0 else since
            rows = _none_late(page.rows, since)
            for edge in () if whole else _midnights(until if until >= 0 else since, page.until):
                yield Fetched(tape_of([*held, *_cut(rows, since, edge)]), since, edge)
                held, since = [], edge
            held += _cut(rows, since, page.until)
            until = page.until
            if whole and until > since:
                yield Fetched(tape_of(held), since, until)
                held, since = [], until
    except VenueError:
        if until > since >= 0:
            yield Fetched(tape_of(held), since, until)
        raise
    if until > since >= 0:
        yield Fetched(tape_of(held), since, until)


def _cut(rows: Rows | None, low: int, high: int) -> list[Rows]:
    """The rows with low <= time < high, if there are any."""
    part = None if rows is None else rows.taken((rows.times >= low) & (rows.times < high))
    return [part] if part is not None and len(part) else []


def _none_late(rows: Rows | None, since: int) -> Rows | None:
    if rows is not None and len(rows) and (late := int(rows.times.min())) < since:
        raise VenueError(
            f"a row of {stamp(late)} came after rows of {stamp(since)} and later: its day was over; expected rows in "
            "order of time; fetch the range again"
        )
    return rows


def _midnights(after: int, until: int) -> range:
    """Each midnight with after < midnight <= until."""
    return range((after // DAY_NS + 1) * DAY_NS, until + 1, DAY_NS)


# --- what whoever makes pages needs ---------------------------------------------------------------------------------


SomeRows = TypeVar("SomeRows", Bars, TradeRows, FundingRows)


def in_range(rows: SomeRows, since: int, until: int) -> SomeRows:
    """The rows with since <= time < until."""
    return rows.taken((rows.times >= since) & (rows.times < until))


def ascending(rows: Bars | FundingRows) -> bool:
    """Whether each row is later than the one before."""
    return bool((rows.times[1:] > rows.times[:-1]).all())
