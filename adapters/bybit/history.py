"""The past of Bybit spot and linear contracts: what a config says about it, and the fetcher that brings it.

Bars, marks and indexes come once they are over by the venue's own clock. What the venue does not have stays missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from adapters.bybit import wire
from adapters.bybit.archive import BybitArchive
from adapters.bybit.limiter import BybitLimiter
from adapters.bybit.rest import BybitRest
from adapters.bybit.wire import BASE_URL, BOOK_URL, DUMP_URL, Market
from adapters.fetching.venue_fetcher import Desk, VenueFetcher
from adapters.remote_source import Line, RemoteSource, key_of
from core.errors import UsageError
from core.tape import Kind

VENUES: dict[str, Market] = {"bybit-spot": "spot", "bybit-linear": "linear"}
KINDS: dict[Market, tuple[Kind, ...]] = {
    "spot": ("bars", "trades", "depth"),
    "linear": ("bars", "trades", "depth", "marks", "index", "funding"),
}


class BybitSource(RemoteSource, frozen=True, kw_only=True, tag_field="kind", tag="bybit"):
    """`{kind: bybit, start: 2025-05-04, end: 2025-06-03}`: REST and public dumps, no key needed."""

    market: Market | None = None
    """None: that of the venue (`bybit-spot`, `bybit-linear`)."""
    dump_url: str | None = None
    """Where the dumps of trades are; None: the public host, and no dumps where `base_url` is another than that."""
    book_url: str | None = None
    """The same for the dumps of order books."""
    dumps: bool = True
    """False: everything over REST."""

    def fetcher(self, *, venue: str, symbol: str, line: Line) -> VenueFetcher:
        """See `RemoteSource.fetcher`."""
        market = self.market or VENUES.get(venue)
        if market is None:
            raise UsageError(
                f"source of {symbol}: venue `{venue}` does not say which market of Bybit is meant; "
                "set `market: linear` or `market: spot` in the source"
            )
        base_url = (self.base_url or BASE_URL).rstrip("/")
        return VenueFetcher(
            name=key_of(f"bybit-{market}", BASE_URL, base_url),
            venue=venue,
            market=market,
            kinds=KINDS[market],
            intervals=wire.INTERVALS,
            desk=partial(self._desk, venue, market, base_url, line, BybitLimiter(sleep=line.sleep)),
        )

    @asynccontextmanager
    async def _desk(
        self, venue: str, market: Market, base_url: str, line: Line, limiter: BybitLimiter
    ) -> AsyncIterator[Desk]:
        wanted = self.dumps and (self.dump_url is not None or self.base_url is None)
        async with self.talking(line, limiter=limiter, dumps=wanted, judge=wire.complaint) as (reader, downloads):
            archive = None
            if downloads is not None:
                dump_url = (self.dump_url or DUMP_URL).rstrip("/")
                book_url = (self.book_url or self.dump_url or BOOK_URL).rstrip("/")
                archive = BybitArchive(downloads, market, dump_url, book_url, venue=venue)
            yield Desk(BybitRest(reader, market, base_url), archive)
