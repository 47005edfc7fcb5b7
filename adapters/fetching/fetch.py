"""What a venue's past is asked through: one `Fetcher` per venue and market, whatever way the rows come.

A fetcher knows pages, dumps, limits and faults of its venue; it keeps nothing. Whoever keeps rows (`adapters.cache`)
asks it for missing ranges only and believes what `Fetched` says about them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple, Protocol

from core.moments import DAY_NS
from core.tape import Kind, Tape

Progress = Callable[[int, int], None]
"""(done, total): nanoseconds of the range asked for that are answered, and its length."""


class Fetched(NamedTuple):
    """Rows of one UTC day, and for which part of it the venue has answered."""

    tape: Tape
    """No rows at all where the venue has none in the range. `source` and `notes` say where it came from."""
    since: int
    """The range answered for, [since, until): what is missing inside it the venue does not have. Bars, marks and
    indexes by open time, every other kind by the venue's time, int nanoseconds UTC."""
    until: int

    @property
    def day(self) -> int:
        """First nanosecond of the UTC day in which the range begins."""
        return self.since // DAY_NS * DAY_NS

    @property
    def complete(self) -> bool:
        """Whether the range is the whole day (of bars longer than a day: whole days)."""
        return self.since == self.day and (self.until - self.since) % DAY_NS == 0 and self.until > self.since


class Fetcher(Protocol):
    """The past of one venue and market."""

    name: str
    """Key of what is kept: `binance-usdm`, with `@host` where it is not the venue's own host, so that rows of a test
    network never pass for the real ones."""
    venue: str
    """Name of the venue in the config: what the tapes carry."""
    market: str
    """The venue's word for it: spot, usdm, linear ..."""
    kinds: tuple[Kind, ...]
    """What it can fetch."""

    async def now(self) -> int:
        """The venue's clock, int nanoseconds UTC. Raises VenueError."""
        ...

    def fetch(
        self,
        kind: Kind,
        symbol: str,
        interval_ns: int,
        start: int,
        end: int,
        progress: Progress | None = None,
    ) -> AsyncGenerator[Fetched, None]:
        """The rows of [start, end), oldest first; parts follow one another without a hole and none crosses midnight.

        `interval_ns` is of bars, marks and indexes (0 for single prices and for all other kinds). Bars of a day and
        longer come in parts of as many days as a page holds. A bar still open and rows after the venue's now never
        come: then the last part's `until` lies before `end`, or there is no part. Where a venue cannot be asked whether
        it has older rows than the first one (ccxt), the first part begins with that row. Where the venue fails
        half-way, what was answered before comes as a last part, then the error. Leave the iteration through
        `contextlib.aclosing`, so that connections close. Raises UsageError where the venue has no such rows,
        VenueError where it does not answer, DataError where its rows contradict themselves.
        """
        ...
