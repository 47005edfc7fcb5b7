"""Trades as ccxt and the bots built on it store them: a JSON list of its trade objects, or the same as feather columns.

The venue's own trade under `info` (Binance: `p`, `q`, `T`, `m`) counts before ccxt's numbers; without it the digits of
the JSON are taken as they stand. Times are milliseconds; nobody says when a trade was received.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from adapters import wrapped
from adapters.bars_arrow import filled, numbers_of, reading, table_of, times_of
from adapters.columns import Origin
from adapters.decimals import BadCell, Column, Decimals, from_strings
from adapters.recorded.recordings import BadTime, nanoseconds
from adapters.recorded.trade_ids import numbered
from adapters.ticks import Ticks, bad_cell, tick_tape
from core.errors import DataError
from core.tape import Kind, Tape

SIDES = {"buy": 1, "sell": -1}
KINDS = ("trades",)


class _Info(msgspec.Struct, frozen=True):
    p: str = ""
    q: str = ""


class _Trade(msgspec.Struct, frozen=True):
    timestamp: int
    side: str
    price: msgspec.Raw
    amount: msgspec.Raw
    id: str | int | None = None
    info: _Info | None = None


_TRADES = msgspec.json.Decoder(list[_Trade])


def read_json(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int) -> Tape:
    """A whole JSON file. Raises DataError."""
    origin = Origin(str(path), "trade")
    with wrapped.opened(path, origin, endings=wrapped.TEXT_ENDINGS) as stream:
        text = stream.read()
    try:
        trades = _TRADES.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise origin.whole(
            f"cannot be read as ccxt trades ({error})",
            "a JSON list of objects with timestamp, side, price, amount",
            "check `format`, or fetch the file again",
        ) from error
    lines = np.arange(1, len(trades) + 1, dtype=np.int64)
    ticks = Ticks(
        origin.name,
        lines,
        _times(trades, origin),
        None,
        {"price": _numbers(origin.name, lines, "price", [_text(t.info.p if t.info else "", t.price) for t in trades])},
        {"size": _numbers(origin.name, lines, "amount", [_text(t.info.q if t.info else "", t.amount) for t in trades])},
        {"side": _sides([trade.side for trade in trades], origin)},
        unit="trade",
    )
    return _tape(ticks, [str(trade.id) for trade in trades], kind, venue, symbol, feed_ns)


def read_feather(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int, arrow: str) -> Tape:
    """A whole feather or Parquet file (`arrow` says which). Raises DataError."""
    origin = Origin(str(path))
    notes: list[str] = []
    with reading(arrow, origin):
        table = table_of(path, arrow)
        absent = [name for name in ("timestamp", "side", "price", "amount") if name not in table.column_names]
        if absent:
            raise origin.whole(
                f"has the columns {', '.join(table.column_names[:15])}; I find none for {', '.join(absent)}",
                "trades as ccxt has them: timestamp, side, price, amount, and id where there are ids",
                "check `kind` and `path`",
            )
        column = {name: filled(table.column(name), name, origin) for name in ("timestamp", "side", "price", "amount")}
        ticks = Ticks(
            origin.name,
            np.arange(1, table.num_rows + 1, dtype=np.int64),
            times_of(column["timestamp"], origin),
            None,
            {"price": numbers_of(column["price"], "price", origin, notes)},
            {"size": numbers_of(column["amount"], "amount", origin, notes)},
            {"side": _sides(column["side"].to_pylist(), origin)},
            unit="row",
        )
        ids = [str(value) for value in table.column("id").to_pylist()] if "id" in table.column_names else []
    return _tape(ticks.noted(*notes), ids, kind, venue, symbol, feed_ns)


def _tape(ticks: Ticks, ids: list[str], kind: Kind, venue: str, symbol: str, feed_ns: int) -> Tape:
    if ids and all(text.isdigit() and len(text) <= 18 for text in ids):
        seen = numbered(np.array([int(text) for text in ids], dtype=np.int64), ticks.ts_venue)
        ticks.gaps = seen.gaps
        ticks = ticks.noted(*seen.notes).taken(seen.keep)
    return tick_tape(kind, ticks, venue=venue, symbol=symbol, feed_ns=feed_ns)


def _times(trades: list[_Trade], origin: Origin) -> Column:
    times = np.zeros(len(trades), dtype=np.int64)
    for at, trade in enumerate(trades):
        try:
            times[at] = nanoseconds(trade.timestamp)
        except BadTime as error:
            raise origin.error(at, "timestamp", str(error), "milliseconds since 1970", "correct the row") from None
    return times


def _text(exact: str, number: msgspec.Raw) -> str:
    return exact or bytes(number).decode().strip('"')


def _sides(words: list[str], origin: Origin) -> Column:
    wrong = next((at for at, word in enumerate(words) if word not in SIDES), None)
    if wrong is not None:
        raise _bad_side(origin, wrong, words[wrong])
    return np.array([SIDES[word] for word in words], dtype=np.int8)


def _bad_side(origin: Origin, at: int, word: str) -> DataError:
    return origin.error(at, "side", f"{word!r} is unknown", "buy or sell", "correct the row")


def _numbers(name: str, lines: Column, column: str, cells: list[str]) -> Decimals:
    try:
        return from_strings(cells)
    except BadCell as cell:
        raise bad_cell(name, lines, column, cell, unit="trade") from None
