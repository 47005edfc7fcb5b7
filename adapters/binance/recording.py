"""Recorded Binance streams (spot, USD-M, COIN-M) to tapes of trades, quotes, depth, marks and index prices."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from adapters.binance import frames
from adapters.binance.book_sync import FuturesSync, SpotSync
from adapters.recorded.book_sync import Ids
from adapters.recorded.depth_rows import DepthRows
from adapters.recorded.message_rows import MessageRows
from adapters.recorded.recordings import UNREADABLE, Line, lines, nanoseconds
from adapters.recorded.trade_ids import numbered
from adapters.ticks import Ticks, aggressor, tick_tape
from core.errors import DataError
from core.tape import INSURANCE, Kind, Tape

_ENVELOPE = msgspec.json.Decoder(frames.Envelope)
_HAPPENED = msgspec.json.Decoder(frames.Happened)
_UPDATE = msgspec.json.Decoder(frames.DepthUpdate)
_SNAPSHOT = msgspec.json.Decoder(frames.DepthSnapshot)
_TICKER = msgspec.json.Decoder(frames.BookTicker)
_TRADE = msgspec.json.Decoder(frames.Trade)
_AGG_TRADE = msgspec.json.Decoder(frames.AggTrade)
_MARK = msgspec.json.Decoder(frames.MarkPrice)
_ASKED_SYMBOL = re.compile(r"[?&]symbol=(\w+)")
SNAPSHOT_EVENT = "snapshot"
"""Our word for a REST depth answer among the venue's event names."""
_WITH_ENGINE_TIME = ("depthUpdate", "bookTicker", "trade", "aggTrade", SNAPSHOT_EVENT)


def read_recording(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int) -> Tape:
    """One kind of rows of one symbol. Raises DataError, also where the recording has no such rows."""
    gathered = _GATHERERS[kind](str(path))
    least: int | None = None
    seen: set[str] = set()
    for line in lines(path):
        try:
            event, name, data = _told(line)
            if not event:
                continue
            happened = _HAPPENED.decode(data)
            leg = _leg(event, happened, line.receipt)
            if leg is not None and (least is None or leg < least):
                least = leg
            seen.add(f"{name or '?'} {event}")
            if name in (symbol, "") and event in gathered.events:
                gathered.add(line, event, data)
        except UNREADABLE as error:
            raise line.wrong(error) from error
    _check_symbol(path, kind, symbol, seen)
    return tick_tape(kind, gathered.ticks(least), venue=venue, symbol=symbol, feed_ns=feed_ns)


def _told(line: Line) -> tuple[str, str, bytes | msgspec.Raw]:
    """Which event of which symbol a message is; an empty event for answers and other remarks."""
    envelope = _ENVELOPE.decode(line.payload)
    if envelope.lastUpdateId >= 0:
        asked = _ASKED_SYMBOL.search(line.address)
        return SNAPSHOT_EVENT, _SNAPSHOT_SYMBOL.decode(line.payload).symbol or (asked[1] if asked else ""), line.payload
    if envelope.stream.startswith("!"):
        return "", "", b""  # a stream of all symbols at once
    if envelope.stream:
        name, _, stream = envelope.stream.partition("@")
        return _EVENTS.get(stream.partition("@")[0], stream), name.upper(), envelope.data
    if envelope.e:
        return envelope.e, _HAPPENED.decode(line.payload).s, line.payload
    return "", "", b""


class _Named(msgspec.Struct):
    symbol: str = ""


_SNAPSHOT_SYMBOL = msgspec.json.Decoder(_Named)
_EVENTS = {"depth": "depthUpdate", "markPrice": "markPriceUpdate"}
"""Stream name to event name, where they differ; `bookTicker` of spot has no event name inside."""


def _leg(event: str, happened: frames.Happened, receipt: int | None) -> int | None:
    """How long a message took, ns; None where it or the recording does not say."""
    time = happened.T or happened.E if event in _WITH_ENGINE_TIME else happened.E
    if receipt is None or not time:
        return None
    return receipt - nanoseconds(time)


def _check_symbol(path: Path, kind: Kind, symbol: str, seen: set[str]) -> None:
    names = {told.split(" ")[0] for told in seen} - {"?"}
    if symbol not in names:
        raise DataError(
            f"{path}: has no messages of {symbol}; expected one of {', '.join(sorted(names)) or 'any symbol'}; "
            "change `symbol` or `path`"
        )
    if kind == "depth" and len(names) > 1 and f"? {SNAPSHOT_EVENT}" in seen:
        raise DataError(
            f"{path}: holds several symbols and a depth answer that does not say whose it is; expected one symbol a "
            "file; split the recording"
        )


# --- one kind of rows each ------------------------------------------------------------------------------------------


class _Gatherer(Protocol):
    @property
    def events(self) -> tuple[str, ...]: ...

    def add(self, line: Line, event: str, data: bytes | msgspec.Raw) -> None: ...

    def ticks(self, least_leg_ns: int | None) -> Ticks: ...


class _Depth:
    events = ("depthUpdate", SNAPSHOT_EVENT)

    def __init__(self, name: str) -> None:
        self.rows = DepthRows(name)
        self.futures = False

    def add(self, line: Line, event: str, data: bytes | msgspec.Raw) -> None:
        if event == SNAPSHOT_EVENT:
            answer = _SNAPSHOT.decode(data)
            ids, at = Ids(answer.lastUpdateId, answer.lastUpdateId), nanoseconds(answer.T or answer.E)
            self.rows.add(line.number, line.receipt, at, ids, answer.bids, answer.asks, is_snapshot=True)
            return
        update = _UPDATE.decode(data)
        self.futures = self.futures or update.pu >= 0
        at = nanoseconds(update.T or update.E)
        self.rows.add(line.number, line.receipt, at, Ids(update.U, update.u, update.pu), update.b, update.a)

    def ticks(self, least_leg_ns: int | None) -> Ticks:
        return self.rows.ticks(FuturesSync() if self.futures else SpotSync(), least_leg_ns)


class _Trades:
    events = ("trade", "aggTrade")

    def __init__(self, name: str) -> None:
        self.rows = {event: MessageRows(name, ("price", "size")) for event in self.events}
        self.ids: dict[str, list[int]] = {event: [] for event in self.events}
        self.makers: dict[str, list[bool]] = {event: [] for event in self.events}
        self.outside: list[bool] = []
        self.empty = 0

    def add(self, line: Line, event: str, data: bytes | msgspec.Raw) -> None:
        trade: frames.Trade | frames.AggTrade
        if event == "trade":
            trade = _TRADE.decode(data)
            if trade.X == "NA":
                self.empty += 1
                return
            self.outside.append(trade.X in ("INSURANCE_FUND", "ADL"))
            self.ids[event].append(trade.t)
        else:
            trade = _AGG_TRADE.decode(data)
            self.ids[event].append(trade.a)
        self.makers[event].append(trade.m)
        self.rows[event].add(line, trade.T or trade.E, trade.p, trade.q)

    def ticks(self, least_leg_ns: int | None) -> Ticks:
        event = "trade" if self.ids["trade"] or not self.ids["aggTrade"] else "aggTrade"
        ticks = self.rows[event].ticks(("price",), ("size",), least_leg_ns)
        outside = np.array(self.outside if event == "trade" else [False] * len(ticks), dtype=bool)
        ticks.codes = {
            "side": aggressor(np.array(self.makers[event], dtype=bool)),
            "flags": np.where(outside, INSURANCE, 0).astype(np.int8),
        }
        seen = numbered(np.array(self.ids[event], dtype=np.int64), ticks.ts_venue)
        ticks.gaps, ticks.notes = seen.gaps, seen.notes
        if self.empty:
            ticks = ticks.noted(f"{self.empty} messages of the trade stream say `X: NA`, no trade: left out")
        return ticks.taken(seen.keep)


class _Quotes:
    events = ("bookTicker",)
    columns = ("bid_price", "bid_size", "ask_price", "ask_size")

    def __init__(self, name: str) -> None:
        self.rows = MessageRows(name, self.columns)

    def add(self, line: Line, event: str, data: bytes | msgspec.Raw) -> None:
        quote = _TICKER.decode(data)
        self.rows.add(line, quote.T or quote.E, quote.b, quote.B, quote.a, quote.A)

    def ticks(self, least_leg_ns: int | None) -> Ticks:
        ticks = self.rows.ticks(("bid_price", "ask_price"), ("bid_size", "ask_size"), least_leg_ns)
        untimed = ticks.ts_venue == 0
        if not untimed.any() or ticks.receipts is None:
            return ticks
        least = least_leg_ns or 0
        ticks.ts_venue = np.where(untimed, ticks.receipts - least, ticks.ts_venue)
        return ticks.noted(
            f"{int(untimed.sum())} quotes do not say when they were made: each counts as made one quickest feed leg of "
            "the recording before its receipt"
        )


class _Marks:
    events = ("markPriceUpdate",)

    def __init__(self, name: str, key: str) -> None:
        self.rows = MessageRows(name, ("close",))
        self.key = key

    def add(self, line: Line, event: str, data: bytes | msgspec.Raw) -> None:
        mark = _MARK.decode(data)
        self.rows.add(line, mark.E, getattr(mark, self.key))

    def ticks(self, least_leg_ns: int | None) -> Ticks:
        return self.rows.price_ticks(least_leg_ns)


_GATHERERS: dict[str, Callable[[str], _Gatherer]] = {
    "depth": _Depth,
    "trades": _Trades,
    "quotes": _Quotes,
    "marks": lambda name: _Marks(name, "p"),
    "index": lambda name: _Marks(name, "i"),
}
KINDS = tuple(_GATHERERS)
"""Kinds of rows a recording can hold."""
