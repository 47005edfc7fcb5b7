"""Tapes of trades, quotes, depth and l3 rows as the rows of the kernel: merged by engine time, a chunk at a time.

Ties at one nanosecond follow F0: prints before books, then the order of the markets, then the row's number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from core.errors import DataError
from core.tape import ADD, DELETE, LAST, MODIFY, SNAPSHOT, Column, Rows
from sim.books import kernel_state as kernel
from sim.books.chunk_shelf import ChunkShelf

CHUNK = 1 << 14
"""Rows of one tape read at once: so few that putting them in order stays within the processor's cache."""
NOTHING = np.zeros(0, dtype=np.int64)
MANTISSA_MAX = 2**62
"""No price or size of a book is larger: sums of two still fit an int64."""
CODES = {"depth": kernel.DEPTH, "trades": kernel.TRADE, "quotes": kernel.QUOTE, "l3": kernel.L3}


class Source(NamedTuple):
    """One tape of a market of the kernel, and the powers of ten that bring it to the market's units."""

    tape: Rows
    market: int
    price_factor: int
    size_factor: int
    received_after: int | None = None
    """Set: rows count by receipt plus this many nanoseconds, as we learn of them; None: by engine time."""

    def times(self, columns: dict[str, Column]) -> Column:
        """When each row counts."""
        if self.received_after is None:
            return columns["ts_venue"].copy()  # writable like every other column: one signature for the compiler
        return columns["ts"] + self.received_after


def merged(sources: list[Source], shelf: ChunkShelf, chunk: int = CHUNK) -> Iterator[kernel.Rows]:
    """The rows of all sources in the order of F0. Memory is bounded by `chunk` rows of each source, and by the shelf's.

    Tapes are read off `shelf`, which others may do too.
    """
    streams = [_ordered(source, shelf.chunks(source.tape, chunk)) for source in sources]
    heads: list[kernel.Rows | None] = [next(stream, None) for stream in streams]
    while any(head is not None for head in heads):
        # Up to the earliest end of what is loaded everything can be put in order; the rest waits for its next chunk.
        bound = min(int(head.at[-1]) for head in heads if head is not None)
        ready: list[kernel.Rows] = []
        for number, head in enumerate(heads):
            while head is not None:
                cut = int(np.searchsorted(head.at, bound, side="right"))
                if cut:
                    ready.append(_part(head, 0, cut))
                if cut < len(head.at):
                    head = _part(head, cut, len(head.at))
                    break
                head = next(streams[number], None)
            heads[number] = head
        yield _in_order(ready)


def _in_order(parts: list[kernel.Rows]) -> kernel.Rows:
    """Parts, each in order and of one tape, as one."""
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=_rank)
    columns = [np.concatenate([part[field] for part in parts]) for field in range(len(parts[0]))]
    order = np.argsort(columns[0], kind="stable")  # at one nanosecond the parts stay in order of their rank
    return kernel.Rows(*(column.take(order) for column in columns))


def _rank(part: kernel.Rows) -> tuple[bool, int]:
    """Prints before books, then the order of the markets: the same in every row of a tape."""
    what = part.what.item(0)
    return (what >> 2) & 3 != kernel.TRADE, what >> 8


def _part(rows: kernel.Rows, low: int, high: int) -> kernel.Rows:
    return kernel.Rows(*(column[low:high] for column in rows))


def _ordered(source: Source, chunks: Iterator[dict[str, Column]]) -> Iterator[kernel.Rows]:
    """One tape in engine time: rows that are out of order by receipt wait until all before them are there."""
    disorder = source.tape.max_disorder_ns if source.received_after is None else 0
    pending: kernel.Rows | None = None
    for rows in _converted(source, chunks):
        if pending is not None:
            rows = kernel.Rows(*(np.concatenate(pair) for pair in zip(pending, rows, strict=True)))
            pending = None
        if disorder:
            order = np.argsort(rows.at, kind="stable")
            rows = kernel.Rows(*(column[order] for column in rows))
            cut = int(np.searchsorted(rows.at, rows.at[-1] - disorder, side="right"))
            pending = _part(rows, cut, len(rows.at))
            rows = _part(rows, 0, cut)
        if len(rows.at):
            yield rows
    if pending is not None and len(pending.at):
        yield pending


def _converted(source: Source, chunks: Iterator[dict[str, Column]]) -> Iterator[kernel.Rows]:
    first = 0
    orders = OrderPlaces()
    for columns in chunks:
        count = len(columns["ts"])
        if not count:
            continue
        _refuse_long(source, columns)
        numbers = np.arange(first, first + count, dtype=np.int64)
        first += count
        if source.tape.kind == "quotes":
            yield _quotes(source, columns, numbers)
        elif source.tape.kind == "l3":
            yield _orders(source, columns, numbers, orders)
        else:
            flags = columns["flags"].astype(np.int64)
            yield kernel.Rows(
                source.times(columns),
                _what(source, flags, columns["side"]),
                columns["price"] * source.price_factor,
                columns["size"] * source.size_factor,
                numbers,
                np.zeros(count, dtype=np.int64),
            )


def _refuse_long(source: Source, columns: dict[str, Column]) -> None:
    """Raises DataError where a number of the tape, in the market's finer unit, does not fit an int64."""
    for name, column in columns.items():
        factor = source.price_factor if name.endswith("price") else source.size_factor if name.endswith("size") else 1
        most = int(np.abs(column).max()) if factor > 1 else 0
        if most * factor > MANTISSA_MAX:
            raise DataError(
                f"{source.tape.source}: {name} {most} of the {source.tape.kind} of {source.tape.symbol} does not fit "
                f"the market's unit, {factor} times finer; expected a tick and step with fewer decimals"
            )


def _what(source: Source, flags: Column, side: Column) -> Column:
    kind = CODES[source.tape.kind]
    packed: Column = ((source.market * 16 + flags) * 4 + kind) * 4 + side.astype(np.int64) + 1
    return packed


def _quotes(source: Source, columns: dict[str, Column], numbers: Column) -> kernel.Rows:
    """A quote is two rows: its bid, then its ask, which ends the message."""
    count = len(numbers)

    def both(bid: Column, ask: Column) -> Column:
        pair = np.empty(2 * count, dtype=np.int64)
        pair[0::2], pair[1::2] = bid, ask
        return pair

    bid, ask = np.zeros(count, dtype=np.int64), np.full(count, LAST, dtype=np.int64)
    side = both(np.ones(count, dtype=np.int64), -np.ones(count, dtype=np.int64))
    return kernel.Rows(
        np.repeat(source.times(columns), 2),
        _what(source, both(bid, ask), side),
        both(columns["bid_price"], columns["ask_price"]) * source.price_factor,
        both(columns["bid_size"], columns["ask_size"]) * source.size_factor,
        np.repeat(numbers, 2),
        np.zeros(2 * count, dtype=np.int64),
    )


class OrderPlaces:
    """What is known of every order of an l3 book: side, price, size, and the row with which it joined its queue."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[int, int, int, int]] = {}
        self.named: set[int] = set()
        """Ids the snapshot under way has named so far."""


def _orders(source: Source, columns: dict[str, Column], numbers: Column, orders: OrderPlaces) -> kernel.Rows:
    """Orders as changes of their levels. A smaller size keeps the place; a larger one, or another price, joins anew.
    At the same price that is one change of the level: only what it grew by is fresh liquidity (F3).

    An order that was never added (it was there before the tape began) is taken as older than all others: its own row
    says what it holds from then on, and nothing is subtracted from a level that does not hold it. A row that does not
    say where such an order stands is left out. A snapshot names every order there is: those it lists again keep their
    place, those it omits are gone.
    """
    at: list[int] = []
    what: list[int] = []
    price: list[int] = []
    change: list[int] = []
    row: list[int] = []
    joined: list[int] = []
    base = source.market * 16

    def put(time: int, flags: int, side: int, level: int, delta: int, number: int, since: int) -> None:
        at.append(time)
        what.append(((base + flags) * 4 + kernel.L3) * 4 + side + 1)
        price.append(level * source.price_factor)
        change.append(delta * source.size_factor)
        row.append(number)
        joined.append(since)

    names = ("action", "order_id", "side", "price", "size", "flags")
    fields = [source.times(columns).tolist(), *(columns[name].tolist() for name in names)]
    for number, *values in zip(numbers.tolist(), *fields, strict=True):
        time, action, order_id, side, level, size, flags = values
        if flags & SNAPSHOT:
            orders.named.add(order_id)
            if flags & LAST:
                for gone in [known for known in orders.known if known not in orders.named]:
                    put(time, SNAPSHOT, *orders.known[gone][:2], -orders.known[gone][2], number, orders.known[gone][3])
                    del orders.known[gone]
                orders.named.clear()
        before = orders.known.pop(order_id, None)
        stays, since = False, number
        if before is not None:
            listed = action == MODIFY or flags & SNAPSHOT
            if listed and side in (0, before[0]) and size <= before[2] and level in (0, before[1]):
                put(time, flags, before[0], before[1], size - before[2], number, before[3])
                if size:
                    orders.known[order_id] = (before[0], before[1], size, before[3])
                continue
            side, level = side or before[0], level or before[1]
            left = flags if action == DELETE else flags & ~LAST
            if stays := action != DELETE and (side, level) == before[:2]:
                left |= kernel.REQUEUED
            put(time, left, before[0], before[1], -before[2], number, before[3])
        elif action != ADD:
            if not (side and level):
                continue
            since = -1
        if action == DELETE:
            if before is None:
                put(time, flags, side, level, 0, number, since)
            continue
        put(time, flags, side, level, size - before[2] if before is not None and stays else size, number, since)
        orders.known[order_id] = (side, level, size, since)
    columns_out = (at, what, price, change, row, joined)
    return kernel.Rows(*(np.array(values, dtype=np.int64) for values in columns_out))
