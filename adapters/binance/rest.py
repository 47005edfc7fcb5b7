"""The past of Binance spot and USD-M over REST, page by page, oldest first.

No key is needed for any of it; the brackets of leverage, which are of now, need one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec
import numpy as np

from adapters.binance import translate, wire
from adapters.binance.instruments import instruments_of, tiers_of
from adapters.binance.signing import STALE, ApiKey
from adapters.binance.wire import ENDPOINTS, Endpoint, Endpoints, Market
from adapters.columns import Bars, Origin, stamp
from adapters.fetching.day_parts import Page, ascending, in_range
from adapters.fetching.history_rows import FundingRows, TradeRows, trades_joined
from adapters.fetching.routes import Ask
from adapters.http import JsonReader, Refused, Signed
from core.errors import VenueError
from core.margin import DatedTiers
from core.moments import HOUR_NS, MS_NS
from core.venue_rules import DatedInstrument

Decoded = TypeVar("Decoded")


class BinanceRest:
    """Pages of one market."""

    def __init__(
        self,
        reader: JsonReader,
        market: Market,
        base_url: str,
        *,
        single_trades: bool = False,
        key: ApiKey | None = None,
    ) -> None:
        self.reader = reader
        self.market: Market = market
        self.base_url = base_url
        self.single_trades = single_trades
        self.key = key
        """Signs what is an account's own; None: nothing of that is asked for."""
        self.now = 0
        """The venue's clock when it was last asked, ns: what reaches only so far back is counted from it."""
        self.endpoints: Endpoints = ENDPOINTS[market]

    def source(self, ask: Ask) -> str:
        """Where the rows come from, for people."""
        found = self._endpoint(ask)
        return f"{self.base_url}{'' if found is None else found.path} {ask.symbol}"

    def endpoint(self, ask: Ask) -> Endpoint:
        """Where such rows are asked for. Raises VenueError where REST has none."""
        found = self._endpoint(ask)
        if found is None:
            raise VenueError(
                f"Binance {self.market} publishes no past {ask.kind} of {ask.symbol} over REST, and has no dump of the "
                "day; choose other dates (book ticker dumps exist for 2023-05 to 2024-03), or read a file of your own"
            )
        return found

    def _endpoint(self, ask: Ask) -> Endpoint | None:
        single = self.endpoints.trades if self.single_trades else self.endpoints.agg_trades
        return {
            "bars": self.endpoints.klines,
            "marks": self.endpoints.marks,
            "index": self.endpoints.index,
            "funding": self.endpoints.funding,
            "trades": single,
        }.get(ask.kind)

    async def clock(self) -> int:
        """The venue's clock, ns. Raises VenueError."""
        url = self.base_url + self.endpoints.time
        self.now = MS_NS * self._decoded(url, wire.server_time, await self.reader.get_json(url))
        return self.now

    async def instruments(self) -> dict[str, DatedInstrument]:
        """The filters of every symbol, from exchangeInfo. Raises VenueError."""
        endpoint = self.endpoints.exchange_info
        url = self.base_url + endpoint.path
        return self._decoded(url, instruments_of, await self.reader.get_json(url, weight=endpoint.weight))

    async def tiers(self, symbol: str) -> DatedTiers:
        """The maintenance tiers of one contract for the account of the key. Raises VenueError."""
        endpoint = self.endpoints.brackets
        assert endpoint is not None, "only contracts have brackets, and who asks for them knows which"
        url = self.base_url + endpoint.path
        try:
            body = await self._signed(url, {"symbol": symbol}, endpoint.weight)
        except Refused as refusal:
            raise self._refused(refusal, symbol) from refusal
        return self._decoded(url, partial(tiers_of, symbol=symbol, since=self.now), body)

    def pages(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        """Rows of [since, until), page by page. Raises VenueError."""
        self.endpoint(ask)
        if ask.kind == "funding":
            return self._funding(ask, since, until)
        if ask.kind == "trades":
            return self._recent(ask, since, until) if self.single_trades else self._agg_trades(ask, since, until)
        return self._klines(ask, since, until)

    # --- bars, marks, index -----------------------------------------------------------------------------------------

    async def _klines(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        origin = Origin(self.source(ask))
        cursor = since
        while cursor < until:
            rows = await self._kline_rows(ask, cursor, until - ask.interval_ns)
            bars = translate.bars_of(rows, origin) if rows else None
            if bars is not None:
                self._check_page(bars, cursor, origin)
                bars = in_range(bars, cursor, until)
            if bars is None or not len(bars):
                yield Page(None, cursor, until)
                return
            following = int(bars.times[-1]) + ask.interval_ns
            yield Page(bars, cursor, following)
            cursor = following

    async def _kline_rows(self, ask: Ask, first: int, last: int) -> list[wire.Kline]:
        """Rows with first <= open time <= last, oldest first, at most a page of them."""
        name = wire.interval_name(ask.interval_ns, self.market)
        assert name is not None, "the fetcher has looked"
        window: dict[str, str | int] = {"interval": name, "startTime": first // MS_NS, "endTime": last // MS_NS}
        return await self._rows(ask, wire.Kline, window)

    def _check_page(self, bars: Bars, cursor: int, origin: Origin) -> None:
        if bars.times[0] < cursor:
            raise VenueError(
                f"{origin.name}: asked for bars from {stamp(cursor)}, the venue answered with {stamp(bars.times[0])} "
                f"and would do so again; is `base_url` a Binance {self.market} host?"
            )
        if not ascending(bars):
            raise VenueError(f"{origin.name}: rows from {stamp(cursor)} on are not in ascending order; report it")

    # --- trades -----------------------------------------------------------------------------------------------------

    async def _agg_trades(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        """By time until the first trade is found, then by id: a quiet night costs no request per hour."""
        self._check_reach(ask, since)
        origin = Origin(self.source(ask))
        carried: TradeRows | None = None
        cursor, next_id = since, -1
        while cursor < until:
            window_end = min(cursor + HOUR_NS, until)
            window = {"startTime": cursor // MS_NS, "endTime": (window_end - 1) // MS_NS}
            rows = await self._rows(ask, wire.AggTrade, {"fromId": next_id} if next_id >= 0 else window)
            if not rows:
                answered = until if next_id >= 0 else window_end
                yield Page(carried, cursor, answered)
                carried, cursor = None, answered
                continue
            trades = translate.agg_trades_of(rows, origin)
            if (np.diff(trades.ids) <= 0).any() or int(trades.ids[0]) < next_id:
                asked = f"id {next_id}" if next_id >= 0 else stamp(cursor)
                raise VenueError(
                    f"{origin.name}: asked for trades from {asked} on, the venue answered with ids {trades.ids[0]} to "
                    f"{trades.ids[-1]}, not in ascending order; report it"
                )
            next_id = int(trades.ids[-1]) + 1
            if carried is not None:
                trades = trades_joined([carried, trades], origin)
            trades = trades.taken((trades.times >= since) & (trades.times < until))
            # Trades of the last moment may go on on the next page: they are answered for with that one.
            last = int(translate.agg_trades_of(rows[-1:], origin).times[0])
            answered = min(max(last, cursor), until)
            yield Page(in_range(trades, since, answered), cursor, answered)
            carried, cursor = in_range(trades, answered, until), answered

    def _check_reach(self, ask: Ask, since: int) -> None:
        hours = self.endpoints.agg_trades_hours
        if hours is not None and since < self.now - hours * HOUR_NS:
            raise VenueError(
                f"{self.source(ask)}: trades reach back {hours} hours over REST, asked for from {stamp(since)}, and "
                "there is no dump of that day; choose other dates, or allow dumps (`dumps: true`)"
            )

    async def _recent(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        """Single trades: the venue shows the last 1,000 to everybody."""
        trades = translate.trades_of(await self._rows(ask, wire.Trade, {}), Origin(self.source(ask)))
        if not len(trades) or int(trades.times[0]) >= since:
            first = stamp(int(trades.times[0])) if len(trades) else "none at all"
            raise VenueError(
                f"{self.source(ask)}: single trades of an unfinished day are public only for the last 1,000 (from "
                f"{first}), asked for from {stamp(since)}; end at a past midnight, or set `trades: aggregated`"
            )
        answered = min(until, int(trades.times[-1]))
        yield Page(in_range(trades, since, answered), since, answered)

    # --- funding ----------------------------------------------------------------------------------------------------

    async def _funding(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        origin = Origin(self.source(ask))
        cursor = since
        while cursor < until:
            window = {"startTime": -(-cursor // MS_NS), "endTime": (until - 1) // MS_NS}
            rates: FundingRows = translate.funding_of(await self._rows(ask, wire.Funding, window), origin)
            if not len(rates):
                yield Page(None, cursor, until)
                return
            if int(rates.times[0]) < cursor or (np.diff(rates.times) <= 0).any():
                raise VenueError(
                    f"{origin.name}: asked for rates from {stamp(cursor)} on, the venue answered with "
                    f"{stamp(int(rates.times[0]))} to {stamp(int(rates.times[-1]))} out of order; report it"
                )
            following = min(int(rates.times[-1]) + MS_NS, until)
            yield Page(in_range(rates, cursor, until), cursor, following)
            cursor = following

    # --- one request ------------------------------------------------------------------------------------------------

    async def _rows(self, ask: Ask, row: type[wire.Row], window: Mapping[str, str | int]) -> list[wire.Row]:
        endpoint = self.endpoint(ask)
        url = self.base_url + endpoint.path
        params: dict[str, str | int] = {endpoint.symbol_key: ask.symbol, **window, "limit": endpoint.limit}
        try:
            body = await self.reader.get_json(url, params, weight=endpoint.weight)
            return self._decoded(url, partial(wire.page, row=row), body)
        except Refused as refusal:
            raise self._refused(refusal, ask.symbol) from refusal

    async def _signed(self, url: str, params: Mapping[str, str | int], weight: int) -> Any:
        """The body of an answer to a signed read. Raises VenueError where the key is refused, Refused for the rest.

        Each try is signed with the venue's clock of that moment. A time that was refused all the same (a slow line) is
        taken anew once: the code proves that the request was not let in.
        """
        key = self.key
        assert key is not None, "whoever asks for what is signed has looked"

        async def sign(given: Mapping[str, str | int]) -> Signed:
            return key.signed(given, await self.clock() // MS_NS)

        try:
            return await self.reader.get_json(url, params, weight=weight, sign=sign)
        except Refused as refusal:
            if refusal.code != STALE:
                raise key.refused(refusal) from refusal
        try:
            return await self.reader.get_json(url, params, weight=weight, sign=sign)
        except Refused as refusal:
            raise key.refused(refusal) from refusal

    def _decoded(self, url: str, decode: Callable[[Any], Decoded], body: Any) -> Decoded:
        try:
            return decode(body)
        except msgspec.ValidationError as error:
            raise VenueError(
                f"{url}: the answer is not what Binance documents for it ({error}); check `base_url`"
            ) from error

    def _refused(self, refusal: Refused, symbol: str) -> VenueError:
        if refusal.code != wire.UNKNOWN_SYMBOL:
            return refusal
        other = "spot" if self.market == "usdm" else "usdm"
        return VenueError(
            f"Binance {self.market} knows no symbol `{symbol}` (code {refusal.code}: {refusal.message}); expected "
            f"a name such as BTCUSDT, upper case and without separators; if it trades on the other market, set "
            f"`market: {other}`"
        )
