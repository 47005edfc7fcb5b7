"""Bybit's public dumps over HTTP: trades and order books by days, without checksums.

Trades of contracts: `trading/<SYMBOL>/<SYMBOL><date>.csv.gz`; of spot `spot/<SYMBOL>/<SYMBOL>_<date>.csv.gz` (from
memory). Books: `orderbook/<market>/<SYMBOL>/<date>_<SYMBOL>_ob<levels>.data.zip` on a host of its own (from memory; the
file name as recorded). Whether a file is whole, its own CRC tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.bybit.dumps import read_dump
from adapters.bybit.recording import read_recording
from adapters.bybit.wire import Market
from adapters.fetching.downloads import Download, Downloads
from adapters.fetching.dump_days import within
from adapters.fetching.fetch import Fetched
from adapters.fetching.routes import Ask, DumpSpan, Sizes, day_text
from adapters.recorded.receipt_clock import FEED_NS

LEVELS = (500, 200)
"""How deep books were recorded, at different times."""


class BybitArchive:
    """The dumps of one market."""

    def __init__(self, downloads: Downloads, market: Market, dump_url: str, book_url: str, *, venue: str) -> None:
        self.downloads = downloads
        self.market: Market = market
        self.dump_url = dump_url
        self.book_url = book_url
        self.venue = venue

    def sizes(self, ask: Ask) -> Sizes:
        """Trades and books by days; bars need few pages over REST."""
        return ("day",) if ask.kind in ("trades", "depth") else ()

    async def parts(self, ask: Ask, span: DumpSpan) -> Iterator[Fetched] | None:
        """See `Archive.parts`."""
        for url in self.urls(ask, span):
            download = await self.downloads.unchecked(url)
            if download is not None:
                return self._read(download, ask, span, url)
        return None

    def urls(self, ask: Ask, span: DumpSpan) -> list[str]:
        """Where a dump may stand."""
        day, symbol = day_text(span.since), ask.symbol
        if ask.kind == "depth":
            folder = f"{self.book_url}/orderbook/{self.market}/{symbol}"
            return [f"{folder}/{day}_{symbol}_ob{levels}.data.zip" for levels in LEVELS]
        if self.market == "spot":
            return [f"{self.dump_url}/spot/{symbol}/{symbol}_{day}.csv.gz"]
        return [f"{self.dump_url}/trading/{symbol}/{symbol}{day}.csv.gz"]

    def _read(self, download: Download, ask: Ask, span: DumpSpan, url: str) -> Iterator[Fetched]:
        read = read_recording if ask.kind == "depth" else read_dump
        try:
            tape = read(download.path, ask.kind, venue=self.venue, symbol=ask.symbol, feed_ns=FEED_NS)
            yield within(tape, span, source=url, notes=("the dump has no published checksum",))
        finally:
            download.path.unlink(missing_ok=True)
