"""What the market's rows do to the books and to our resting orders: F3 to F7, F9 and F12 of the fill contract.

One source, run two ways: as it stands (`sim.books.kernel`), or compiled by numba (`sim.books.compiled.kernel()`), with
identical results to the last bit. So: int64 and float64 only, + - x / and comparisons, and `sim.books.kernel_math` in
place of log and pow. Rows come merged by engine time over all markets; `advance` walks them and stops after the first
row that did something to an order of ours. A row's levels are in `sim.books.kernel_levels`, queues in
`sim.books.kernel_queues`, triggers in `sim.books.kernel_triggers`; the arrays and what their fields mean in
`sim.books.kernel_state`.

A market is a number m. Its books are b = 2m (bids) and 2m + 1 (asks). A level's key is its price on the bid side and
minus its price on the ask side, so that a larger key is always a better price; levels stand in order of their key, the
best one last. Prices and sizes are int64 in the market's units; a queue position is float64 in the same size unit.
"""

from __future__ import annotations

import math
from typing import Any

from sim.books.kernel_levels import (
    begin_snapshot,
    change_level,
    end_snapshot,
    free_within,
    place_of,
    set_level,
    set_touch,
    take,
    take_within,
)
from sim.books.kernel_state import (
    BLOCK,
    DEPTH,
    FILLS,
    FIRES,
    FULL,
    FULL_BOOK,
    INSURANCE,
    LAST,
    NEVER,
    NOBODY,
    QUOTE,
    REQUEUED,
    RING,
    RPI,
    RULE_CROSSED,
    RULE_PARTICIPATION,
    RULE_QUEUE,
    RULE_THROUGH,
    SNAPSHOT,
    TRADE,
    Rows,
    State,
)
from sim.books.kernel_triggers import pull_triggers

# To the type checker an array of records is `Any`: its fields are read by name.
Records = Any
Record = Any


def advance(rows: Rows, i: int, until: int, state: State) -> int:
    """Apply rows from `i` on with engine time <= `until`; returns the first row that was not applied.

    Stops early after a row that filled or fired an order of ours (`state.out`), and before one that needs a larger
    book: then it returns the complement of that number, which is negative.
    """
    at, what, price, size, number, joined = rows
    levels, books, own, markets, prints, fills, fired, out = state
    n = len(at)
    room = levels.shape[1] - 1
    while i < n and at[i] <= until:
        w = what[i]
        side = (w & 3) - 1
        kind = (w >> 2) & 3
        flags = (w >> 4) & 15
        m = w >> 8
        market = markets[m]
        if kind == TRADE:
            trade_print(levels, books, own, market, prints, fills, fired, out, m, side, price[i], size[i], flags, at[i])
            if market["finest"] == TRADE:
                market["last_row"] = number[i]
        else:
            b = 2 * m if side > 0 else 2 * m + 1
            if books[b]["count"] >= room:
                out[FULL_BOOK] = 1
                return ~i
            key = price[i] if side > 0 else -price[i]
            if flags & SNAPSHOT and not market["in_snapshot"]:
                begin_snapshot(levels, books, market, m)
            if kind == DEPTH:
                set_level(levels, books, own, market, b, key, size[i], at[i])
            elif kind == QUOTE:
                set_touch(levels, books, own, market, b, key, size[i], at[i])
            else:
                change_level(levels, books, own, market, b, key, size[i], at[i], joined[i], flags & REQUEUED)
            market["last_row"] = number[i]
            if flags & LAST:
                if market["in_snapshot"]:
                    end_snapshot(levels, books, own, market, m, at[i])
                if meets(levels, books, own, 2 * m, 2 * m + 1) or meets(levels, books, own, 2 * m + 1, 2 * m):
                    cross(levels, books, own, market, fills, out, m, at[i])
        i += 1
        if out[FILLS] or out[FIRES]:
            for k in range(out[FILLS]):
                fills[k]["row"] = number[i - 1]
            return ~i
    return i


# --- prints and crossings --------------------------------------------------------------------------------------------


def trade_print(
    levels: Records,
    books: Records,
    own: Records,
    market: Record,
    prints: Any,
    fills: Records,
    fired: Any,
    out: Any,
    m: int,
    side: int,
    price: int,
    size: int,
    flags: int,
    at: int,
) -> None:
    """A print: what it does to our resting orders (F5, F4, F9), to the overlay (F3), and to triggers (F12)."""
    if flags & (BLOCK | INSURANCE):
        return
    b = 2 * m + 1 if side > 0 else 2 * m
    key = -price if side > 0 else price
    if books[b]["first"] != NOBODY:
        rest = trade_through(books, own, market, fills, out, b, key, size)
        if not flags & RPI:
            eat_queue(books, own, market, fills, out, b, key, float(rest))
    if not flags & RPI:
        i = place_of(levels, books, b, key)
        if i < books[b]["count"] and levels[b, i]["key"] == key:
            level = levels[b, i]
            take(market, level, float(size), at)
            if at - level["credit_at"] > market["credit_ns"]:
                level["credit"] = 0
            level["credit"] += size
            level["credit_at"] = at
    if market["finest"] == TRADE:
        prints[m, market["prints"] % RING] = size
        market["prints"] += 1
    market["last_price"] = price
    if market["first_stop"] != NOBODY:
        pull_triggers(own, market, fired, out, price)


def trade_through(
    books: Records, own: Records, market: Record, fills: Records, out: Any, b: int, key: int, size: int
) -> int:
    """F5: our orders at better prices than the print would have met its aggressor first. Returns what is left of it."""
    rest = size
    slot = books[b]["first"]
    while slot != NOBODY and own[slot]["key"] > key:
        order = own[slot]
        before = order["ahead"]
        order["ahead"] = 0.0
        order["credit"] = 0
        most = order["leaves"] if market["through"] == FULL else rest
        rest -= fill(own, market, fills, out, slot, float(most), RULE_THROUGH, before)
        slot = order["next"]
    return max(0, rest)


def eat_queue(
    books: Records, own: Records, market: Record, fills: Records, out: Any, b: int, key: int, size: float
) -> None:
    """F4: a print at our price eats the merged queue in order: external ahead, own, external between, own.

    Without a book (F9) what is left for us is scaled by the participation.
    """
    alone = market["finest"] == TRADE
    rate = market["participation"] if alone else 1.0
    rule = RULE_PARTICIPATION if alone else RULE_QUEUE
    left, external = size, 0.0
    slot = books[b]["first"]
    while slot != NOBODY and own[slot]["key"] >= key:
        order = own[slot]
        if order["key"] == key and order["ahead"] >= 0.0:
            eaten = min(left, max(0.0, order["ahead"] - external))
            external += eaten
            left -= eaten
            if left > 0.0:
                left -= fill(own, market, fills, out, slot, left * rate, rule, order["ahead"]) / rate
        slot = order["next"]
    slot = books[b]["first"]
    while slot != NOBODY and own[slot]["key"] >= key:
        order = own[slot]
        if order["key"] == key and order["ahead"] > 0.0:
            eaten = min(external, order["ahead"])
            order["ahead"] -= eaten
            order["credit"] += int(eaten)
        slot = order["next"]


def meets(levels: Records, books: Records, own: Records, b: int, other: int) -> bool:
    """Whether the best level of the other book stands at or through our best order of this one."""
    slot, n = books[b]["first"], books[other]["count"]
    return bool(slot != NOBODY and n > 0 and own[slot]["key"] + levels[other, n - 1]["key"] >= 0)


def cross(
    levels: Records, books: Records, own: Records, market: Record, fills: Records, out: Any, m: int, at: int
) -> None:
    """F6: the opposite best stands at or through an order of ours without a print."""
    mode = market["crossed"]
    if mode == NEVER:
        return
    for b in range(2 * m, 2 * m + 2):
        other = 4 * m + 1 - b
        slot = books[b]["first"]
        while slot != NOBODY:
            order = own[slot]
            i = books[other]["count"] - 1
            if i < 0 or order["key"] + levels[other, i]["key"] < 0:
                break
            wanted = may_fill(market, order)
            found = free_within(levels, books, market, other, order["key"], at)
            most = float(wanted) if mode == FULL else found
            size = fill(own, market, fills, out, slot, most, RULE_CROSSED, order["ahead"])
            take_within(levels, books, market, other, order["key"], float(size), at)
            slot = order["next"]


def may_fill(market: Record, order: Record) -> int:
    """What the order may still trade: its leaves, clipped to the position where it only reduces."""
    leaves: int = order["leaves"]
    if order["reduces"]:
        held = market["net"]
        if order["room"] == 1:
            held = market["long"]
        elif order["room"] == 2:
            held = market["short"]
        leaves = min(leaves, max(0, -held if order["buys"] > 0 else held))
    return leaves


def fill(
    own: Records, market: Record, fills: Records, out: Any, slot: int, most: float, rule: int, before: float
) -> int:
    """Fill an order with at most `most`, floored to the step; returns the size, 0 where nothing came of it."""
    order = own[slot]
    step: int = market["step"]
    size = math.floor(min(most, float(may_fill(market, order))) / step + 1e-9) * step
    if size <= 0:
        return 0
    order["leaves"] -= size
    if order["group"]:
        end_group(own, order["group"], slot)
    signed = size if order["buys"] > 0 else -size
    if order["room"] == 1:
        market["long"] += signed
    elif order["room"] == 2:
        market["short"] += signed
    else:
        market["net"] += signed
    done = fills[out[FILLS]]
    done["slot"] = slot
    done["size"] = size
    done["rule"] = rule
    done["ahead"] = before
    out[FILLS] += 1
    return size


def end_group(own: Records, group: int, first: int) -> None:
    """One order of a group has traded: the others have nothing left to trade, also by what is left of this row."""
    for slot in range(len(own)):
        if slot != first and own[slot]["group"] == group:
            own[slot]["leaves"] = 0
