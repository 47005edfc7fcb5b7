"""Bybit's public dumps of trades (csv.gz), contracts and spot; columns by header, for some came only in 2026.

Contracts: `timestamp` in seconds with a fraction, `size` in base units of linear contracts, ids of 36 characters. Spot:
`timestamp` in milliseconds, `volume`, ids that count on. `side` is the taker's. Some old files are newest first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adapters import wrapped
from adapters.columns import Origin
from adapters.csv_table import Block, fields_of, gathered, headed, read_blocks
from adapters.decimals import Column
from adapters.recorded.trade_ids import named_twice
from adapters.ticks import tick_tape, trade_ticks
from core.errors import DataError
from core.tape import RPI, Kind, Tape

SIDES = {b"buy": 1, b"sell": -1}
YES = {b"true": 1, b"1": 1, b"false": 0, b"0": 0, b"": 0}
KINDS = ("trades",)


def read_dump(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int) -> Tape:
    """One file of one symbol. Raises DataError."""
    header = {field.lower() for field in fields_of(wrapped.head(path, Origin(str(path), "line")).partition(b"\n")[0])}
    size = "size" if "size" in header else "volume"
    name = "trdmatchid" if "trdmatchid" in header else "id"
    rows = gathered(
        read_blocks(path, lambda fields, line, origin: headed(fields, line)),
        numbers={"price": "price", "size": size},
        others={
            "time": lambda block: block.times("timestamp"),
            "side": lambda block: block.one_of("side", SIDES),
            "rpi": lambda block: block.one_of("rpi", YES) if "rpi" in block else np.zeros(len(block), dtype=np.int8),
            "id": lambda block: block.words(name),
            "mine": lambda block: _mine(block, symbol),
        },
        need=("timestamp", "side", name),
    )
    ticks = trade_ticks(path, rows, flags=np.where(rows.others["rpi"] == 1, RPI, 0).astype(np.int8))
    mine = rows.others["mine"]
    if not mine.any():
        raise DataError(f"{path}: holds no trades of {symbol}; expected that symbol; change `symbol` or `path`")
    ticks = ticks.taken(mine).once(named_twice(rows.others["id"][mine]))
    if len(ticks) > 1 and ticks.ts_venue[0] > ticks.ts_venue[-1] and (np.diff(ticks.ts_venue) <= 0).all():
        ticks = ticks.taken(np.arange(len(ticks) - 1, -1, -1)).noted("the file is newest first: read from its end")
    return tick_tape(kind, ticks, venue=venue, symbol=symbol, feed_ns=feed_ns)


def looks_like_dump(fields: list[str]) -> bool:
    """Whether a CSV's first line is that of one of these."""
    lower = {field.lower() for field in fields}
    return {"timestamp", "side", "price"} <= lower and bool({"trdmatchid", "tickdirection"} & lower or lower >= _SPOT)


_SPOT = {"id", "timestamp", "price", "volume", "side"}


def _mine(block: Block, symbol: str) -> Column:
    """Which rows are of the symbol; spot files do not say and are of one."""
    if "symbol" not in block:
        return np.ones(len(block), dtype=bool)
    mine: Column = block.words("symbol") == symbol.encode()
    return mine
