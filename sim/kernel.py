"""What the market's rows do to the books and to our resting orders: F3 to F7, F9 and F12 of the fill contract.

One source, run two ways: as it stands (`sim.kernel`), or compiled by numba (`sim.compiled.kernel()`), with identical
results to the last bit. So: int64 and float64 only, + - x / and comparisons, and `sim.kernel_math` in place of log and
pow. Rows come merged by engine time over all markets; `advance` walks them and stops after the first row that did
something to an order of ours. The arrays and what their fields mean are in `sim.kernel_state`.

A market is a number m. Its books are b = 2m (bids) and 2m + 1 (asks). A level's key is its price on the bid side and
minus its price on the ask side, so that a larger key is always a better price; levels stand in order of their key, the
best one last. Prices and sizes are int64 in the market's units; a queue position is float64 in the same size unit.
"""

from __future__ import annotations

import math
from typing import Any

from sim.kernel_math import natural_log, power, two_to
from sim.kernel_state import (
    BLOCK,
    DEPTH,
    FILLS,
    FIRES,
    FULL,
    FULL_BOOK,
    GROWTHS,
    INSURANCE,
    L3_FIFO,
    LAST,
    MATCHED,
    NEVER,
    NO_QUEUE,
    NOBODY,
    PROB_LOG,
    PROB_LOG2,
    PROB_POWER,
    PROB_POWER2,
    PROB_POWER3,
    QUOTE,
    RING,
    RISK_AVERSE,
    RPI,
    RULE_CROSSED,
    RULE_PARTICIPATION,
    RULE_QUEUE,
    RULE_THROUGH,
    SNAPSHOT,
    TRADE,
    UNKNOWN,
    Rows,
    State,
)
from sim.kernel_triggers import pull_triggers

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
                change_level(levels, books, own, market, b, key, size[i], at[i], joined[i])
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


# --- books ----------------------------------------------------------------------------------------------------------


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


def available(market: Record, level: Record, at: int) -> int:
    """What a taker of ours can have of a level, floored to the step."""
    step: int = market["step"]
    steps: int = math.floor((level["qty"] - taken(market, level, at)) / step + 1e-9)
    return steps * step


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


# --- queues ---------------------------------------------------------------------------------------------------------


def requeue(
    books: Records, own: Records, market: Record, b: int, key: int, before: int, size: int, explained: int
) -> None:
    """F4: a level went from `before` to `size`; what prints do not explain was canceled, partly ahead of us."""
    slot = books[b]["first"]
    while slot != NOBODY and own[slot]["key"] >= key:
        order = own[slot]
        if order["key"] == key and order["ahead"] >= 0.0:
            ahead = order["ahead"]
            canceled = float(before - size - explained)
            if market["queue"] == MATCHED and canceled < 0.0:
                remember_growth(order, size - before)
            if market["queue"] == RISK_AVERSE or canceled <= 0.0:
                order["ahead"] = min(ahead, float(size))
            else:
                behind = max(0.0, before - explained - ahead)
                if market["queue"] == MATCHED:
                    share = forget_growth(order, before - size - explained)
                else:
                    share = share_behind(market["queue"], market["power"], behind, ahead, market["unit"])
                left = ahead - (1.0 - share) * canceled + min(behind - share * canceled, 0.0)
                order["ahead"] = min(max(left, 0.0), float(size))
        slot = order["next"]


def share_behind(kind: int, n: float, behind: float, ahead: float, unit: float) -> float:
    """P of F4: the share of cancels that happen behind us; `behind` and `ahead` in size units, `unit` base per unit."""
    b, a = behind * unit, ahead * unit
    if a <= 0.0:
        return 1.0
    if kind == PROB_POWER:  # of the smaller over the larger: no power of a ratio below 1 overflows
        if b > a:
            return 1.0 / (1.0 + power(a / b, n))
        ratio = power(b / a, n)
        return ratio / (1.0 + ratio)
    if kind == PROB_POWER2:
        return power(b / (a + b), n)
    if kind == PROB_POWER3:
        return 1.0 - power(a / (a + b), n)
    if kind == PROB_LOG:
        return natural_log(1.0 + b) / (natural_log(1.0 + b) + natural_log(1.0 + a))
    if kind == PROB_LOG2:
        return natural_log(1.0 + b) / natural_log(1.0 + a + b)
    return 1.0


def remember_growth(order: Record, size: int) -> None:
    """Somebody joined the queue behind us with this size. Where there is no room, the oldest is forgotten."""
    growths = order["growths"]
    place = order["grown"] % GROWTHS
    for k in range(GROWTHS):
        if growths[k] == 0:
            place = k
            break
    growths[place] = size
    order["grown"] += 1


def forget_growth(order: Record, size: int) -> float:
    """The share of a cancel of this size that happens behind us: 1 where somebody came with it after us, else 0."""
    growths = order["growths"]
    for k in range(GROWTHS):
        if growths[k] == size:
            growths[k] = 0
            return 1.0
    return 0.0


def change_level(
    levels: Records, books: Records, own: Records, market: Record, b: int, key: int, change: int, at: int, joined: int
) -> None:
    """One order of an exact book came, shrank or went; `joined` says whether it stood ahead of ours."""
    i = place_of(levels, books, b, key)
    known = i < books[b]["count"] and levels[b, i]["key"] == key
    before = levels[b, i]["qty"] if known else 0
    if market["queue"] != L3_FIFO:
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


# --- prints and crossings -------------------------------------------------------------------------------------------


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
            found = 0
            while found < wanted and i >= 0 and order["key"] + levels[other, i]["key"] >= 0:
                part = min(wanted - found, available(market, levels[other, i], at))
                if part > 0:
                    take(market, levels[other, i], float(part), at)
                    found += part
                i -= 1
            most = wanted if mode == FULL else found
            fill(own, market, fills, out, slot, float(most), RULE_CROSSED, order["ahead"])
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
