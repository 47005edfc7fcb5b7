"""Binance's public dumps over HTTP: daily and monthly zips, each with its sha256 beside it.

Layout of the host, from the README of binance-public-data: `data/<market>/<daily|monthly>/<rows>/<SYMBOL>/[<interval>/]
<SYMBOL>-<interval or rows>-<date>.zip`. Ticks come by days; where a day's dump is missing, from that of its month, read
a day at a time, as a month of them does not fit in memory. Depth is not among them: `bookDepth` sums sizes in bands of
per cent around the price and has no levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from adapters.bars_csv import read_csv
from adapters.binance import wire
from adapters.binance.dumps import read_days, read_dump
from adapters.binance.wire import ENDPOINTS, Market
from adapters.columns import FIELDS, PRICES, Bars
from adapters.fetching.downloads import Download, Downloads
from adapters.fetching.dump_days import bars_by_day, ticks_by_day, within
from adapters.fetching.fetch import Fetched
from adapters.fetching.routes import DUMP_REQUESTS, Ask, DumpSpan, Sizes, day_text
from adapters.recorded.receipt_clock import FEED_NS
from core.moments import DAY_NS

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

    def sizes(self, ask: Ask) -> Sizes:
        """Ticks by days first; bars where they would need more pages than a dump needs requests, the largest first."""
        if ask.kind == "trades" or (ask.kind == "quotes" and self.market == "usdm"):
            return ("day", "month")
        if ask.kind not in KLINES or ask.interval_ns >= DAY_NS:
            return ()
        page_ns = ENDPOINTS[self.market].klines.limit * ask.interval_ns
        lengths: tuple[tuple[Literal["month", "day"], int], ...] = (("month", SHORTEST_MONTH_NS), ("day", DAY_NS))
        return tuple(size for size, length in lengths if length > DUMP_REQUESTS * page_ns)

    async def parts(self, ask: Ask, span: DumpSpan) -> Iterator[Fetched] | None:
        """See `Archive.parts`."""
        url = self.url(ask, span)
        download = await self.downloads.checked(url, url + ".CHECKSUM")
        return None if download is None else self._read(download, ask, span, url)

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

    def _read(self, download: Download, ask: Ask, span: DumpSpan, url: str) -> Iterator[Fetched]:
        notes = ("sha256 of the dump equals its .CHECKSUM",)
        names = {"venue": self.venue, "symbol": ask.symbol}
        try:
            if ask.kind in KLINES:
                bars = _bars(download.path, ask)
                yield from bars_by_day(bars, ask, span, venue=self.venue, source=url, notes=notes)
            elif span.size == "day":
                tape = read_dump(download.path, ask.kind, **names, feed_ns=FEED_NS)
                yield within(tape, span, source=url, notes=notes)
            else:
                tapes = read_days(download.path, ask.kind, **names, feed_ns=FEED_NS)
                yield from ticks_by_day(tapes, ask, span, venue=self.venue, source=url, notes=notes)
        finally:
            download.path.unlink(missing_ok=True)


def _bars(path: Path, ask: Ask) -> Bars:
    fields = FIELDS if ask.kind == "bars" else ("time", *PRICES)
    return read_csv(path, binance=True, columns=None, fields=fields)[0]
