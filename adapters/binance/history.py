"""Past bars of Binance spot and USD-M, page by page over REST, through the cache.

Asked for are bars with start <= open time and close <= end that are over by the venue's own clock: a bar still open
never gets in. Holes stay holes (`tape.gaps`); they are asked for again next time, because a hole is not something held.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from adapters.binance import wire
from adapters.binance.translate import bars_of
from adapters.binance.wire import ENDPOINTS, Endpoints, Market
from adapters.cache import BarCache, merged, missing
from adapters.columns import DAY_NS, Bars, Origin, bars_joined, bars_tape, grid_origin, span, stamp
from adapters.http import JsonReader, Refused, Retry, Sleep, WeightLimiter
from core.errors import UsageError, VenueError
from core.notation import Timestamp
from core.ports import HistorySource
from core.tape import Tape

MS = 1_000_000
"""Nanoseconds in a millisecond."""
VENUES: dict[str, Market] = {"binance-spot": "spot", "binance-usdm": "usdm"}
ROWS_MAX = 50_000_000


class BinanceSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="binance"
):
    """`{kind: binance, start: 2025-05-04, end: 2025-06-03}`: klines over REST, no key needed."""

    market: Market | None = None
    """None: that of the venue (`binance-spot`, `binance-usdm`)."""
    start: Timestamp
    """Open time of the first bar, at the earliest."""
    end: Timestamp | None = None
    """Close time of the last bar, at the latest; None is the venue's now (then two runs see different data)."""
    base_url: str | None = None
    """None: the public host. Plain http only to this machine."""
    proxy: str | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0
    """Of one request, seconds."""
    retries: Annotated[int, msgspec.Meta(ge=0, le=20)] = 5
    """Of one request, after the first try."""

    def check(self) -> Iterator[tuple[str, str]]:
        """What the config's decoder reports about fields that are each valid."""
        if self.end is not None and self.end <= self.start:
            yield "end", f"expected a time after start ({stamp(self.start)})"
        if self.base_url is not None and urlsplit(self.base_url).scheme not in ("http", "https"):
            yield "base_url", "expected a URL such as https://fapi.binance.com"

    def open(
        self,
        *,
        venue: str,
        symbol: str,
        interval_ns: int,
        seed: int = 0,
        cache: Path | None = None,
        session: Any = None,
        sleep: Sleep = asyncio.sleep,
    ) -> HistorySource:
        """The history of one symbol; `cache` is the cache's root folder, None keeps nothing.

        `session` is an aiohttp.ClientSession of the host program (then it is not closed here); `seed` drives the
        jitter of the back-off. Raises UsageError where the market is not clear or has no such bars.
        """
        market = self.market or VENUES.get(venue)
        if market is None:
            raise UsageError(
                f"source of {symbol}: venue `{venue}` does not say which market of Binance is meant; "
                "set `market: usdm` or `market: spot` in the source"
            )
        if wire.interval_name(interval_ns, market) is None:
            names = ", ".join(name for ns, name in wire.INTERVALS.items() if wire.interval_name(ns, market))
            raise UsageError(f"source of {symbol}: Binance {market} has no bars of {span(interval_ns)}, only {names}")
        return BinanceHistory(
            self, venue=venue, market=market, symbol=symbol, interval_ns=interval_ns, seed=seed, cache=cache,
            session=session, sleep=sleep,
        )  # fmt: skip


class BinanceHistory:
    """The klines of one symbol, to be loaded once."""

    def __init__(
        self,
        settings: BinanceSource,
        *,
        venue: str,
        market: Market,
        symbol: str,
        interval_ns: int,
        seed: int = 0,
        cache: Path | None = None,
        session: Any = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self.venue = venue
        self.market: Market = market
        self.symbol = symbol
        self.interval_ns = interval_ns
        self.endpoints: Endpoints = ENDPOINTS[market]
        self.base_url = (settings.base_url or self.endpoints.base_url).rstrip("/")
        self.origin = Origin(f"{self.base_url}{self.endpoints.klines} {symbol} {span(interval_ns)}")
        self._seed = seed
        self._session = session
        self._sleep = sleep
        # Bars of a day and more are not kept: one page holds years of them, and the cache has a file a day.
        self._cache = None if cache is None or interval_ns >= DAY_NS else self._open_cache(cache)

    async def load(self, progress: Callable[[int, int], None] | None = None) -> Tape:
        """The tape. Raises DataError where there are no bars or they contradict themselves, VenueError for the rest."""
        start = self._on_grid_up(self.settings.start)
        end = None if self.settings.end is None else self._on_grid_down(self.settings.end)
        if end is not None and not 0 < end - start <= ROWS_MAX * self.interval_ns:
            raise self.origin.whole(
                f"no bar fits between {stamp(start)} and {stamp(end)}, or more than {ROWS_MAX} do",
                "a range of at least one bar",
                "change `start` or `end`",
            )
        held = None if end is None else await self._held(start, end)
        holes = None if end is None else missing(None if held is None else held.times, start, end, self.interval_ns)
        notes: list[str] = []
        if holes is None or holes:
            held = await self._completed(held, holes, start, notes, progress)
        elif progress is not None and held is not None:
            progress(len(held), len(held))
        if held is None or len(held) == 0:
            raise self.origin.whole(
                f"no bars from {stamp(start)} to {'now' if end is None else stamp(end)}",
                "at least one",
                "check when the symbol was listed, and change `start`",
            )
        notes += self._edges(held, start, end)
        if self._cache is not None:
            notes += self._cache.notes
        return bars_tape(
            held,
            venue=self.venue,
            symbol=self.symbol,
            interval_ns=self.interval_ns,
            origin=self.origin,
            notes=notes,
        )

    async def _held(self, start: int, end: int) -> Bars | None:
        """What the cache has of the range; read in a worker thread."""
        if self._cache is None:
            return None
        return await asyncio.to_thread(self._cache.read, start, end)

    # --- fetching ---------------------------------------------------------------------------------------------------

    async def _completed(
        self,
        held: Bars | None,
        holes: list[tuple[int, int]] | None,
        start: int,
        notes: list[str],
        progress: Callable[[int, int], None] | None,
    ) -> Bars | None:
        """What is held plus what the venue has of the holes (None: everything from `start` to its now)."""
        import aiohttp

        session = self._session or aiohttp.ClientSession(headers={"User-Agent": "anyclock"})
        try:
            reader = self._reader(session)
            over = self._on_grid_down(await self._now(reader))
            if holes is None:
                held = await self._held(start, over)
                times = None if held is None else held.times
                holes = missing(times, start, over, self.interval_ns)
            total = sum(max(0, min(until, over) - since) for since, until in holes) // self.interval_ns
            fetched: list[Bars] = []
            for since, until in holes:
                async for page in self._pages(reader, since, min(until, over)):
                    fetched.append(page)
                    if self._cache is not None:
                        await asyncio.to_thread(self._cache.write, page)
                    if progress is not None:
                        progress(sum(len(part) for part in fetched), total)
            if any(until > over for _, until in holes):
                notes.append(f"the venue's clock stands before the end asked for: bars end at {stamp(over)}")
        finally:
            if self._session is None:
                await session.close()
        if not fetched:
            return held
        new = bars_joined(fetched, self.origin)
        return new if held is None else merged(held, new)

    async def _pages(self, reader: JsonReader, since: int, until: int) -> AsyncIterator[Bars]:
        """The venue's bars opening from `since` to before `until`. Ends at the range's end or at an empty page."""
        cursor = since
        while cursor < until:
            rows = await self._page(reader, cursor, until - self.interval_ns)
            if not rows:
                return
            bars = bars_of(rows, self.origin)
            if bars.times[0] < cursor:
                raise VenueError(
                    f"{self.origin.name}: asked for bars from {stamp(cursor)}, the venue answered with "
                    f"{stamp(bars.times[0])} and would do so again; is `base_url` a Binance {self.market} host?"
                )
            if (bars.times[1:] <= bars.times[:-1]).any():
                raise VenueError(f"{self.origin.name}: rows from {stamp(cursor)} on are not in ascending order")
            bars = bars.taken(bars.times < until)
            if len(bars) == 0:
                return
            cursor = int(bars.times[-1]) + self.interval_ns
            yield bars

    async def _page(self, reader: JsonReader, first: int, last: int) -> list[wire.Kline]:
        """Rows with first <= open time <= last, oldest first, at most a page of them."""
        name = wire.interval_name(self.interval_ns, self.market)
        assert name is not None, "open() has looked"
        params: dict[str, str | int] = {
            "symbol": self.symbol,
            "interval": name,
            "startTime": first // MS,
            "endTime": last // MS,
            "limit": self.endpoints.klines_limit,
        }
        url = self.base_url + self.endpoints.klines
        try:
            return wire.klines_page(await reader.get_json(url, params, weight=self.endpoints.klines_weight))
        except Refused as refusal:
            raise self._refused(refusal) from refusal
        except msgspec.ValidationError as error:
            raise VenueError(
                f"{self.origin.name}: the answer is not what Binance documents for klines ({error}); check `base_url`"
            ) from error

    async def _now(self, reader: JsonReader) -> int:
        """The venue's clock, ns."""
        try:
            return wire.server_time(await reader.get_json(self.base_url + self.endpoints.time)) * MS
        except msgspec.ValidationError as error:
            raise VenueError(
                f"{self.base_url}{self.endpoints.time}: the answer is no server time ({error}); check `base_url`"
            ) from error

    def _refused(self, refusal: Refused) -> VenueError:
        if refusal.code != wire.UNKNOWN_SYMBOL:
            return refusal
        other = "spot" if self.market == "usdm" else "usdm"
        return VenueError(
            f"Binance {self.market} knows no symbol `{self.symbol}` (code {refusal.code}: {refusal.message}); expected "
            f"a name such as BTCUSDT, upper case and without separators; if it trades on the other market, set "
            f"`market: {other}`"
        )

    def _reader(self, session: Any) -> JsonReader:
        return JsonReader(
            session,
            retry=Retry(retries=self.settings.retries),
            timeout_s=self.settings.timeout_s,
            proxy=self.settings.proxy,
            limiter=WeightLimiter(self.endpoints.weight_per_minute, sleep=self._sleep),
            rng=random.Random(self._seed),
            sleep=self._sleep,
        )

    # --- ranges -----------------------------------------------------------------------------------------------------

    def _on_grid_up(self, ts: int) -> int:
        origin = grid_origin(self.interval_ns)
        return -(-(ts - origin) // self.interval_ns) * self.interval_ns + origin

    def _on_grid_down(self, ts: int) -> int:
        origin = grid_origin(self.interval_ns)
        return (ts - origin) // self.interval_ns * self.interval_ns + origin

    def _edges(self, bars: Bars, start: int, end: int | None) -> list[str]:
        """Rows missing before the first or after the last are no hole between rows: they are told in words."""
        notes = []
        first, over = int(bars.times[0]), int(bars.times[-1]) + self.interval_ns
        if first > start:
            notes.append(f"asked for from {stamp(start)}, the venue has bars from {stamp(first)}")
        if end is not None and over < end:
            notes.append(f"asked for until {stamp(end)}, the venue has bars until {stamp(over)}")
        return notes

    def _open_cache(self, root: Path) -> BarCache:
        """Kept apart by market and host: rows of a test network must never pass for the real ones."""
        host = "" if self.base_url == self.endpoints.base_url else f"@{urlsplit(self.base_url).netloc}"
        return BarCache(root, venue=f"binance-{self.market}{host}", symbol=self.symbol, interval_ns=self.interval_ns)
