"""Binance's public dumps of ticks: trades, aggTrades, bookTicker and the futures' depth rows; zip or CSV.

With or without a header (some years have one, some none: the first line tells); times in milliseconds, of spot from
2025 on in microseconds. No dump says when anybody received a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np

from adapters.binance.book_sync import FuturesSync
from adapters.columns import Origin
from adapters.csv_table import Block, Layout, gathered, headed, read_blocks, separator_of
from adapters.decimals import Column
from adapters.recorded.book_sync import Ids
from adapters.recorded.depth_rows import DepthRows
from adapters.recorded.trade_ids import numbered
from adapters.ticks import Ticks, aggressor, tick_tape, trade_ticks
from core.errors import DataError
from core.moments import DAY_NS
from core.tape import Kind, Tape

TRADES = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match")
AGG_TRADES = (
    "agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker",
    "is_best_match",
)  # fmt: skip
BOOK_TICKER = (
    "update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "transaction_time", "event_time",
)  # fmt: skip
DEPTH = ("symbol", "timestamp", "first_update_id", "last_update_id", "side", "update_type", "price", "qty", "pu")
BANDS = ("timestamp", "percentage", "depth", "notional")
"""Sums of sizes within some per cent of the price."""
NAMES = {
    "id": ("id", "trade_id", "agg_trade_id", "a"),
    "price": ("price",),
    "size": ("qty", "quantity"),
    "time": ("time", "transact_time"),
    "maker": ("is_buyer_maker", "isbuyermaker"),
}
"""Our word for a column to the headers that were used for it."""
WORDS = {b"true": 1, b"1": 1, b"false": 0, b"0": 0}


def read_dump(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int) -> Tape:
    """One dump, which holds one symbol and one kind of rows. Raises DataError."""
    ticks = READERS[kind](path, symbol)
    return tick_tape(kind, ticks, venue=venue, symbol=symbol, feed_ns=feed_ns)


def read_days(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int) -> Iterator[Tape]:
    """The trades or quotes of a long dump, a tape for each UTC day with rows, oldest first; one day is in memory.

    A row that came after the first of a later day is with that day's. Raises DataError.
    """
    blocks_of, ticks_of = {"trades": (_trade_blocks, _trade_ticks), "quotes": (_quote_blocks, _quote_ticks)}[kind]
    for _, day in groupby(_by_day(blocks_of(path)), key=itemgetter(0)):
        ticks = ticks_of(path, (block for _, block in day))
        yield tick_tape(kind, ticks, venue=venue, symbol=symbol, feed_ns=feed_ns)


def _by_day(blocks: Iterator[Block]) -> Iterator[tuple[int, Block]]:
    """Blocks cut at midnights, with their days since 1970."""
    newest = 0
    for block in blocks:
        if "time" not in block:
            yield newest, block  # whoever gathers its columns tells which are missing
            continue
        days = np.maximum.accumulate(np.maximum(block.times("time") // DAY_NS, newest))
        newest = int(days[-1])
        cuts = (np.flatnonzero(np.diff(days)) + 1).tolist()
        yield from zip(days[[0, *cuts]].tolist(), block.split(cuts) if cuts else [block], strict=True)


def looks_like_dump(fields: list[str]) -> bool:
    """Whether a CSV's first line can be one of these."""
    lower = {field.lower() for field in fields}
    if any({*columns[:3]} <= lower for columns in (TRADES, AGG_TRADES, BOOK_TICKER, DEPTH, BANDS)):
        return True
    return fields[0].isdigit() and 6 <= len(fields) <= 8


def _layout(kind: Kind, fields: list[str], line: bytes, origin: Origin) -> Layout:
    """Columns by header, or by what stands in the first row."""
    if not fields[0].isdigit():
        layout = headed(fields, line)
        if {*BANDS} <= layout.positions.keys():
            raise origin.whole(
                "is a bookDepth dump: it sums sizes in bands of per cent and has no price levels",
                "a recording of the depth stream, or a book ticker dump",
                f"use another source for {kind}",
            )
        return layout
    guessed = {"trades": _trade_columns(fields), "quotes": BOOK_TICKER, "depth": DEPTH}[kind]
    if not len(guessed) - 1 <= len(fields) <= len(guessed):
        raise origin.whole(
            f"has no header and {len(fields)} columns",
            f"the columns of a {kind} dump",
            "check `kind`, or add the header row",
        )
    return Layout(separator_of(line), False, {name: at for at, name in enumerate(guessed)}, len(fields))


def _trade_columns(fields: list[str]) -> tuple[str, ...]:
    """Of a row without a header: the flag "buyer is maker" is the sixth of a trade, the seventh of an aggTrade."""
    return TRADES if len(fields) > 5 and fields[5].lower() in ("true", "false") else AGG_TRADES


def _named(path: Path, kind: Kind, names: dict[str, tuple[str, ...]]) -> Iterator[Block]:
    """The blocks of a dump, whose columns also go by our names."""
    for block in read_blocks(path, lambda fields, line, origin: _layout(kind, fields, line, origin)):
        for ours, theirs in names.items():
            found = [block.layout.positions[name] for name in theirs if name in block]
            if found:
                block.layout.positions[ours] = found[0]
        yield block


def _trade_blocks(path: Path) -> Iterator[Block]:
    return _named(path, "trades", NAMES)


def _trade_ticks(path: Path, blocks: Iterator[Block]) -> Ticks:
    rows = gathered(
        blocks,
        numbers={"price": "price", "size": "size"},
        others={
            "time": lambda block: block.times("time"),
            "side": lambda block: aggressor(block.one_of("maker", WORDS) == 1),
            "id": lambda block: block.whole("id"),
        },
        need=tuple(NAMES),
    )
    seen = numbered(rows.others["id"], rows.others["time"])
    ticks = trade_ticks(path, rows).noted(*seen.notes)
    ticks.gaps = seen.gaps
    return ticks.taken(seen.keep)


def _quote_blocks(path: Path) -> Iterator[Block]:
    return _named(path, "quotes", {"time": ("transaction_time",)})


def _quote_ticks(path: Path, blocks: Iterator[Block]) -> Ticks:
    rows = gathered(
        blocks,
        numbers={f"{side}_{ours}": f"best_{side}_{theirs}" for side in ("bid", "ask") for ours, theirs in _QUOTE},
        others={"time": lambda block: block.times("time")},
        need=("transaction_time",),
    )
    prices = {name: column for name, column in rows.numbers.items() if name.endswith("price")}
    sizes = {name: column for name, column in rows.numbers.items() if name.endswith("size")}
    return Ticks(str(path), rows.others["line"], rows.others["time"], None, prices, sizes)


_QUOTE = (("price", "price"), ("size", "qty"))


def _depth(path: Path, symbol: str) -> Ticks:
    """Rows of the depth stream: consecutive rows with the same ids and kind are one message."""
    columns = gathered(
        read_blocks(path, lambda fields, line, origin: _layout("depth", fields, line, origin)),
        numbers={},
        others={
            **{name: partial(Block.whole, name=name) for name in ("first_update_id", "last_update_id", "pu")},
            "snap": lambda block: block.one_of("update_type", {b"snap": 1, b"set": 0}),
            "bid": lambda block: block.one_of("side", {b"b": 1, b"bid": 1, b"a": 0, b"ask": 0}),
            "mine": lambda block: (block.words("symbol") == symbol.encode()).astype(np.int8),
            "time": lambda block: block.times("timestamp"),
            "price": lambda block: block.words("price"),
            "size": lambda block: block.words("qty"),
        },
        need=DEPTH,
    ).others
    parts = [columns[name] for name in ("first_update_id", "last_update_id", "snap", "mine")]
    changes = np.logical_or.reduce([np.diff(part) != 0 for part in parts])
    starts = [0, *(np.flatnonzero(changes) + 1).tolist(), len(columns["time"])]
    rows = DepthRows(str(path))
    for low, high in pairwise(starts):
        if columns["mine"][low]:
            _add_message(rows, {name: column[low:high] for name, column in columns.items()})
    if not len(rows):
        raise DataError(f"{path}: holds no rows of {symbol}; expected that symbol; change `symbol` or `path`")
    return rows.ticks(FuturesSync(), None)


def _add_message(rows: DepthRows, message: dict[str, Column]) -> None:
    levels = list(zip(message["bid"].tolist(), map(_text, message["price"]), map(_text, message["size"]), strict=True))
    rows.add(
        int(message["line"][0]),
        None,
        int(message["time"][0]),
        Ids(int(message["first_update_id"][0]), int(message["last_update_id"][0]), int(message["pu"][0])),
        [level[1:] for level in levels if level[0]],
        [level[1:] for level in levels if not level[0]],
        is_snapshot=bool(message["snap"][0]),
    )


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")


READERS: dict[str, Callable[[Path, str], Ticks]] = {
    "trades": lambda path, symbol: _trade_ticks(path, _trade_blocks(path)),
    "quotes": lambda path, symbol: _quote_ticks(path, _quote_blocks(path)),
    "depth": _depth,
}
KINDS = tuple(READERS)
"""Kinds of rows there are dumps of."""
