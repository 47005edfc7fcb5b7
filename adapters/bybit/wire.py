"""Bybit's v5 market answers as they come over the wire, and where to ask for them. What they mean is in translate.

Source: the venue's v5 documentation (2026-07). Every answer stands in one envelope; a refusal comes with HTTP 200 and a
`retCode`. Lists of klines, rates and trades are newest first. Keys and trailing columns nobody needs are not named.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec

from adapters.http import Complaint
from core.moments import MINUTE_NS

Market = Literal["spot", "linear"]
Whole = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Row = TypeVar("Row", bound=msgspec.Struct)


class PriceKline(msgspec.Struct, frozen=True, array_like=True):
    """The first columns of a kline; marks and indexes have no more."""

    start: str
    """Open time, milliseconds."""
    open: str
    high: str
    low: str
    close: str


class Kline(msgspec.Struct, frozen=True, array_like=True):
    """The same of trades; turnover follows."""

    start: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    """Base units."""


class Funding(msgspec.Struct, frozen=True):
    """A funding rate as it was booked."""

    fundingRate: str
    fundingRateTimestamp: str


class Trade(msgspec.Struct, frozen=True):
    """A single trade. `side` is the taker's."""

    execId: str
    price: str
    size: str
    side: Literal["Buy", "Sell"]
    time: str
    isBlockTrade: bool = False
    isRPITrade: bool = False


class Endpoint(msgspec.Struct, frozen=True):
    """One way of asking."""

    path: str
    limit: int
    """Rows a page at most."""
    first_key: str = "start"
    last_key: str = "end"


BASE_URL = "https://api.bybit.com"
DUMP_URL = "https://public.bybit.com"
"""Trades by days."""
BOOK_URL = "https://quote-saver.bycsi.com"
"""Order books by days; from memory, so a config can name another."""
TIME = "/v5/market/time"
INSTRUMENTS = Endpoint("/v5/market/instruments-info", 1000)
RISK_LIMITS = Endpoint("/v5/market/risk-limit", 0)
KLINES = Endpoint("/v5/market/kline", 1000)
MARKS = Endpoint("/v5/market/mark-price-kline", 1000)
INDEX = Endpoint("/v5/market/index-price-kline", 1000)
FUNDING = Endpoint("/v5/market/funding/history", 200, "startTime", "endTime")
RECENT: dict[Market, Endpoint] = {
    "spot": Endpoint("/v5/market/recent-trade", 60),
    "linear": Endpoint("/v5/market/recent-trade", 1000),
}
REQUESTS_PER_WINDOW = 600
WINDOW_S = 5.0
"""Per address (venues.md section 5)."""

INTERVALS: dict[int, str] = {minutes * MINUTE_NS: str(minutes) for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)}
INTERVALS |= {1440 * MINUTE_NS: "D", 7 * 1440 * MINUTE_NS: "W"}
"""Length to Bybit's name. Left out: M (no fixed length)."""
PARAMETER = 10001
"""Of an unknown symbol, among other things."""
PASSING = frozenset({10000, 10006, 10016, 10018, 10429})
"""Time-out, too many requests, fault inside, too many from this address, system busy: asking again can help."""


class _Envelope(msgspec.Struct, frozen=True):
    retCode: int
    retMsg: str = ""
    time: Whole = 0


class _Listed(msgspec.Struct, frozen=True):
    rows: list[Any] = msgspec.field(name="list")
    nextPageCursor: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    result: _Listed


class Listing(msgspec.Struct, frozen=True):
    """Rows of one page, as the venue orders them, and where the next page begins."""

    rows: list[Any]
    cursor: str


def complaint(body: Any) -> Complaint | None:
    """What an answer says against the request; None where it is good or is no envelope (decoding tells then)."""
    try:
        envelope = msgspec.convert(body, _Envelope)
    except msgspec.ValidationError:
        return None
    if envelope.retCode == 0:
        return None
    return Complaint(envelope.retCode, envelope.retMsg[:200], envelope.retCode in PASSING)


def listing(body: Any, row: type[Row]) -> list[Row]:
    """The rows of an answer. Raises msgspec.ValidationError naming the field that is not as documented."""
    return msgspec.convert(msgspec.convert(body, _Answer).result.rows, list[row])  # type: ignore[valid-type]  # a type of runtime


def page(body: Any) -> Listing:
    """Rows nobody has decoded yet, with the cursor. Raises msgspec.ValidationError."""
    result = msgspec.convert(body, _Answer).result
    return Listing(result.rows, result.nextPageCursor or "")


def server_time(body: Any) -> int:
    """The venue's clock, milliseconds. Raises msgspec.ValidationError."""
    return msgspec.convert(body, _Envelope).time
