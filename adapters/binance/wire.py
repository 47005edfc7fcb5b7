"""Binance's market data as it comes over the wire, and where to ask for it. Words only; what they mean is in translate.

Endpoints, limits and weights: spot `rest-api.md` of binance-spot-api-docs (2026-07), USD-M pages of the derivatives
documentation (2024, limits unchanged in the SDK of 2026). Keys and trailing columns nobody needs are not named, so new
ones do no harm.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec

from core.moments import MINUTE_NS

Market = Literal["spot", "usdm"]
Whole = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""Ids and times; far above what was ever sent, and small enough for a column."""
Row = TypeVar("Row", bound=msgspec.Struct)


class Kline(msgspec.Struct, frozen=True, array_like=True):
    """The first columns of a kline; quote volume, number of trades and taker volumes follow."""

    open_time: Whole
    """Milliseconds; of spot microseconds where a connection asks for them."""
    open: str
    high: str
    low: str
    close: str
    volume: str
    """Base units; of marks and indexes without a meaning."""
    close_time: Whole
    """open time + interval - 1."""


class AggTrade(msgspec.Struct, frozen=True):
    """What one taker order (futures: all within 100 ms) traded at one price."""

    a: Whole
    """Id: counts on within a symbol."""
    p: str
    q: str
    T: Whole
    m: bool
    """Whether the buyer was the maker."""


class Trade(msgspec.Struct, frozen=True):
    """A single trade."""

    id: Whole
    price: str
    qty: str
    time: Whole
    isBuyerMaker: bool


class Funding(msgspec.Struct, frozen=True):
    """A funding rate as it was booked."""

    fundingTime: Whole
    fundingRate: str
    markPrice: str = ""
    """Empty in answers about times before late 2023."""


class ServerTime(msgspec.Struct, frozen=True):
    """Answer of the time endpoints."""

    serverTime: Whole
    """Milliseconds."""


class Endpoint(msgspec.Struct, frozen=True):
    """One way of asking."""

    path: str
    limit: int
    """Rows a page at most."""
    weight: int
    """Of a full page."""
    symbol_key: str = "symbol"


class Endpoints(msgspec.Struct, frozen=True):
    """Where one market answers, and what asking costs."""

    base_url: str
    dump_folder: str
    """Under the dump host's `data/`."""
    time: str
    exchange_info: Endpoint
    klines: Endpoint
    agg_trades: Endpoint
    trades: Endpoint
    """The last trades only: older ones need a key."""
    weight_per_minute: int
    agg_trades_hours: int | None = None
    """How far back aggTrades reach over REST; None: to the beginning."""
    marks: Endpoint | None = None
    index: Endpoint | None = None
    funding: Endpoint | None = None
    brackets: Endpoint | None = None
    """Signed: the tiers of an account, which are the venue's where it has none of its own."""


DUMP_URL = "https://data.binance.vision"
ENDPOINTS: dict[Market, Endpoints] = {
    "spot": Endpoints(
        base_url="https://api.binance.com",
        dump_folder="spot",
        time="/api/v3/time",
        exchange_info=Endpoint("/api/v3/exchangeInfo", 0, 20),
        klines=Endpoint("/api/v3/klines", 1000, 2),
        agg_trades=Endpoint("/api/v3/aggTrades", 1000, 4),
        trades=Endpoint("/api/v3/trades", 1000, 25),
        weight_per_minute=6000,
    ),
    "usdm": Endpoints(
        base_url="https://fapi.binance.com",
        dump_folder="futures/um",
        time="/fapi/v1/time",
        exchange_info=Endpoint("/fapi/v1/exchangeInfo", 0, 1),
        klines=Endpoint("/fapi/v1/klines", 1500, 10),
        agg_trades=Endpoint("/fapi/v1/aggTrades", 1000, 20),
        trades=Endpoint("/fapi/v1/trades", 1000, 5),
        weight_per_minute=2400,
        agg_trades_hours=48,
        marks=Endpoint("/fapi/v1/markPriceKlines", 1500, 10),
        index=Endpoint("/fapi/v1/indexPriceKlines", 1500, 10, symbol_key="pair"),
        # Shares 500 requests in 5 minutes with fundingInfo: as much as 24 of 2,400 a minute each.
        funding=Endpoint("/fapi/v1/fundingRate", 1000, 24),
        brackets=Endpoint("/fapi/v1/leverageBracket", 0, 1),
    ),
}

INTERVALS: dict[int, str] = {
    MINUTE_NS // 60: "1s",
    MINUTE_NS: "1m",
    3 * MINUTE_NS: "3m",
    5 * MINUTE_NS: "5m",
    15 * MINUTE_NS: "15m",
    30 * MINUTE_NS: "30m",
    60 * MINUTE_NS: "1h",
    120 * MINUTE_NS: "2h",
    240 * MINUTE_NS: "4h",
    360 * MINUTE_NS: "6h",
    480 * MINUTE_NS: "8h",
    720 * MINUTE_NS: "12h",
    1440 * MINUTE_NS: "1d",
    7 * 1440 * MINUTE_NS: "1w",
}
"""Length to Binance's name. Left out: 3d (where it starts is not documented) and 1M (no fixed length)."""
UNKNOWN_SYMBOL = -1121


def interval_name(interval_ns: int, market: Market) -> str | None:
    """Binance's name for a bar length; None where it has no such bars."""
    if market == "usdm" and interval_ns < MINUTE_NS:
        return None
    return INTERVALS.get(interval_ns)


def page(body: Any, row: type[Row]) -> list[Row]:
    """The rows of an answer. Raises msgspec.ValidationError naming the field that is not as documented."""
    return msgspec.convert(body, list[row])  # type: ignore[valid-type]  # a type of runtime


def server_time(body: Any) -> int:
    """The venue's clock, milliseconds. Raises msgspec.ValidationError."""
    return msgspec.convert(body, ServerTime).serverTime
