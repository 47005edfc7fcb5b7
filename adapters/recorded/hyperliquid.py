"""Recorded Hyperliquid streams (`l2Book` and `trades`) to tapes of depth and trades.

Every l2Book message is a snapshot of the 20 best levels a side. Side B is a buyer who took, A a seller. The first
message of trades after subscribing repeats older ones. Times are milliseconds.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from adapters.bybit.book_sync import BybitSync
from adapters.recorded.book_sync import Ids
from adapters.recorded.depth_rows import DepthRows
from adapters.recorded.message_rows import MessageRows
from adapters.recorded.recordings import UNREADABLE, lines, nanoseconds
from adapters.recorded.trade_ids import named_twice
from adapters.ticks import tick_tape
from core.errors import DataError
from core.tape import Kind, Tape

SIDES = {"B": 1, "A": -1}
KINDS = ("depth", "trades")


class _Message(msgspec.Struct, frozen=True):
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


class _Level(msgspec.Struct, frozen=True):
    px: str
    sz: str


class _Book(msgspec.Struct, frozen=True):
    coin: str
    levels: tuple[list[_Level], list[_Level]]
    time: int


class _Trade(msgspec.Struct, frozen=True):
    coin: str
    side: str
    px: str
    sz: str
    time: int
    tid: int


_MESSAGE = msgspec.json.Decoder(_Message)
_BOOK = msgspec.json.Decoder(_Book)
_TRADES = msgspec.json.Decoder(list[_Trade])


def read_recording(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int) -> Tape:
    """One kind of rows of one coin. Raises DataError."""
    depth, trades = DepthRows(str(path)), MessageRows(str(path), ("price", "size"))
    sides: list[int] = []
    ids: list[str] = []
    seen: set[str] = set()
    legs: list[int] = []
    for line in lines(path):
        try:
            message = _MESSAGE.decode(line.payload)
            if message.channel == "l2Book":
                book = _BOOK.decode(message.data)
                seen.add(f"l2Book {book.coin}")
                at = nanoseconds(book.time)
                if line.receipt is not None:
                    legs.append(line.receipt - at)
                if book.coin == symbol:
                    bids, asks = ([(level.px, level.sz) for level in side] for side in book.levels)
                    known = Ids(len(depth), len(depth))
                    depth.add(line.number, line.receipt, at, known, bids, asks, is_snapshot=True)
            elif message.channel == "trades":
                for trade in _TRADES.decode(message.data):
                    seen.add(f"trades {trade.coin}")
                    if trade.side not in SIDES:
                        raise line.wrong(f"side {trade.side!r}, expected A or B")
                    if line.receipt is not None:
                        legs.append(line.receipt - nanoseconds(trade.time))
                    if trade.coin == symbol:
                        trades.add(line, trade.time, trade.px, trade.sz)
                        sides.append(SIDES[trade.side])
                        ids.append(str(trade.tid))
        except UNREADABLE as error:
            raise line.wrong(error) from error
    if not (depth if kind == "depth" else trades):
        raise DataError(
            f"{path}: has no {kind} of {symbol}; it has {', '.join(sorted(seen)) or 'no channels'}; change `symbol` "
            "(a coin such as BTC), `kind` or `path`"
        )
    least = min(legs, default=None)
    if kind == "depth":
        ticks = depth.ticks(BybitSync(), least).noted(
            "snapshots of the 20 best levels a side: what lies deeper is not in the book"
        )
        return tick_tape(kind, ticks, venue=venue, symbol=symbol, feed_ns=feed_ns)
    ticks = trades.ticks(("price",), ("size",), least)
    ticks.codes = {"side": np.array(sides, dtype=np.int8)}
    return tick_tape(
        kind, ticks.once(named_twice(np.array(ids, dtype=np.bytes_))), venue=venue, symbol=symbol, feed_ns=feed_ns
    )
