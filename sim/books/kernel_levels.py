"""The levels of the books in the kernel: what a row makes of them, and what is used up of each (F3).

Compiled with `sim.books.kernel`, by its rules; keys and the order of levels are explained there.
"""

from __future__ import annotations

import math
from typing import Any

from sim.books.kernel_math import two_to
from sim.books.kernel_queues import requeue
from sim.books.kernel_state import L3_FIFO, NO_QUEUE, NOBODY, UNKNOWN

# To the type checker an array of records is `Any`: its fields are read by name.
Records = Any
Record = Any


def place_of(levels: Records, books: Records, b: int, key: int) -> int:
    """Where a key stands in its book, or would stand. Most rows are near the best level, which is last."""
    n: int = books[b]["count"]
    i = n
    while i > 0 and n - i < 12:
        if levels[b, i - 1]["key"] < key:
            return i
        i -= 1
    low, high = 0, i
    while low < high:
        middle = (low + high) // 2
        if levels[b, middle]["key"] < key:
            low = middle + 1
        else:
            high = middle
    return low


def set_level(
    levels: Records, books: Records, own: Records, market: Record, b: int, key: int, size: int, at: int
) -> None:
    """A level holds `size` now: its overlay (F3), our orders queued there (F4), then the level itself."""
    i = place_of(levels, books, b, key)
    known = i < books[b]["count"] and levels[b, i]["key"] == key
    before = levels[b, i]["qty"] if known else 0
    explained = 0
    if known and levels[b, i]["credit"]:
        if at - levels[b, i]["credit_at"] > market["credit_ns"]:
            levels[b, i]["credit"] = 0
        explained = min(levels[b, i]["credit"], max(0, before - size))
        levels[b, i]["credit"] -= explained
    if books[b]["first"] != NOBODY:
        requeue(books, own, market, b, key, before, size, explained)
    store(levels, books, market, b, i, known, key, size, at)


def store(
    levels: Records, books: Records, market: Record, b: int, i: int, known: bool, key: int, size: int, at: int
) -> None:
    """Write a level at its place, and its overlay by F3: growth is fresh, a fall first removes what was taken."""
    if size <= 0:
        if known:
            n = books[b]["count"] - 1
            for j in range(i, n):
                levels[b, j] = levels[b, j + 1]
            books[b]["count"] = n
        return
    if known:
        level = levels[b, i]
        if level["used"] > 0.0:
            left = taken(market, level, at) - max(0, level["qty"] - size)
            level["used"] = min(float(size), max(0.0, left))
            level["used_at"] = at
    else:
        n = books[b]["count"]
        for j in range(n, i, -1):
            levels[b, j] = levels[b, j - 1]
        books[b]["count"] = n + 1
        level = levels[b, i]
        level["key"] = key
        level["used"] = 0.0
        level["credit"] = 0
    level["qty"] = size
    level["named"] = market["in_snapshot"]


def taken(market: Record, level: Record, at: int) -> float:
    """What is used of a level at `at`; with a half-life, liquidity comes back (F3)."""
    used: float = level["used"]
    if market["half_life_ns"] > 0.0 and used > 0.0:
        used *= two_to(-(at - level["used_at"]) / market["half_life_ns"])
    return used


def take(market: Record, level: Record, qty: float, at: int) -> None:
    """So much of a level is used up, at most what it displays."""
    level["used"] = min(float(level["qty"]), taken(market, level, at) + qty)
    level["used_at"] = at


def free(market: Record, level: Record, at: int) -> float:
    """What is displayed and not used (F3)."""
    left: float = level["qty"] - taken(market, level, at)
    return left


def available(market: Record, level: Record, at: int) -> int:
    """What a taker of ours can have of a level, floored to the step."""
    step: int = market["step"]
    steps: int = math.floor(free(market, level, at) / step + 1e-9)
    return steps * step


def free_within(levels: Records, books: Records, market: Record, b: int, key: int, at: int) -> float:
    """What is free at all levels that stand at or through an order of the other side with this key."""
    found, i = 0.0, books[b]["count"] - 1
    while i >= 0 and key + levels[b, i]["key"] >= 0:
        found += free(market, levels[b, i], at)
        i -= 1
    return found


def take_within(levels: Records, books: Records, market: Record, b: int, key: int, size: float, at: int) -> None:
    """Use up `size` of what is free there, best price first."""
    left, i = size, books[b]["count"] - 1
    while left > 0.0 and i >= 0 and key + levels[b, i]["key"] >= 0:
        part = min(left, free(market, levels[b, i], at))
        take(market, levels[b, i], part, at)
        left -= part
        i -= 1


def begin_snapshot(levels: Records, books: Records, market: Record, m: int) -> None:
    market["in_snapshot"] = 1
    for b in range(2 * m, 2 * m + 2):
        for i in range(books[b]["count"]):
            levels[b, i]["named"] = 0


def end_snapshot(levels: Records, books: Records, own: Records, market: Record, m: int, at: int) -> None:
    """Levels the snapshot did not name are gone."""
    for b in range(2 * m, 2 * m + 2):
        i = 0
        while i < books[b]["count"]:
            if levels[b, i]["named"]:
                i += 1
            else:
                set_level(levels, books, own, market, b, levels[b, i]["key"], 0, at)
    market["in_snapshot"] = 0


def change_level(
    levels: Records,
    books: Records,
    own: Records,
    market: Record,
    b: int,
    key: int,
    change: int,
    at: int,
    joined: int,
    requeued: int,
) -> None:
    """One order of an exact book came, shrank or went; `joined` says whether it stood ahead of ours.

    `requeued`: it went to the end of its queue, which is no change of the level.
    """
    i = place_of(levels, books, b, key)
    known = i < books[b]["count"] and levels[b, i]["key"] == key
    before = levels[b, i]["qty"] if known else 0
    if market["queue"] != L3_FIFO:
        if not requeued:
            set_level(levels, books, own, market, b, key, before + change, at)
        return
    if change < 0:
        slot = books[b]["first"]
        while slot != NOBODY:
            order = own[slot]
            if order["key"] == key and joined < order["placed"]:
                explained = min(order["credit"], -change)
                order["credit"] -= explained
                order["ahead"] = max(0.0, order["ahead"] + change + explained)
            slot = order["next"]
    if not requeued:
        store(levels, books, market, b, i, known, key, before + change, at)


def set_touch(
    levels: Records, books: Records, own: Records, market: Record, b: int, key: int, size: int, at: int
) -> None:
    """F7: the touch of a market that shows only the touch."""
    if size > 0 and books[b]["count"] == 1 and levels[b, 0]["key"] == key:
        set_level(levels, books, own, market, b, key, size, at)
        return
    books[b]["count"] = 0
    if size > 0:
        store(levels, books, market, b, 0, False, key, size, at)
    slot = books[b]["first"]
    while slot != NOBODY:
        order = own[slot]
        if size <= 0 or order["key"] > key:
            order["ahead"] = 0.0
        elif order["key"] < key:
            order["ahead"] = UNKNOWN if market["queue"] != NO_QUEUE else 0.0
        elif order["ahead"] < 0.0:
            order["ahead"] = float(size)
        else:
            order["ahead"] = min(order["ahead"], float(size))
        slot = order["next"]
