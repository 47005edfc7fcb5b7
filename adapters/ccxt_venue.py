"""The past of any exchange that ccxt knows: bars, marks, indexes, trades and funding through its unified calls.

ccxt hands numbers over as floats; they are turned into the decimals they stand for, which fails where there are none.
Its own rate limiter is used. What a unified call means differs by exchange: one answers from `since` on, another with
the newest rows of a window, a third with its newest rows whatever was asked for. So nothing is claimed about the time
before the first row that came, and bars missing at the front of a page are asked for again. Of trades and rates
nobody can tell such a hole from silence: for Binance and Bybit, use their own sources.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
import numpy as np

from adapters.columns import Bars, Origin, stamp
from adapters.decimals import BadCell, Column, Decimals, from_floats
from adapters.fetching.day_parts import Page, in_range
from adapters.fetching.history_rows import FundingRows, Rows, TradeRows
from adapters.fetching.routes import Ask
from adapters.fetching.venue_fetcher import Desk, VenueFetcher
from adapters.http import ANSWER_SHOWN, Retry, Sleep, backoff_s
from adapters.remote_source import Line, RemoteSource, key_of
from core.errors import UsageError, VenueError
from core.moments import HOUR_NS, MS_NS, SECOND_NS
from core.tape import Kind
from core.venue_rules import DatedInstrument

TRADES_STEP_NS = HOUR_NS
"""How far an empty answer moves us: some exchanges answer for one hour from `since` on, none for less (guess)."""
FUNDING_STEP_NS = 200 * HOUR_NS
"""The same for rates: pages hold 100 to 200 of them, an hour apart at the closest (guess)."""
HAS: dict[Kind, str] = {
    "bars": "fetchOHLCV",
    "marks": "fetchMarkOHLCV",
    "index": "fetchIndexOHLCV",
    "trades": "fetchTrades",
    "funding": "fetchFundingRateHistory",
}
SIDES = {"buy": 1, "sell": -1}


class CcxtSource(RemoteSource, frozen=True, kw_only=True, tag_field="kind", tag="ccxt"):
    """`{kind: ccxt, exchange: kraken, start: 2025-05-04}`: any exchange of the ccxt library."""

    exchange: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{2,40}$")]
    """ccxt's id of it, such as kraken, okx, binanceusdm."""
    instrument: str | None = None
    """ccxt's name of the market, such as BTC/USDT or BTC/USDT:USDT; None: the `symbol` of the entry."""
    page: Annotated[int, msgspec.Meta(ge=2, le=5000)] = 500
    """Bars or trades asked for at a time; exchanges that allow fewer say so."""

    def fetcher(self, *, venue: str, symbol: str, line: Line) -> VenueFetcher:
        """See `RemoteSource.fetcher`."""
        described = exchange_class(self.exchange, symbol)()
        intervals = {
            SECOND_NS * described.parse_timeframe(name): name
            for name in described.timeframes or {}
            if name[-1] not in "My"
        }
        return VenueFetcher(
            name=key_of(f"ccxt-{self.exchange}", "", self.base_url or ""),
            venue=venue,
            market=self.exchange,
            kinds=tuple(kind for kind, call in HAS.items() if described.has.get(call)),
            intervals=intervals,
            desk=partial(self._desk, line, intervals),
        )

    @asynccontextmanager
    async def _desk(self, line: Line, intervals: dict[int, str]) -> AsyncIterator[Desk]:
        config: dict[str, Any] = {"enableRateLimit": True, "timeout": int(self.timeout_s * 1000)}
        if self.proxy_url is not None:
            config["aiohttp_proxy"] = self.proxy_url
        if line.session is not None:
            config["session"] = line.session
        exchange = exchange_class(self.exchange, self.instrument or "")(config)
        if self.base_url is not None:
            exchange.urls["api"] = _redirected(exchange.urls["api"], self.base_url.rstrip("/"))
        patience = Patience(Retry(retries=self.retries), random.Random(line.seed), line.sleep)
        try:
            yield Desk(CcxtRest(exchange, patience, intervals, instrument=self.instrument, page=self.page), None)
        finally:
            await exchange.close()


def exchange_class(name: str, symbol: str) -> Callable[..., Any]:
    """ccxt's class of an exchange. Raises UsageError where it has none of this name."""
    import ccxt.async_support as ccxt

    if name not in ccxt.exchanges:
        raise UsageError(
            f"source of {symbol}: ccxt {ccxt.__version__} knows no exchange `{name}`; expected one of its "
            f"{len(ccxt.exchanges)} ids such as kraken, okx, coinbase; correct `exchange`"
        )
    found: Callable[..., Any] = getattr(ccxt, name)
    return found


def _redirected(urls: Any, base_url: str) -> Any:
    """Every address of an exchange's API on another host, path kept."""
    if isinstance(urls, dict):
        return {name: _redirected(url, base_url) for name, url in urls.items()}
    return base_url + urlsplit(urls).path if isinstance(urls, str) else urls


class Patience(msgspec.Struct):
    """Repeats reads whose failure may pass, as `adapters.http` does for venues we talk to ourselves."""

    retry: Retry
    chance: random.Random
    sleep: Sleep

    async def read(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """What the call gives. Raises VenueError, UsageError where the exchange has no such call."""
        from ccxt.base.errors import BadSymbol, BaseError, NetworkError, NotSupported

        last = ""
        for attempt in range(self.retry.retries + 1):
            try:
                return await call()
            except NotSupported as error:
                raise UsageError(f"{what}: {_words(error)}; choose another source") from error
            except BadSymbol as error:
                raise VenueError(f"{what}: {_words(error)}; set `instrument` to ccxt's name of the market") from error
            except NetworkError as error:
                last = f"{type(error).__name__}: {_words(error)}"
                # ccxt has one class for "slow down" and "you are banned"; the HTTP status stands in its text.
                if " 418 " in last or " 403 " in last:
                    raise VenueError(
                        f"{what}: the exchange refuses this address ({last}); wait before asking"
                    ) from error
            except BaseError as error:
                raise VenueError(f"{what}: {type(error).__name__}: {_words(error)}; correct the request") from error
            if attempt < self.retry.retries:
                await self.sleep(backoff_s(self.retry, attempt, self.chance))
        raise VenueError(
            f"{what}: no good answer in {self.retry.retries + 1} tries, the last one: {last}; check the connection, or "
            "raise `retries`"
        )


def _words(error: Exception) -> str:
    return str(error).replace("\n", " ")[:ANSWER_SHOWN]


class CcxtRest:
    """Pages of one exchange."""

    def __init__(
        self, exchange: Any, patience: Patience, intervals: dict[int, str], *, instrument: str | None, page: int
    ) -> None:
        self.exchange = exchange
        self.patience = patience
        self.intervals = intervals
        self.instrument = instrument
        self.page = page

    async def clock(self) -> int:
        """The exchange's now, ns; ours where it has no clock to ask."""
        if not self.exchange.has.get("fetchTime"):
            return int(self.exchange.milliseconds()) * MS_NS
        return int(await self.patience.read(f"{self.exchange.id} fetch_time", self.exchange.fetch_time)) * MS_NS

    async def instruments(self) -> dict[str, DatedInstrument]:
        """Tick, step and limits of every market that says them, by ccxt's name. Raises VenueError."""
        from ccxt.base.decimal_to_precision import TICK_SIZE

        markets = await self.patience.read(f"{self.exchange.id} load_markets", self.exchange.load_markets)
        now = await self.clock()
        grid = self.exchange.precisionMode == TICK_SIZE
        return {name: found for name, market in markets.items() if (found := _instrument(market, now, grid))}

    def source(self, ask: Ask) -> str:
        """Where the rows come from, for people."""
        return f"ccxt {self.exchange.id} {HAS[ask.kind]} {self.instrument or ask.symbol}"

    async def pages(self, ask: Ask, since: int, until: int) -> AsyncIterator[Page]:
        """Rows of [since, until) from the first one that comes, each once. Raises VenueError, DataError."""
        read, step = self._reader(ask)
        origin = Origin(self.source(ask))
        cursor, begun = since, False
        while cursor < until:
            rows = in_range(read(await self._asked(ask, cursor, self.page), origin), cursor, until)
            while ask.interval_ns and len(rows) and (first := int(rows.times[0])) > cursor:
                missing = min((first - cursor) // ask.interval_ns, self.page)
                front = in_range(read(await self._asked(ask, cursor, missing), origin), cursor, first)
                if not len(front):
                    break
                rows = front
            if not len(rows):
                following = min(cursor + step, until)
                if begun:
                    yield Page(None, cursor, following)
                cursor = following
                continue
            begins = cursor if begun else int(rows.times[0])
            following = min(self._following(rows, cursor, ask), until)
            yield Page(in_range(rows, begins, following), begins, following)
            cursor, begun = following, True

    def _following(self, rows: Rows, cursor: int, ask: Ask) -> int:
        """Where the next page begins. Trades of the last millisecond may go on: it is asked for again."""
        last = int(rows.times[-1])
        if not isinstance(rows, TradeRows):
            return last + (ask.interval_ns or MS_NS)
        if last > cursor:
            return last
        if len(rows) >= self.page:
            raise VenueError(
                f"{self.source(ask)}: {len(rows)} trades at {stamp(last)} fill a page, so there is no way beyond it; "
                "raise `page`"
            )
        return last + MS_NS

    def _reader(self, ask: Ask) -> tuple[Callable[[list[Any], Origin], Any], int]:
        if ask.kind == "trades":
            return trades_of, TRADES_STEP_NS
        if ask.kind == "funding":
            return funding_of, FUNDING_STEP_NS
        return bars_of, self.page * ask.interval_ns

    async def _asked(self, ask: Ask, cursor: int, count: int) -> list[Any]:
        name, since = self.instrument or ask.symbol, cursor // MS_NS
        if ask.kind == "trades":
            call = partial(self.exchange.fetch_trades, name, since, count)
        elif ask.kind == "funding":
            # As many as ccxt thinks fit, from a moment before: Bybit's window would else hold one more than its page,
            # and the oldest would be the one that is missing.
            call = partial(self.exchange.fetch_funding_rate_history, name, since - 1)
        else:
            price = {"bars": {}, "marks": {"price": "mark"}, "index": {"price": "index"}}[ask.kind]
            call = partial(self.exchange.fetch_ohlcv, name, self.intervals[ask.interval_ns], since, count, price)
        rows: list[Any] = await self.patience.read(self.source(ask), call)
        return rows


def _instrument(market: Mapping[str, Any], since: int, grid: bool) -> DatedInstrument | None:
    """A market's filters; None where it has no tick or step. `grid`: precision is a step, else a count of decimals."""
    tick, step = (_step(market["precision"].get(name), grid) for name in ("price", "amount"))
    if tick is None or step is None:
        return None
    limits = market["limits"]

    def limit(what: str, end: str) -> Decimal | None:
        value = (limits.get(what) or {}).get(end)
        return Decimal(repr(value)) if value else None

    return DatedInstrument(
        since=since,
        tick=tick,
        step=step,
        base=market["base"],
        quote=market["quote"],
        min_price=limit("price", "min"),
        max_price=limit("price", "max"),
        min_qty=limit("amount", "min"),
        max_qty=limit("amount", "max"),
        min_notional=limit("cost", "min"),
        max_notional=limit("cost", "max"),
    )


def _step(precision: float | None, grid: bool) -> Decimal | None:
    if precision is None or (grid and not precision):
        return None
    return Decimal(repr(precision)).normalize() if grid else Decimal(1).scaleb(-int(precision))


# --- ccxt's words to ours -------------------------------------------------------------------------------------------


def bars_of(rows: list[Any], origin: Origin) -> Bars:
    """Candles `[ms, o, h, l, c, v]`, sorted, each time once. Raises DataError."""
    rows = [rows[at] for at in _order([row[0] for row in rows])]
    numbers = [_numbers([row[at] for row in rows], name, origin) for at, name in enumerate(_OHLCV, start=1)]
    return Bars(_times([row[0] for row in rows]), *numbers)


_OHLCV = ("open", "high", "low", "close", "volume")


def trades_of(rows: list[Mapping[str, Any]], origin: Origin) -> TradeRows:
    """Trades, sorted by time; without a side or an id they are refused. Raises DataError."""
    rows = sorted(rows, key=lambda row: int(row["timestamp"]))
    for at, row in enumerate(rows):
        if row.get("side") not in SIDES:
            raise origin.error(at, "side", f"{row.get('side')!r} is unknown", "buy or sell", "use another source")
        if not row.get("id"):
            raise origin.error(at, "id", "a trade has none", "ids, to tell trades apart", "use another source")
    return TradeRows(
        _times([row["timestamp"] for row in rows]),
        _numbers([row["price"] for row in rows], "price", origin),
        _numbers([row["amount"] for row in rows], "amount", origin),
        np.array([SIDES[row["side"]] for row in rows], dtype=np.int8),
        np.zeros(len(rows), dtype=np.int8),
        np.array([str(row["id"]).encode() for row in rows], dtype=np.bytes_),
    )


def funding_of(rows: list[Mapping[str, Any]], origin: Origin) -> FundingRows:
    """Funding rates, sorted, each time once; no mark price. Raises DataError."""
    rows = [rows[at] for at in _order([row["timestamp"] for row in rows])]
    return FundingRows(
        _times([row["timestamp"] for row in rows]),
        _numbers([row["fundingRate"] for row in rows], "fundingRate", origin),
        Decimals(np.zeros(len(rows), dtype=np.int64), 0),
    )


def _order(stamps: list[int]) -> list[int]:
    """Where each time stands first, in order of time."""
    _, first = np.unique(np.array(stamps, dtype=np.int64), return_index=True)
    return [int(at) for at in first]


def _times(stamps: list[int]) -> Column:
    return np.array(stamps, dtype=np.int64) * MS_NS


def _numbers(values: list[Any], name: str, origin: Origin) -> Decimals:
    """Floats as decimals; what an exchange leaves out (a candle's volume) is 0."""
    try:
        return from_floats(np.array([0.0 if value is None else value for value in values], dtype=np.float64))[0]
    except BadCell as cell:
        raise origin.cell(name, cell) from None
