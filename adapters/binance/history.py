"""The past of Binance spot and USD-M: what a config says about it, and the fetcher that brings it.

Bars, marks and indexes come once they are over by the venue's own clock. What the venue does not have stays missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

from adapters.binance import wire
from adapters.binance.rest import BinanceRest
from adapters.binance.vision import Vision
from adapters.binance.wire import DUMP_URL, ENDPOINTS, Market
from adapters.fetching.venue_fetcher import Desk, VenueFetcher
from adapters.http import WeightLimiter
from adapters.remote_source import Line, RemoteSource, key_of
from core.errors import UsageError
from core.tape import Kind

VENUES: dict[str, Market] = {"binance-spot": "spot", "binance-usdm": "usdm"}
KINDS: dict[Market, tuple[Kind, ...]] = {
    "spot": ("bars", "trades"),
    "usdm": ("bars", "trades", "quotes", "marks", "index", "funding"),
}


class BinanceSource(RemoteSource, frozen=True, kw_only=True, tag_field="kind", tag="binance"):
    """`{kind: binance, start: 2025-05-04, end: 2025-06-03}`: public dumps and REST, no key needed."""

    market: Market | None = None
    """None: that of the venue (`binance-spot`, `binance-usdm`)."""
    trades: Literal["aggregated", "single"] = "aggregated"
    """`aggregated`: what one taker order traded at one price is one trade (futures: within 100 ms). `single`: each
    trade by itself; of an unfinished day only the last 1,000 are public."""
    dump_url: str | None = None
    """Where the dumps are; None: the public host, and no dumps where `base_url` is another than the public one."""
    dumps: bool = True
    """False: everything over REST."""

    def fetcher(self, *, venue: str, symbol: str, line: Line) -> VenueFetcher:
        """See `RemoteSource.fetcher`."""
        market = self.market or VENUES.get(venue)
        if market is None:
            raise UsageError(
                f"source of {symbol}: venue `{venue}` does not say which market of Binance is meant; "
                "set `market: usdm` or `market: spot` in the source"
            )
        limiter = WeightLimiter(ENDPOINTS[market].weight_per_minute, sleep=line.sleep)
        name = f"binance-{market}" if self.trades == "aggregated" else f"binance-{market}-single"
        return VenueFetcher(
            name=key_of(name, ENDPOINTS[market].base_url, self._base_url(market)),
            venue=venue,
            market=market,
            kinds=KINDS[market],
            intervals={ns: word for ns, word in wire.INTERVALS.items() if wire.interval_name(ns, market)},
            desk=partial(self._desk, venue, market, line, limiter),
        )

    def _base_url(self, market: Market) -> str:
        return (self.base_url or ENDPOINTS[market].base_url).rstrip("/")

    @asynccontextmanager
    async def _desk(self, venue: str, market: Market, line: Line, limiter: WeightLimiter) -> AsyncIterator[Desk]:
        single = self.trades == "single"
        wanted = self.dumps and (self.dump_url is not None or self.base_url is None)
        async with self.talking(line, limiter=limiter, dumps=wanted) as (reader, downloads):
            archive = None
            if downloads is not None:
                dump_url = (self.dump_url or DUMP_URL).rstrip("/")
                archive = Vision(downloads, market, dump_url, venue=venue, single_trades=single)
            yield Desk(BinanceRest(reader, market, self._base_url(market), single_trades=single), archive)
