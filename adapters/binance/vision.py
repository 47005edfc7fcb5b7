"""Binance's public dumps over HTTP: daily and monthly zips, each with its sha256 beside it.

Layout of the host, from the README of binance-public-data: `data/<market>/<daily|monthly>/<rows>/<SYMBOL>/[<interval>/]
<SYMBOL>-<interval or rows>-<date>.zip`. Rows of ticks are read by days only: a month of them does not fit in memory.
Depth is not among them: `bookDepth` sums sizes in bands of per cent around the price and has no levels.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from adapters.bars_csv import read_csv
from adapters.binance import wire
from adapters.binance.dumps import read_dump
from adapters.binance.wire import ENDPOINTS, Market
from adapters.columns import DAY_NS, FIELDS, PRICES, Bars
from adapters.downloads import Download, Downloads
from adapters.dump_days import bars_by_day, within
from adapters.fetch import Fetched
from adapters.receipt_clock import FEED_NS
from adapters.routes import DUMP_REQUESTS, Ask, DumpSpan, day_text

KLINES = {"bars": "klines", "marks": "markPriceKlines", "index": "indexPriceKlines"}
"""Our kind to the dump's word for it; all have the twelve columns of klines."""
SHORTEST_MONTH_NS = 28 * DAY_NS


class Vision:
    """The dumps of one market."""

    def __init__(self, downloads: Downloads, market: Market, dump_url: str, *, venue: str, single_trades: bool) -> None:
        self.downloads = downloads
        self.market: Market = market
        self.dump_url = dump_url
        self.venue = venue
        self.single_trades = single_trades

    def sizes(self, ask: Ask) -> tuple[Literal["month", "day"], ...]:
        """Ticks by days; bars where they would need more pages than a dump needs requests."""
        if ask.kind == "trades" or (ask.kind == "quotes" and self.market == "usdm"):
            return ("day",)
        if ask.kind not in KLINES or ask.interval_ns >= DAY_NS:
            return ()
        page_ns = ENDPOINTS[self.market].klines.limit * ask.interval_ns
        lengths: tuple[tuple[Literal["month", "day"], int], ...] = (("month", SHORTEST_MONTH_NS), ("day", DAY_NS))
        return tuple(size for size, length in lengths if length > DUMP_REQUESTS * page_ns)

    async def parts(self, ask: Ask, span: DumpSpan) -> list[Fetched] | None:
        """One dump by days; None where it is not there. Raises VenueError, DataError."""
        url = self.url(ask, span)
        download = await self.downloads.checked(url, url + ".CHECKSUM")
        if download is None:
            return None
        try:
            return await asyncio.to_thread(self._read, download, ask, span, url)
        finally:
            download.path.unlink(missing_ok=True)

    def url(self, ask: Ask, span: DumpSpan) -> str:
        """Where a dump stands."""
        size, date = ("monthly", day_text(span.since)[:7]) if span.size == "month" else ("daily", day_text(span.since))
        if ask.kind in KLINES:
            word = wire.interval_name(ask.interval_ns, self.market) or ""
            rows = f"{KLINES[ask.kind]}/{ask.symbol}/{word}"
        else:
            word = {"trades": "trades" if self.single_trades else "aggTrades", "quotes": "bookTicker"}[ask.kind]
            rows = f"{word}/{ask.symbol}"
        folder = f"{self.dump_url}/data/{ENDPOINTS[self.market].dump_folder}/{size}/{rows}"
        return f"{folder}/{ask.symbol}-{word}-{date}.zip"

    def _read(self, download: Download, ask: Ask, span: DumpSpan, url: str) -> list[Fetched]:
        notes = ("sha256 of the dump equals its .CHECKSUM",)
        if ask.kind in KLINES:
            return list(bars_by_day(_bars(download.path, ask), ask, span, venue=self.venue, source=url, notes=notes))
        tape = read_dump(download.path, ask.kind, venue=self.venue, symbol=ask.symbol, feed_ns=FEED_NS)
        return [within(tape, span, source=url, notes=notes)]


def _bars(path: Path, ask: Ask) -> Bars:
    fields = FIELDS if ask.kind == "bars" else ("time", *PRICES)
    return read_csv(path, binance=True, columns=None, fields=fields)[0]
