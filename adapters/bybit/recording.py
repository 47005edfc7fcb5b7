"""Recorded Bybit streams (v5) and ob500 dumps to tapes of trades, quotes, depth, marks and index prices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from adapters.bybit import frames
from adapters.bybit.book_sync import BybitSync
from adapters.recorded.book_sync import Ids
from adapters.recorded.depth_rows import DepthRows
from adapters.recorded.message_rows import MessageRows
from adapters.recorded.recordings import UNREADABLE, Line, lines, nanoseconds
from adapters.recorded.trade_ids import named_twice
from adapters.ticks import Ticks, tick_tape
from core.errors import DataError
from core.tape import BLOCK, RPI, Kind, Tape

_ENVELOPE = msgspec.json.Decoder(frames.Envelope)
_BOOK = msgspec.json.Decoder(frames.Book)
_TRADES = msgspec.json.Decoder(list[frames.Trade])
_TICKER = msgspec.json.Decoder(frames.Ticker)
MARKETS = ("spot", "linear", "inverse")


def read_recording(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int, market: str | None = None) -> Tape:
    """One kind of rows of one symbol. Raises DataError, also where the recording has no such rows.

    `market` chooses the connection (spot, linear, inverse) where a session has several with the same symbol; None
    takes it from the venue's name.
    """
    market = market or next((name for name in MARKETS if venue.endswith(name)), None)
    sources: dict[tuple[str, str], _Gatherer] = {}
    least: int | None = None
    seen: set[str] = set()
    for line in lines(path):
        try:
            message = _ENVELOPE.decode(line.payload)
            if not message.topic:
                continue
            if line.receipt is not None and message.ts:
                leg = line.receipt - nanoseconds(message.cts or message.ts)
                least = leg if least is None or leg < least else least
            seen.add(message.topic)
            stream, _, name = message.topic.rpartition(".")
            if name != symbol or not _WANTED[kind](stream):
                continue
            key = (line.address, stream)
            if key not in sources:
                sources[key] = _GATHERERS[kind](str(path))
            sources[key].add(line, message)
        except UNREADABLE as error:
            raise line.wrong(error) from error
    chosen = _chosen(path, kind, symbol, sources, market, seen)
    return tick_tape(kind, chosen.ticks(least), venue=venue, symbol=symbol, feed_ns=feed_ns)


def _chosen(
    path: Path,
    kind: Kind,
    symbol: str,
    sources: dict[tuple[str, str], _Gatherer],
    market: str | None,
    seen: set[str],
) -> _Gatherer:
    """The one connection, and of books the deepest."""
    if not sources:
        raise DataError(
            f"{path}: has no {kind} of {symbol}; it has {', '.join(sorted(seen)[:12]) or 'no topics'}; "
            "change `symbol`, `kind` or `path`"
        )
    addresses = sorted({address for address, _ in sources})
    if len(addresses) > 1:
        mine = [address for address in addresses if address.rsplit("/", 1)[-1] == market]
        if len(mine) != 1:
            raise DataError(
                f"{path}: has {symbol} from {' and '.join(addresses)}; expected one of them to be meant; "
                "set `market: spot` or `market: linear` in the source"
            )
        addresses = mine
    return sources[max((key for key in sources if key[0] == addresses[0]), key=lambda key: _depth_of(key[1]))]


def _depth_of(stream: str) -> int:
    last = stream.rpartition(".")[2]
    return int(last) if last.isdigit() else 0


# --- one kind of rows each ------------------------------------------------------------------------------------------


class _Gatherer(Protocol):
    def add(self, line: Line, message: frames.Envelope) -> None: ...

    def ticks(self, least_leg_ns: int | None) -> Ticks: ...


class _Depth:
    def __init__(self, name: str) -> None:
        self.rows = DepthRows(name)

    def add(self, line: Line, message: frames.Envelope) -> None:
        book = _BOOK.decode(message.data)
        at = nanoseconds(message.cts or message.ts)
        snapshot = message.type == "snapshot" or book.u == 1
        self.rows.add(line.number, line.receipt, at, Ids(book.u, book.u), book.b, book.a, is_snapshot=snapshot)

    def ticks(self, least_leg_ns: int | None) -> Ticks:
        return self.rows.ticks(BybitSync(), least_leg_ns)


class _Quotes:
    """orderbook.1: every message is a snapshot of the best level; a side may be empty."""

    def __init__(self, name: str) -> None:
        self.rows = MessageRows(name, ("bid_price", "bid_size", "ask_price", "ask_size"))

    def add(self, line: Line, message: frames.Envelope) -> None:
        book = _BOOK.decode(message.data)
        bid, ask = (side[0] if side else ("0", "0") for side in (book.b, book.a))
        self.rows.add(line, message.cts or message.ts, *bid, *ask)

    def ticks(self, least_leg_ns: int | None) -> Ticks:
        return self.rows.ticks(("bid_price", "ask_price"), ("bid_size", "ask_size"), least_leg_ns)


class _Trades:
    def __init__(self, name: str) -> None:
        self.rows = MessageRows(name, ("price", "size"))
        self.sides: list[int] = []
        self.flags: list[int] = []
        self.ids: list[str] = []

    def add(self, line: Line, message: frames.Envelope) -> None:
        for trade in _TRADES.decode(message.data):
            if trade.S not in ("Buy", "Sell"):
                raise line.wrong(f"side {trade.S!r}, expected Buy or Sell")
            self.rows.add(line, trade.T, trade.p, trade.v)
            self.sides.append(1 if trade.S == "Buy" else -1)
            self.flags.append((BLOCK if trade.BT else 0) | (RPI if trade.RPI else 0))
            self.ids.append(trade.i)

    def ticks(self, least_leg_ns: int | None) -> Ticks:
        ticks = self.rows.ticks(("price",), ("size",), least_leg_ns)
        ticks.codes = {"side": np.array(self.sides, dtype=np.int8), "flags": np.array(self.flags, dtype=np.int8)}
        return ticks.once(named_twice(np.array(self.ids, dtype=np.bytes_)))


class _Prices:
    """tickers: a message that does not name the price repeats nothing, so it makes no row."""

    def __init__(self, name: str, key: str) -> None:
        self.rows = MessageRows(name, ("close",))
        self.key = key

    def add(self, line: Line, message: frames.Envelope) -> None:
        price = getattr(_TICKER.decode(message.data), self.key)
        if price:
            self.rows.add(line, message.ts, price)

    def ticks(self, least_leg_ns: int | None) -> Ticks:
        return self.rows.price_ticks(least_leg_ns)


_GATHERERS: dict[str, Callable[[str], _Gatherer]] = {
    "depth": _Depth,
    "trades": _Trades,
    "quotes": _Quotes,
    "marks": lambda name: _Prices(name, "markPrice"),
    "index": lambda name: _Prices(name, "indexPrice"),
}
_WANTED: dict[str, Callable[[str], bool]] = {
    "depth": lambda stream: stream.startswith("orderbook.") and stream != "orderbook.1",
    "quotes": lambda stream: stream == "orderbook.1",
    "trades": lambda stream: stream == "publicTrade",
    "marks": lambda stream: stream == "tickers",
    "index": lambda stream: stream == "tickers",
}
KINDS = tuple(_GATHERERS)
"""Kinds of rows a recording can hold."""
