"""Trades from any CSV with a header that names a time, a price, a size and the aggressor's side.

A side is a word (`buy`, `sell`) or the flag "buyer is maker", which says the opposite of it. Where trades have ids, one
that comes twice counts once; what is missing between two ids is not looked for, as not every venue counts in steps of
one. Nobody says when a trade was received.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from adapters.columns import Origin
from adapters.csv_table import Block, Layout, gathered, read_blocks, separator_of
from adapters.decimals import Column
from adapters.recorded.trade_ids import named_twice
from adapters.ticks import aggressor, tick_tape, trade_ticks
from core.errors import DataError
from core.tape import Kind, Tape

KINDS = ("trades",)
FIELDS = ("time", "price", "qty", "side")
"""What a trade has, and what `columns` may name."""
MAKER = "buyer_is_maker"
NAMES: dict[str, tuple[str, ...]] = {
    "time": ("timestamp", "time", "datetime", "date", "ts", "unix", "trade_time", "transact_time"),
    "price": ("price", "p"),
    "qty": ("amount", "qty", "quantity", "size", "volume", "vol", "q"),
    "side": ("side", "taker_side", "aggressor", "aggressor_side", "direction"),
    MAKER: ("is_buyer_maker", "isbuyermaker", "buyer_is_maker", "buyer_maker"),
    "id": ("id", "trade_id", "tradeid", "tid"),
    "symbol": ("symbol", "pair", "market", "instrument"),
}
"""Header names understood without `columns`, any case, the first that is there."""
SIDES = {b"buy": 1, b"sell": -1, b"b": 1, b"s": -1}
FLAGS = {b"true": 1, b"false": 0, b"1": 1, b"0": 0, b"t": 1, b"f": 0}


def looks_like_trades(fields: list[str]) -> bool:
    """Whether a CSV's first line names all that a trade has."""
    return not _absent(_positions(fields, {}))


def read_trades(
    path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int, columns: Mapping[str, str] | None = None
) -> Tape:
    """A whole file of one symbol. `columns`: our field to the file's name, where that is another. Raises DataError."""
    rows = gathered(
        read_blocks(path, lambda names, line, origin: _layout(names, line, columns or {}, origin)),
        numbers={"price": "price", "size": "qty"},
        others={
            "time": lambda block: block.times("time"),
            "side": _sides,
            "symbol": _words("symbol"),
            "id": _words("id"),
        },
    )
    found = np.unique(rows.others["symbol"])
    if len(found) > 1:
        shown = b", ".join(found[:8]).decode("utf-8", "replace")
        raise DataError(f"{path}: holds trades of {shown}; expected one symbol a file; split it")
    ticks = trade_ticks(path, rows)
    ids = rows.others["id"]
    if ids[0]:
        ticks = ticks.once(named_twice(ids))
    return tick_tape(kind, ticks, venue=venue, symbol=symbol, feed_ns=feed_ns)


def _layout(names: list[str], line: bytes, columns: Mapping[str, str], origin: Origin) -> Layout:
    positions = _positions(names, columns)
    absent = _absent(positions)
    if absent:
        raise origin.whole(
            f"has the columns {', '.join(names[:15])}; I find none for {', '.join(absent)}",
            "a header with time, price, qty and side (any case, any order; is_buyer_maker does for side)",
            "name them in the source: `columns: {" + ", ".join(f"{field}: ..." for field in absent) + "}`",
        )
    return Layout(separator_of(line), True, positions, len(names))


def _positions(names: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Where each field that is there stands."""
    lower = [name.lower() for name in names]
    wanted = {**NAMES, **{field: (name.lower(),) for field, name in columns.items()}}
    found = {field: next((lower.index(name) for name in words if name in lower), -1) for field, words in wanted.items()}
    return {field: at for field, at in found.items() if at >= 0}


def _absent(positions: Mapping[str, int]) -> list[str]:
    return [field for field in FIELDS if field not in positions and not (field == "side" and MAKER in positions)]


def _sides(block: Block) -> Column:
    return block.one_of("side", SIDES) if "side" in block else aggressor(block.one_of(MAKER, FLAGS) == 1)


def _words(name: str) -> Callable[[Block], Column]:
    """A column of words; of empty ones where the file has no such column."""
    return lambda block: block.words(name) if name in block else np.full(len(block), b"")
