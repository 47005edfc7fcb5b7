"""The past of Bybit over REST (v5). Its pages are newest first, so a range is asked for in windows of one page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from adapters.bybit import translate, wire
from adapters.bybit.instruments import instruments_of, tiers_of
from adapters.bybit.wire import FUNDING, INDEX, INSTRUMENTS, KLINES, MARKS, RECENT, RISK_LIMITS, Endpoint, Market
from adapters.columns import Bars, Origin, stamp
from adapters.fetching.day_parts import Page, ascending, in_range
from adapters.fetching.history_rows import FundingRows
from adapters.fetching.routes import Ask
from adapters.http import JsonReader, Refused
from core.errors import VenueError
from core.margin import DatedTiers
from core.moments import HOUR_NS, MS_NS
from core.venue_rules import DatedInstrument

FUNDING_WINDOW_NS = 200 * 8 * HOUR_NS
"""A page of rates at the usual 8 hours; contracts with shorter ones need further pages in it."""
PAGES_MAX = 1000
"""Of one window; more is a server that does not listen."""


class BybitRest:
    """Pages of one market."""

    def __init__(self, reader: JsonReader, market: Market, base_url: str) -> None:
        self.reader = reader
        self.market: Market = market
        self.base_url = base_url

    def source(self, ask: Ask) -> str:
        """Where the rows come from, for people."""
        endpoint = self._endpoint(ask)
        return f"{self.base_url}{'' if endpoint is None else endpoint.path} {self.market} {ask.symbol}"

    async def clock(self) -> int:
        """The venue's clock, ns. Raises VenueError."""
        url = self.base_url + wire.TIME
        body = await self.reader.get_json(url)
        try:
            return MS_NS * wire.server_time(body)
        except msgspec.ValidationError as error:
            raise _undocumented(url, error) from error

    async def instruments(self) -> dict[str, DatedInstrument]:
        """The filters of every symbol, from the pages of instruments-info. Raises VenueError."""
        now, rows = await self.clock(), await self._all_rows(INSTRUMENTS, {"limit": INSTRUMENTS.limit})
        try:
            return instruments_of(rows, now)
        except msgspec.ValidationError as error:
            raise _undocumented(self.base_url + INSTRUMENTS.path, error) from error

    async def tiers(self, symbol: str) -> DatedTiers:
        """The maintenance tiers of one linear contract, from risk-limit. Raises VenueError."""
        now, rows = await self.clock(), await self._all_rows(RISK_LIMITS, {"symbol": symbol})
        try:
            return tiers_of(rows, now)
        except msgspec.ValidationError as error:
            raise _undocumented(self.base_url + RISK_LIMITS.path, error) from error

    def pages(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        """Rows of [since, until), window by window. Raises VenueError."""
        if ask.kind == "trades":
            return self._recent(ask, since, until)
        if ask.kind == "depth":
            raise VenueError(
                f"Bybit {self.market} has no dump of the book of {ask.symbol} from {stamp(since)} on, and REST has no "
                "past books; choose other dates, or record the stream"
            )
        return self._windows(ask, since, until)

    def _endpoint(self, ask: Ask) -> Endpoint | None:
        known = {"bars": KLINES, "marks": MARKS, "index": INDEX, "funding": FUNDING, "trades": RECENT[self.market]}
        return known.get(ask.kind)

    # --- newest first -----------------------------------------------------------------------------------------------

    async def _windows(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        """Windows of a page's length, oldest first; inside one, from its newest page back until it is whole."""
        endpoint = self._endpoint(ask)
        assert endpoint is not None, "depth is never asked for"
        length = endpoint.limit * ask.interval_ns or FUNDING_WINDOW_NS
        for low in range(since, until, length):
            high = min(low + length, until)
            parts: list[Bars | FundingRows] = []
            top = high
            for _ in range(PAGES_MAX):
                rows = await self._rows(ask, endpoint, low, top)
                if not len(rows):
                    break
                self._check(rows, low, top, ask)
                parts.insert(0, rows)
                top = int(rows.times[0])
                if top <= low:
                    break
            else:
                raise VenueError(f"{self.source(ask)}: {PAGES_MAX} pages from {stamp(low)} to {stamp(high)}; report it")
            edges = [low, *(int(part.times[0]) for part in parts[1:]), high]
            for part, begins, ends in zip(parts, edges, edges[1:], strict=False):
                yield Page(part, begins, ends)
            if not parts:
                yield Page(None, low, high)

    async def _rows(self, ask: Ask, endpoint: Endpoint, low: int, top: int) -> Bars | FundingRows:
        """The newest page with low <= time < top, oldest first."""
        origin = Origin(self.source(ask))
        params: dict[str, str | int] = {
            "symbol": ask.symbol,
            endpoint.first_key: -(-low // MS_NS),
            endpoint.last_key: (top - 1) // MS_NS,
            "limit": endpoint.limit,
        }
        if ask.interval_ns:
            params["interval"] = wire.INTERVALS[ask.interval_ns]
        body = await self._asked(endpoint, params, ask.symbol)
        try:
            if ask.kind == "bars":
                return translate.bars_of(wire.listing(body, wire.Kline), origin)
            if ask.kind == "funding":
                return translate.funding_of(wire.listing(body, wire.Funding), origin)
            return translate.price_bars_of(wire.listing(body, wire.PriceKline), origin)
        except msgspec.ValidationError as error:
            raise _undocumented(self.base_url + endpoint.path, error) from error

    def _check(self, rows: Bars | FundingRows, low: int, top: int, ask: Ask) -> None:
        first, last = int(rows.times[0]), int(rows.times[-1])
        if not ascending(rows):
            raise VenueError(f"{self.source(ask)}: rows before {stamp(top)} are not newest first; report it")
        if first < low or last >= top:
            raise VenueError(
                f"{self.source(ask)}: asked for rows from {stamp(low)} to before {stamp(top)}, the venue answered with "
                f"{stamp(first)} to {stamp(last)}; is `base_url` a Bybit host?"
            )

    # --- trades -----------------------------------------------------------------------------------------------------

    async def _recent(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        """The last trades are all that REST shows."""
        endpoint = RECENT[self.market]
        body = await self._asked(endpoint, {"symbol": ask.symbol, "limit": endpoint.limit}, ask.symbol)
        try:
            trades = translate.trades_of(wire.listing(body, wire.Trade), Origin(self.source(ask)))
        except msgspec.ValidationError as error:
            raise _undocumented(self.base_url + endpoint.path, error) from error
        if not len(trades) or int(trades.times[0]) >= since:
            first = stamp(int(trades.times[0])) if len(trades) else "none at all"
            raise VenueError(
                f"{self.source(ask)}: trades of a day without a dump are public only for the last {endpoint.limit} "
                f"(from {first}), asked for from {stamp(since)}; end at a past midnight whose dump is out"
            )
        answered = min(until, int(trades.times[-1]))
        yield Page(in_range(trades, since, answered), since, answered)

    # --- one request ------------------------------------------------------------------------------------------------

    async def _all_rows(self, endpoint: Endpoint, params: Mapping[str, str | int]) -> list[Any]:
        rows: list[Any] = []
        cursor = ""
        for _ in range(PAGES_MAX):
            more = {"cursor": cursor} if cursor else {}
            try:
                page = wire.page(await self._asked(endpoint, {**params, **more}, str(params.get("symbol", ""))))
            except msgspec.ValidationError as error:
                raise _undocumented(self.base_url + endpoint.path, error) from error
            rows += page.rows
            if not page.cursor or page.cursor == cursor:
                return rows
            cursor = page.cursor
        raise VenueError(f"{self.base_url}{endpoint.path}: more than {PAGES_MAX} pages; report it")

    async def _asked(self, endpoint: Endpoint, params: Mapping[str, str | int], symbol: str) -> Any:
        try:
            return await self.reader.get_json(self.base_url + endpoint.path, {"category": self.market, **params})
        except Refused as refusal:
            if refusal.code != wire.PARAMETER:
                raise
            raise VenueError(
                f"Bybit {self.market} refuses `{symbol}` (code {refusal.code}: {refusal.message}); expected a name "
                "such as BTCUSDT, upper case and without separators, that trades on this market"
            ) from refusal


def _undocumented(url: str, error: Exception) -> VenueError:
    return VenueError(f"{url}: the answer is not what Bybit documents for it ({error}); check `base_url`")
