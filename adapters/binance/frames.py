"""Binance's market streams and depth answers as they come over the wire, spot and futures alike.

Documentation of the two markets, 2026-07. Keys nobody needs are not named and so ignored; times are milliseconds (spot
microseconds where a connection asks for them); `T` is when the engine did it, `E` when the message was made.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Id = Annotated[int, msgspec.Meta(ge=-1, le=2**62)]
"""Update and trade ids; far above what was ever sent, and small enough to count on from."""
Levels = list[tuple[str, str]]
"""(price, size) from the best on."""


class Envelope(msgspec.Struct, frozen=True):
    """What tells a message: the wrapping of combined streams, a bare event, or a REST depth answer."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""
    lastUpdateId: int = -1


class Happened(msgspec.Struct, frozen=True):
    """The times and the symbol of any event. `T` is the engine's, except in markPriceUpdate (next funding)."""

    e: str = ""
    s: str = ""
    E: int = 0
    T: int | None = None


class DepthUpdate(msgspec.Struct, frozen=True):
    """depthUpdate; spot has neither `T` nor `pu`."""

    U: Id
    u: Id
    b: Levels
    a: Levels
    E: int
    T: int = 0
    pu: Id = -1


class DepthSnapshot(msgspec.Struct, frozen=True):
    """Answer of the depth endpoints; spot has no times, only COIN-M says the symbol."""

    lastUpdateId: Id
    bids: Levels
    asks: Levels
    E: int = 0
    T: int = 0
    symbol: str = ""


class BookTicker(msgspec.Struct, frozen=True):
    """bookTicker; spot has no times."""

    u: Id
    b: str
    B: str
    a: str
    A: str
    E: int = 0
    T: int = 0


class Trade(msgspec.Struct, frozen=True):
    """trade. `X` (futures): MARKET for trades of the book, INSURANCE_FUND and ADL for those outside it, NA for none."""

    t: Id
    p: str
    q: str
    m: bool
    E: int = 0
    T: int = 0
    X: str = "MARKET"


class AggTrade(msgspec.Struct, frozen=True):
    """aggTrade: what one taker order (futures: within 100 ms) traded at one price."""

    a: Id
    p: str
    q: str
    m: bool
    E: int = 0
    T: int = 0


class MarkPrice(msgspec.Struct, frozen=True):
    """markPriceUpdate: mark `p` and index `i`."""

    E: int
    p: str
    i: str = ""
