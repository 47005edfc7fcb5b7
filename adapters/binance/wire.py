"""Binance's market data as it comes over the wire, and where to ask for it. Words only; what they mean is in translate.

Endpoints, limits and weights: spot `rest-api.md` of binance-spot-api-docs (2026-07), USD-M pages of the derivatives
documentation (2024, limits unchanged in the SDK of 2026).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Market = Literal["spot", "usdm"]

Kline = tuple[int, str, str, str, str, str, int, str, int, str, str, str]
"""open time ms, open, high, low, close, volume (base), close time ms (open + interval - 1), quote volume, trades,
taker base, taker quote, unused."""


class Endpoints(msgspec.Struct, frozen=True):
    """Where one market answers, and what asking costs."""

    base_url: str
    klines: str
    klines_limit: int
    """Rows a page at most."""
    klines_weight: int
    """Of a full page."""
    time: str
    weight_per_minute: int


ENDPOINTS: dict[Market, Endpoints] = {
    "spot": Endpoints("https://api.binance.com", "/api/v3/klines", 1000, 2, "/api/v3/time", 6000),
    "usdm": Endpoints("https://fapi.binance.com", "/fapi/v1/klines", 1500, 10, "/fapi/v1/time", 2400),
}

MINUTE_NS = 60_000_000_000
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


class ServerTime(msgspec.Struct, frozen=True):
    """Answer of the time endpoints."""

    serverTime: int
    """Milliseconds."""


def interval_name(interval_ns: int, market: Market) -> str | None:
    """Binance's name for a bar length; None where it has no such bars."""
    if market == "usdm" and interval_ns < MINUTE_NS:
        return None
    return INTERVALS.get(interval_ns)


def klines_page(body: Any) -> list[Kline]:
    """The rows of a klines answer. Raises msgspec.ValidationError naming the field that is not as documented."""
    return msgspec.convert(body, list[Kline])


def server_time(body: Any) -> int:
    """The venue's clock, milliseconds. Raises msgspec.ValidationError."""
    return msgspec.convert(body, ServerTime).serverTime
