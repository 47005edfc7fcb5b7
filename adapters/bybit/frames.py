"""Bybit's public streams (v5) as they come over the wire. Keys nobody needs are ignored; times are milliseconds."""

from __future__ import annotations

from typing import Annotated

import msgspec

Levels = list[tuple[str, str]]


class Envelope(msgspec.Struct, frozen=True):
    """Any message of a topic; answers to requests have no topic. `cts` is the matching engine's time."""

    topic: str = ""
    type: str = ""
    ts: int = 0
    cts: int = 0
    data: msgspec.Raw = msgspec.Raw(b"")


class Book(msgspec.Struct, frozen=True):
    """`data` of orderbook.<depth>.<symbol>."""

    s: str
    b: Levels
    a: Levels
    u: Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Trade(msgspec.Struct, frozen=True):
    """One row of `data` of publicTrade.<symbol>. `S` is the taker's side; BT: block trade; RPI: against a hidden
    retail price improvement order."""

    T: int
    s: str
    S: str
    v: str
    p: str
    i: str
    BT: bool = False
    RPI: bool = False


class Ticker(msgspec.Struct, frozen=True):
    """`data` of tickers.<symbol>: a delta holds what changed."""

    symbol: str
    markPrice: str = ""
    indexPrice: str = ""
