"""Tardis.dev CSV files: trades, quotes, incremental_book_L2 and book_snapshot_N, of any exchange.

`timestamp` is the exchange's time, `local_timestamp` the receipt, both microseconds. Rows of a book with one receipt
are one message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adapters import wrapped
from adapters.columns import Origin
from adapters.csv_table import Block, Gathered, fields_of, gathered, headed, read_blocks
from adapters.decimals import BadCell, Column, Decimals, from_strings
from adapters.recorded.trade_ids import numbered
from adapters.ticks import Ticks, bad_cell, tick_tape
from core.errors import DataError
from core.tape import LAST, SNAPSHOT, Kind, Tape

COLUMNS = ("exchange", "symbol", "timestamp", "local_timestamp")
SIDES = {b"buy": 1, b"sell": -1, b"unknown": 0}
BOOK_SIDES = {b"bid": 1, b"ask": -1}
_LEVEL = re.compile(r"(asks|bids)\[(\d+)\]\.price")


def read_tardis(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int) -> Tape:
    """One symbol of a file. Raises DataError, also where the file has another kind of rows."""
    ticks = READERS[kind](path, symbol)
    return tick_tape(kind, ticks, venue=venue, symbol=symbol, feed_ns=feed_ns)


def looks_like_tardis(fields: list[str]) -> bool:
    """Whether a CSV's first line is one of these."""
    return tuple(field.lower() for field in fields[:4]) == COLUMNS


def _read(
    path: Path,
    symbol: str,
    numbers: dict[str, str],
    others: dict[str, Callable[[Block], Column]],
    need: tuple[str, ...] = (),
) -> Gathered:
    """The rows of one symbol with both times."""
    blocks = read_blocks(path, lambda fields, line, origin: headed(fields, line))
    rows = gathered(
        blocks,
        numbers=numbers,
        others={
            "time": lambda block: block.times("timestamp"),
            "receipt": lambda block: block.times("local_timestamp"),
            "symbol": lambda block: block.words("symbol"),
            **others,
        },
        need=(*COLUMNS, *need),
    )
    mine = rows.others["symbol"] == symbol.encode()
    if not mine.any():
        names = b", ".join(np.unique(rows.others["symbol"])[:8]).decode("utf-8", "replace")
        raise DataError(f"{path}: holds no rows of {symbol}; it holds {names}; change `symbol` or `path`")
    return Gathered(
        {name: Decimals(column.mantissas[mine], column.scale) for name, column in rows.numbers.items()},
        {name: column[mine] for name, column in rows.others.items()},
    )


def _ticks(path: Path, rows: Gathered, prices: tuple[str, ...], sizes: tuple[str, ...]) -> Ticks:
    return Ticks(
        str(path),
        rows.others["line"],
        rows.others["time"],
        rows.others["receipt"],
        {name: rows.numbers[name] for name in prices},
        {name: rows.numbers[name] for name in sizes},
    )


def _trades(path: Path, symbol: str) -> Ticks:
    rows = _read(
        path,
        symbol,
        {"price": "price", "size": "amount"},
        {"side": lambda block: block.one_of("side", SIDES), "id": lambda block: block.words("id")},
        ("side", "id"),
    )
    ticks = _ticks(path, rows, ("price",), ("size",))
    ticks.codes = {"side": rows.others["side"]}
    keep = rows.others["side"] != 0
    notes = []
    if not keep.all():
        notes.append(f"{int(np.count_nonzero(~keep))} trades of an unknown side (auctions): left out")
    ids = rows.others["id"]
    if np.char.isdigit(ids).all() and ids.dtype.itemsize <= 18:
        seen = numbered(ids.astype(np.int64), ticks.ts_venue)
        keep &= seen.keep
        ticks.gaps = seen.gaps
        notes += seen.notes
    return ticks.noted(*notes).taken(keep)


def _quotes(path: Path, symbol: str) -> Ticks:
    numbers = {f"{side}_{ours}": f"{side}_{theirs}" for side in ("bid", "ask") for ours, theirs in _QUOTE}
    rows = _read(path, symbol, numbers, {})
    return _ticks(path, rows, ("bid_price", "ask_price"), ("bid_size", "ask_size"))


_QUOTE = (("price", "price"), ("size", "amount"))


def _depth(path: Path, symbol: str) -> Ticks:
    """incremental_book_L2, or book_snapshot_N where the header has numbered levels."""
    header = wrapped.head(path, Origin(str(path), "line")).partition(b"\n")[0]
    found = [_LEVEL.fullmatch(name) for name in fields_of(header)]
    levels = [(match[1], int(match[2])) for match in found if match is not None]
    return _snapshots(path, symbol, levels) if levels else _differences(path, symbol)


def _differences(path: Path, symbol: str) -> Ticks:
    rows = _read(
        path,
        symbol,
        {"price": "price", "size": "amount"},
        {
            "side": lambda block: block.one_of("side", BOOK_SIDES),
            "snapshot": lambda block: block.one_of("is_snapshot", {b"true": 1, b"false": 0}),
        },
        ("side", "is_snapshot"),
    )
    ticks = _ticks(path, rows, ("price",), ("size",))
    snapshot = rows.others["snapshot"] == 1
    ends = np.ones(len(ticks), dtype=bool)
    ends[:-1] = (np.diff(rows.others["receipt"]) != 0) | (np.diff(snapshot.astype(np.int8)) != 0)
    flags = np.where(snapshot, SNAPSHOT, 0) | np.where(ends, LAST, 0)
    ticks.codes = {"side": rows.others["side"], "flags": flags.astype(np.int8)}
    firsts = snapshot & np.concatenate(([True], ends[:-1]))
    if not firsts[0]:
        return ticks.noted(
            "the file does not begin with a snapshot: levels that do not change before the first one are missing"
        )
    if (again := int(np.count_nonzero(firsts)) - 1) > 0:
        return ticks.noted(f"{again} more snapshots inside: the recorder connected again, what was between is not here")
    return ticks


def _snapshots(path: Path, symbol: str, levels: list[tuple[str, int]]) -> Ticks:
    """Each row is a whole message: the best levels of both sides; a cell is empty where there are fewer."""
    names = [f"{side}[{at}].{what}" for side, at in levels for what in ("price", "amount")]
    rows = _read(path, symbol, {}, {name: _words(name) for name in names}, tuple(names))
    count = len(rows.others["line"])
    prices = np.column_stack([rows.others[f"{side}[{at}].price"] for side, at in levels])
    sizes = np.column_stack([rows.others[f"{side}[{at}].amount"] for side, at in levels])
    side = np.tile(np.array([1 if side == "bids" else -1 for side, _ in levels], dtype=np.int8), (count, 1))
    there = prices != b""
    per_row = there.sum(axis=1)
    flags = np.full(int(per_row.sum()), SNAPSHOT, dtype=np.int8)
    flags[np.cumsum(per_row)[per_row > 0] - 1] |= LAST
    lines = np.repeat(rows.others["line"], per_row)
    return Ticks(
        str(path),
        lines,
        np.repeat(rows.others["time"], per_row),
        np.repeat(rows.others["receipt"], per_row),
        {"price": _numbers(path, lines, "price", prices[there])},
        {"size": _numbers(path, lines, "amount", sizes[there])},
        {"side": side[there], "flags": flags},
        notes=(f"snapshots of the {len(levels) // 2} best levels a side: what lies deeper is not in the book",),
    )


def _numbers(path: Path, lines: Column, name: str, cells: Column) -> Decimals:
    try:
        return from_strings([cell.decode("utf-8", "replace") for cell in cells])
    except BadCell as cell:
        raise bad_cell(str(path), lines, name, cell) from None


def _words(name: str) -> Callable[[Block], Column]:
    return lambda block: block.words(name)


READERS: dict[str, Callable[[Path, str], Ticks]] = {"trades": _trades, "quotes": _quotes, "depth": _depth}
KINDS = tuple(READERS)
"""Kinds of rows there are files of."""
