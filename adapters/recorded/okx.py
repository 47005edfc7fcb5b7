"""Recorded OKX streams (v5 public channels `books` and `trades`) to tapes of depth and trades.

Sizes are what the channel says: base units for spot, contracts for swaps and futures. Times are milliseconds. Since
2023 a book message names the one before it (`prevSeqId`); older recordings have no such number, so that a message that
is missing cannot be seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from adapters.recorded.book_sync import Ids, InStream, Step
from adapters.recorded.depth_rows import DepthRows
from adapters.recorded.message_rows import MessageRows
from adapters.recorded.recordings import UNREADABLE, lines, nanoseconds
from adapters.recorded.trade_ids import named_twice
from adapters.ticks import tick_tape
from core.errors import DataError
from core.tape import Kind, Tape

SIDES = {"buy": 1, "sell": -1}
KINDS = ("depth", "trades")
Id = Annotated[int, msgspec.Meta(ge=-1, le=2**62)]


class _Subscription(msgspec.Struct, frozen=True):
    channel: str = ""
    instId: str = ""


class _Message(msgspec.Struct, frozen=True):
    arg: _Subscription = _Subscription()
    action: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


class _Book(msgspec.Struct, frozen=True):
    asks: list[tuple[str, str, str, str]]
    bids: list[tuple[str, str, str, str]]
    ts: str
    seqId: Id = -1
    prevSeqId: Id = -1


class _Trade(msgspec.Struct, frozen=True):
    px: str
    sz: str
    side: str
    ts: str
    tradeId: str


_MESSAGE = msgspec.json.Decoder(_Message)
_BOOKS = msgspec.json.Decoder(list[_Book])
_TRADES = msgspec.json.Decoder(list[_Trade])


class OkxSync(InStream):
    """Each difference names the id before it; where it does not, it is taken as it comes. A snapshot replaces all."""

    def update(self, ids: Ids) -> Step:
        if ids.previous not in (-1, self.last_id):
            return Step.GAP
        self.last_id = ids.last
        return Step.APPLY


def read_recording(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int) -> Tape:
    """One kind of rows of one instrument (OKX's name of it). Raises DataError."""
    depth, trades = DepthRows(str(path)), MessageRows(str(path), ("price", "size"))
    sides: list[int] = []
    names: list[str] = []
    seen: set[str] = set()
    least: int | None = None
    for line in lines(path):
        try:
            message = _MESSAGE.decode(line.payload)
            seen.add(f"{message.arg.channel} {message.arg.instId}")
            if not message.data:
                continue
            mine = message.arg.instId == symbol
            if message.arg.channel == "books":
                for book in _BOOKS.decode(message.data):
                    at = nanoseconds(int(book.ts)) if book.ts.isdigit() else 0
                    least = _less(least, line.receipt, at)
                    if mine:
                        ids = Ids(book.seqId, book.seqId, book.prevSeqId)
                        snapshot = message.action == "snapshot"
                        depth.add(line.number, line.receipt, at, ids, book.bids, book.asks, is_snapshot=snapshot)
            elif message.arg.channel == "trades":
                for trade in _TRADES.decode(message.data):
                    if trade.side not in SIDES or not trade.ts.isdigit():
                        raise line.wrong("a trade without side or time")
                    least = _less(least, line.receipt, nanoseconds(int(trade.ts)))
                    if mine:
                        trades.add(line, int(trade.ts), trade.px, trade.sz)
                        sides.append(SIDES[trade.side])
                        names.append(trade.tradeId)
        except UNREADABLE as error:
            raise line.wrong(error) from error
    if not (depth if kind == "depth" else trades):
        raise DataError(
            f"{path}: has no {kind} of {symbol}; it has {', '.join(sorted(seen - {' '})[:12]) or 'no channels'}; "
            "change `symbol`, `kind` or `path`"
        )
    if kind == "depth":
        ticks = depth.ticks(OkxSync(), least)
        if all(message.ids.last < 0 for message in depth.messages):
            ticks = ticks.noted("the recording is older than OKX's message ids: a missing message could not be seen")
        return tick_tape(kind, ticks, venue=venue, symbol=symbol, feed_ns=feed_ns)
    ticks = trades.ticks(("price",), ("size",), least)
    ticks.codes = {"side": np.array(sides, dtype=np.int8)}
    return tick_tape(
        kind, ticks.once(named_twice(np.array(names, dtype=np.bytes_))), venue=venue, symbol=symbol, feed_ns=feed_ns
    )


def _less(least: int | None, receipt: int | None, at: int) -> int | None:
    """The quicker of the quickest leg so far and this one."""
    if receipt is None or not at:
        return least
    leg = receipt - at
    return leg if least is None or leg < least else least
