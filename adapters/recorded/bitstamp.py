"""Bitstamp's live order stream recorded as CSV, to a tape of single orders; and its trades.

Orders: `id,timestamp,exchange_timestamp,price,volume,action,direction`, times in milliseconds, `timestamp` the receipt.
The recorder writes the book it found first (one receipt for all its rows), then what came since it began to listen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from adapters.csv_table import gathered, headed, read_blocks
from adapters.decimals import Column
from adapters.recorded.trade_ids import named_twice
from adapters.ticks import Ticks, tick_tape, trade_ticks
from core.tape import ADD, DELETE, LAST, MODIFY, SNAPSHOT, Kind, Tape

ORDERS = ("id", "timestamp", "exchange_timestamp", "price", "volume", "action", "direction")
TRADES = ("trade_id", "timestamp", "exchange_timestamp", "price", "amount", "side")
ACTIONS = {b"created": ADD, b"changed": MODIFY, b"deleted": DELETE}


def read_bitstamp(path: Path, kind: Kind, *, venue: str, symbol: str, feed_ns: int) -> Tape:
    """One file; it does not say its symbol. Raises DataError."""
    return tick_tape(kind, READERS[kind](path), venue=venue, symbol=symbol, feed_ns=feed_ns)


def looks_like_bitstamp(fields: list[str]) -> bool:
    """Whether a CSV's first line is one of these."""
    lower = {field.lower() for field in fields}
    return {*ORDERS} <= lower or {*TRADES} <= lower


def _orders(path: Path) -> Ticks:
    rows = gathered(
        read_blocks(path, lambda fields, line, origin: headed(fields, line)),
        numbers={"price": "price", "size": "volume"},
        others={
            "time": lambda block: block.times("exchange_timestamp"),
            "receipt": lambda block: block.times("timestamp"),
            "action": lambda block: block.one_of("action", ACTIONS),
            "side": lambda block: block.one_of("direction", {b"bid": 1, b"ask": -1}),
            "id": lambda block: block.whole("id"),
        },
        need=ORDERS,
    )
    found = rows.others
    snapshot = _found_first(found["time"], found["receipt"], found["action"])
    flags = np.full(len(snapshot), LAST, dtype=np.int8)
    flags[snapshot] = SNAPSHOT
    if snapshot.any():
        flags[np.flatnonzero(snapshot)[-1]] |= LAST
    ticks = Ticks(
        str(path),
        found["line"],
        found["time"],
        found["receipt"],
        {"price": rows.numbers["price"]},
        {"size": rows.numbers["size"]},
        {"side": found["side"], "action": found["action"], "order_id": found["id"], "flags": flags},
    )
    if not snapshot.any():
        ticks = ticks.noted("the file does not begin with the book as it was: orders older than it are missing")
    return _known_orders(_resting(ticks))


def _found_first(times: Column, receipts: Column, actions: Column) -> Column:
    """Mask of the start-up book: the rows at the beginning that were created and share both times, if more than one."""
    same = (times == times[0]) & (receipts == receipts[0]) & (actions == ADD)
    until = len(same) if same.all() else int(np.argmin(same))
    snapshot = np.zeros(len(same), dtype=bool)
    snapshot[: until if until > 1 else 0] = True
    return snapshot


def _resting(ticks: Ticks) -> Ticks:
    """Without orders that have no price: market and stop orders are in no book."""
    priced = ticks.prices["price"].mantissas != 0
    if priced.all():
        return ticks
    # The last row of the snapshot may be one of them; its flag moves to the row before.
    kept = ticks.taken(priced)
    snapshot = np.flatnonzero(kept.codes["flags"] & SNAPSHOT)
    if len(snapshot):
        kept.codes["flags"][snapshot[-1]] |= LAST
    return kept.noted(f"{int((~priced).sum())} rows of orders without a price (market and stop orders): left out")


def _known_orders(ticks: Ticks) -> Ticks:
    """Without changes and ends of orders nobody saw created."""
    alive: set[int] = set()
    keep = np.ones(len(ticks), dtype=bool)
    for row, (order, action) in enumerate(
        zip(ticks.codes["order_id"].tolist(), ticks.codes["action"].tolist(), strict=True)
    ):
        if action == ADD:
            alive.add(order)
        elif order not in alive:
            keep[row] = False
        elif action == DELETE:
            alive.discard(order)
    if keep.all():
        return ticks
    return ticks.taken(keep).noted(
        f"{int((~keep).sum())} changes and ends of orders that were never seen created: left out"
    )


def _trades(path: Path) -> Ticks:
    rows = gathered(
        read_blocks(path, lambda fields, line, origin: headed(fields, line)),
        numbers={"price": "price", "size": "amount"},
        others={
            "time": lambda block: block.times("exchange_timestamp"),
            "receipt": lambda block: block.times("timestamp"),
            "side": lambda block: block.one_of("side", {b"buy": 1, b"sell": -1}),
            "id": lambda block: block.words("trade_id"),
        },
        need=TRADES,
    )
    return trade_ticks(path, rows).once(named_twice(rows.others["id"]))


READERS: dict[str, Callable[[Path], Ticks]] = {"l3": _orders, "trades": _trades}
KINDS = tuple(READERS)
"""Kinds of rows there are files of."""
